--- Keys of sealed overlays: a node without one of them gets no answer.
--
--     local network_key = require "kadenza.network_key"
--     local key = assert(network_key.read("net.key"))
--     local node = assert(kad.node { network_key = key })
--
-- `kadenza keygen --network net.key` writes such a file. A key is an object
-- that wipes itself when it is closed or collected, and does not show its
-- bytes.

local check = require("kadenza.check")
local core = require("kadenza.core")

local M = {}

local SIZE <const> = 32
local MAX_KEYS <const> = 2
local MAX_PATH <const> = 4095

---@class kadenza.NetworkKey
---@field fingerprint fun(self: kadenza.NetworkKey): string  16 hexadecimal
---  digits that tell keys apart and are not secret
---@field bytes fun(self: kadenza.NetworkKey): string  the secret itself, 32
---  bytes, in a string, which nothing wipes
---@field close fun(self: kadenza.NetworkKey)  wipes it

-- Returns a key object, or nil for a value that is no key.
local function to_key(value)
  if type(value) == "string" then
    local bytes = #value == 2 * SIZE and core.unhex(value) or value
    return #bytes == SIZE and core.network_key(bytes) or nil
  end
  return core.is_network_key(value) and value or nil
end

local function is_list(value)
  return type(value) == "table" and rawlen(value) >= 1
    and rawlen(value) <= MAX_KEYS
end

--- Returns the keys in the value of an option `network_key`, or nil if it is
--- none: a key, or a list of one or two. A string of 32 bytes or 64 hexadecimal
--- digits is a key, too.
---@param value any
---@return kadenza.NetworkKey[]? keys
function M.list(value)
  local keys = {}
  for i, item in ipairs(is_list(value) and value or { value }) do
    keys[i] = to_key(item)
    if not keys[i] then
      return nil
    end
  end
  return #keys > 0 and keys or nil
end

--- Makes a new key of random bytes.
---@return kadenza.NetworkKey key
function M.generate()
  return core.network_key()
end

--- Reads the key in a file that has no passphrase.
---@param path string
---@return kadenza.NetworkKey? key
---@return string? message
---@return kadenza.Code? code
function M.read(path)
  check.kind(path, "string", "path", 2)
  if path == "" or #path > MAX_PATH or path:find("\0", 1, true) then
    error("path must name a file", 2)
  end
  local key, message, code = core.read_network_key(path)
  if key == nil then
    return nil, message, code
  elseif type(key) ~= "string" then
    return key
  elseif key:find("^kadenza network key %d+\r?\nargon2id ") then
    return nil, path .. ": it has a passphrase", "KAD_EACCESS"
  end
  return nil, path .. ": not a network key file of `kadenza keygen --network`",
    "KAD_EINVAL"
end

return M
