--- The items of BEP 44: their values, targets and signatures. The methods of
--- nodes are in `kadenza.items`.
--
--     local target = item.immutable_target("hello")
--     local pair = key.keypair()
--     local feed = item.mutable_target(pair.publisher, "news")
--
-- Tested by tests/spec/items_spec.lua.

local check = require("kadenza.check")
local core = require("kadenza.core")
local errors = require("kadenza.errors")
local size_limit = require("kadenza.size_limit")

local M = {}

local MAX_DEPTH <const> = 14 -- KAD_ITEM_DEPTH_MAX
local MAX_SALT <const> = 64 -- KAD_SALT_MAX
local PUBLISHER_SIZE <const> = 32

local RAW <const> = { raw = "boolean" }

--- Returns the bencoded form of a value. Raises a mistake of the caller.
---@param value any  bencoded already with `raw`
---@param raw? boolean
---@param level integer  as of `error`
---@return string bytes
function M.encode(value, raw, level)
  if raw then
    check.kind(value, "string", "value", level + 1)
    return value
  end
  return errors.at_level(level, core.encode, value, "value") -- a tail call
end

--- Returns the value of an item, or nil, message, code if its bytes are no
--- bencode: those of a policy's `select`.
---@param bytes string
---@param raw? boolean  returns the bytes
---@return any value
---@return string? message
---@return kadenza.Code? code
function M.decode(bytes, raw)
  if raw then
    return bytes
  end
  local value, _, code = core.decode(bytes)
  if value == nil then
    return nil, "the item's value is not bencoded: raw = true returns its "
      .. "bytes", code
  end
  return value
end

--- Returns the failure of a value that no item can have.
---@param bytes string  the bencoded value
---@param raw? boolean
---@param message string
---@param code kadenza.Code
---@return nil
---@return string message
---@return kadenza.Code code
function M.invalid(bytes, raw, message, code)
  if code == "KAD_ETOOBIG" then
    message = ("%s: the bencoded value has %d bytes, and can have %d"):format(
      message, #bytes, size_limit.ITEM)
  elseif code == "KAD_EMALFORMED" then
    message = raw and "the value is not one bencoded value in its only form, "
      .. "nested at most " .. MAX_DEPTH .. " deep"
      or "the value is nested more than " .. MAX_DEPTH .. " deep"
  end
  return nil, message, code
end

--- Returns the key of an immutable item: the SHA-1 of its bencoded value.
---@param value any  string, integer, list or table; bencoded with `raw`
---@param options? { raw?: boolean }
---@return string? target  20 bytes
---@return string? message
---@return kadenza.Code? code
function M.immutable_target(value, options)
  options = check.with_defaults(options, 2, RAW)
  local bytes = M.encode(value, options.raw, 2)
  local target, message, code = core.immutable_target(bytes)
  if not target then
    return M.invalid(bytes, options.raw, message, code)
  end
  return target
end

--- Returns the key of a mutable item: the SHA-1 of the publisher's key and the
--- salt.
---@param publisher string  public key, 32 bytes
---@param salt? string  at most 64 bytes
---@return string target  20 bytes
function M.mutable_target(publisher, salt)
  check.kind(publisher, "string", "publisher", 2)
  if #publisher ~= PUBLISHER_SIZE then
    error(("publisher must have %d bytes, not %d"):format(PUBLISHER_SIZE,
      #publisher), 2)
  end
  if salt ~= nil then
    check.kind(salt, "string", "salt", 2)
    if #salt > MAX_SALT then
      error(("salt must have at most %d bytes, not %d"):format(MAX_SALT,
        #salt), 2)
    end
  end
  return (assert(core.mutable_target(publisher, salt)))
end

return M
