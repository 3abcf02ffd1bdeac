--- The lines of a key file that a passphrase seals. Argon2id makes a key of the
--- passphrase, which seals the bytes (XSalsa20-Poly1305):
---
---     argon2id PASSES KIB SALT
---     sealed NONCE BOX
---
--- Tested by tests/spec/key_file_spec.lua.

local core = require("kadenza.core")

local M = {}

-- Bytes of salt, nonce and what a box adds, and digits of numbers at most.
local SALT <const> = 16
local NONCE <const> = 24
local BOX_MORE <const> = 16
local NUMBER_DIGITS <const> = 9

--- Seals bytes; returns the lines.
---@param phrase kadenza.core.Passphrase
---@param bytes string
---@param passes? integer  3 without it
---@param memory_kib? integer  262144 without it
---@return string? lines
---@return string? message
---@return kadenza.Code? code
function M.format(phrase, bytes, passes, memory_kib)
  local sealed, message, code = phrase:seal(bytes, passes, memory_kib)
  if not sealed then
    return nil, message, code
  end
  return ("argon2id %d %d %s\nsealed %s %s\n"):format(sealed.passes,
    sealed.memory_kib, core.hex(sealed.salt), core.hex(sealed.nonce),
    core.hex(sealed.box))
end

-- Returns the bytes of `size` in hexadecimal, or nil.
local function to_bytes(digits, size)
  return #digits == 2 * size and core.unhex(digits) or nil
end

local function to_number(digits)
  return #digits <= NUMBER_DIGITS and tonumber(digits, 10) or nil
end

--- Returns what lines have sealed, as a passphrase opens it; nil if they are
--- malformed.
---@param lines string
---@param size integer  bytes that are sealed
---@return table? sealed
function M.parse(lines, size)
  local passes, memory, salt, nonce, box = lines:match(
    "^argon2id (%d+) (%d+) (%x+)\nsealed (%x+) (%x+)%s*$")
  if not box then
    return nil
  end
  local sealed = {
    passes = to_number(passes),
    memory_kib = to_number(memory),
    salt = to_bytes(salt, SALT),
    nonce = to_bytes(nonce, NONCE),
    box = to_bytes(box, size + BOX_MORE),
  }
  local is_whole = sealed.passes and sealed.memory_kib and sealed.salt
    and sealed.nonce and sealed.box
  return is_whole and sealed or nil
end

--- Tells whether a version in a key file is a newer one than `known`.
---@param digits string
---@param known integer
---@return boolean
function M.is_newer(digits, known)
  return (to_number(digits) or math.huge) > known
end

return M
