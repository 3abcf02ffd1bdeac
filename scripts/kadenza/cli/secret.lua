--- Files with a secret key, which `keygen` writes and `put --key` reads. One
--- without a passphrase:
--
--     publisher 64 hexadecimal digits
--     secret 128 hexadecimal digits
--
-- One with a passphrase, whose last lines kadenza.cli.sealed_lines explains:
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
local sealed_lines = require("kadenza.cli.sealed_lines")

local M = {}

local MAX_SIZE <const> = 4096
local SEED_SIZE <const> = 32
local VERSION <const> = 1
local PUBLISHER_DIGITS <const> = 64

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
  return ("kadenza secret key %d\n%s%s"):format(VERSION, publisher,
    sealed_lines.format(phrase, pair.secret))
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
  local publisher, lines =
    text:match("^kadenza secret key 1\npublisher (%x+)\n(.*)$")
  local sealed = publisher and #publisher == PUBLISHER_DIGITS
    and sealed_lines.parse(lines, 2 * SEED_SIZE)
  if not sealed then
    return nil
  end
  sealed.publisher = core.unhex(publisher)
  return sealed
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
  if sealed_lines.is_newer(version, VERSION) then
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
