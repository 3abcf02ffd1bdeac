--- Files with a secret key, which `keygen` writes and `put --key` reads. One
--- without a passphrase:
--
--     publisher 64 hexadecimal digits
--     secret 128 hexadecimal digits
--
-- One with a passphrase: Argon2id makes a key of it, which seals the secret
-- (XSalsa20-Poly1305). docs/operations.md has the format:
--
--     kadenza secret key 1
--     publisher 64 hexadecimal digits
--     argon2id PASSES KIB SALT
--     sealed NONCE BOX
--
-- Tested by tests/spec/cli/secret_spec.lua.

local chunk_text = require("kadenza.chunk_text")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local passphrase = require("kadenza.cli.passphrase")

local M = {}

local MAX_SIZE <const> = 4096
local SEED_SIZE <const> = 32
local VERSION <const> = 1

-- Digits of publisher, salt, nonce and box, and of numbers at most.
local DIGITS <const> = { publisher = 64, salt = 32, nonce = 48, box = 160 }
local NUMBER_DIGITS <const> = 9

---@class kadenza.cli.Pair
---@field publisher string
---@field secret string

--- Returns the text of a file with a key pair.
---@param pair kadenza.cli.Pair
---@param phrase? kadenza.core.Passphrase  seals it
---@return string text
function M.format(pair, phrase)
  local publisher = ("publisher %s\n"):format(core.hex(pair.publisher))
  if not phrase then
    return ("%ssecret %s\n"):format(publisher, core.hex(pair.secret))
  end
  local sealed, message, code = phrase:seal(pair.secret)
  if not sealed then
    fault.failed(message, code)
  end
  return ("kadenza secret key %d\n%sargon2id %d %d %s\nsealed %s %s\n"):format(
    VERSION, publisher, sealed.passes, sealed.memory_kib,
    core.hex(sealed.salt), core.hex(sealed.nonce), core.hex(sealed.box))
end

-- Returns the pair of a secret key, or nil if it is none.
local function pair_of(secret)
  if not secret or #secret ~= 2 * SEED_SIZE then
    return nil
  end
  local publisher, whole = core.keypair(secret:sub(1, SEED_SIZE))
  return whole == secret and { publisher = publisher, secret = secret } or nil
end

-- Returns the pair in a text without a passphrase, or nil.
local function parse_plain(text)
  local digits = text:match("^secret (%x+)%s*$")
    or text:match("\nsecret (%x+)%s*$") or text:match("^(%x+)%s*$")
  return digits and pair_of(core.unhex(digits))
end

-- Returns what a text has sealed, as a passphrase opens it, with the publisher;
-- nil if it is malformed.
local function parse_sealed(text)
  local found = {}
  found.publisher, found.passes, found.memory_kib, found.salt, found.nonce,
    found.box = text:match("^kadenza secret key 1\npublisher (%x+)\n"
      .. "argon2id (%d+) (%d+) (%x+)\nsealed (%x+) (%x+)%s*$")
  if not found.box then
    return nil
  end
  for name, count in pairs(DIGITS) do
    if #found[name] ~= count then
      return nil
    end
    found[name] = core.unhex(found[name])
  end
  for _, name in ipairs({ "passes", "memory_kib" }) do
    if #found[name] > NUMBER_DIGITS then
      return nil
    end
    found[name] = tonumber(found[name], 10)
  end
  return found
end

local function not_a_key(flag, path, why)
  fault.misuse("%s %s: not a secret key file of `kadenza keygen`%s", flag, path,
    why or "")
end

-- Returns the pair that a passphrase opens.
local function open(flag, path, sealed, phrase)
  local secret, message, code = phrase:open(sealed)
  if code == "KAD_EINVAL" then
    not_a_key(flag, path, ": " .. message)
  elseif not secret then
    fault.failed(("%s %s: %s"):format(flag, path, message), code)
  end
  local pair = pair_of(secret)
  if not pair or pair.publisher ~= sealed.publisher then
    not_a_key(flag, path, ": its keys do not match")
  end
  return pair
end

-- Returns what the text of a file has sealed; raises a fault if that is not
-- whole.
local function need_sealed(flag, path, text, version)
  if #version > NUMBER_DIGITS or tonumber(version, 10) > VERSION then
    fault.misuse("%s %s: a newer version of kadenza has made it", flag, path)
  end
  return parse_sealed(text) or not_a_key(flag, path, ": it is damaged")
end

--- Reads the key pair in a file; raises a fault if there is none, or the
--- passphrase is wrong. Asks for a passphrase that is needed and not given.
---@param flag string  that named the file
---@param path string
---@param file? string  that has the passphrase
---@return kadenza.cli.Pair pair
function M.read(flag, path, file)
  fault.checked(flag, input.path(path))
  local text = chunk_text(fault.read(flag, core.read_file(path, MAX_SIZE)))
    :gsub("\r\n", "\n")
  passphrase.warn_if_shared(path)
  local version = text:match("^kadenza secret key (%d+)\n")
  if version then
    local sealed = need_sealed(flag, path, text, version)
    local phrase <close> = passphrase.of(path, file)
    return open(flag, path, sealed, phrase)
  end
  local pair = parse_plain(text) or not_a_key(flag, path)
  if file then
    fault.misuse("--passphrase-file %s: %s has no passphrase", file, path)
  end
  return pair
end

return M
