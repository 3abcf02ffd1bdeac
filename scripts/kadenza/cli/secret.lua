--- Files with a secret key, which `keygen` writes and `put --key` reads:
--- kadenza.key_file has their form.
--
-- Tested by tests/spec/cli/secret_spec.lua.

local chunk_text = require("kadenza.chunk_text")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local key_file = require("kadenza.key_file")
local passphrase = require("kadenza.cli.passphrase")

local M = {}

local MAX_SIZE <const> = 4096

---@class kadenza.cli.Pair
---@field publisher string
---@field secret string

--- Returns the text of a file with a key pair.
---@param pair kadenza.cli.Pair
---@param phrase? kadenza.core.Passphrase  seals it
---@return string text
function M.format(pair, phrase)
  local text, message, code = key_file.format(pair, phrase)
  return text or fault.failed(message, code)
end

local function not_a_key(flag, path, why)
  fault.misuse("%s %s: not a secret key file of `kadenza keygen`%s", flag, path,
    why or "")
end

-- Raises a fault for a text that has no key that signs.
local function refuse(flag, path, problem)
  if problem == "newer" then
    fault.misuse("%s %s: a newer version of kadenza has made it", flag, path)
  end
  not_a_key(flag, path, problem == "damaged" and ": it is damaged" or nil)
end

-- Returns the pair that a passphrase opens.
local function open(flag, path, sealed, phrase)
  local pair, message, code = key_file.open(sealed, phrase)
  if code == "KAD_EINVAL" then
    not_a_key(flag, path, ": " .. message)
  elseif not pair then
    fault.failed(("%s %s: %s"):format(flag, path, message), code)
  end
  return pair
end

-- Returns the pair, or what is sealed, of a text; a key of a box does not sign.
local function parse(flag, path, text)
  local pair, sealed, problem = key_file.parse(text)
  if problem or text:find("^kadenza box key ") then
    refuse(flag, path, problem)
  end
  return pair, sealed
end

--- Reads the key pair in a file; raises a fault if there is none, or the
--- passphrase is wrong. Asks for a passphrase that is needed and not given.
---@param flag string  that named the file
---@param path string
---@param file? string  that has the passphrase
---@return kadenza.cli.Pair pair
function M.read(flag, path, file)
  fault.checked(flag, input.path(path))
  local text =
    chunk_text(fault.read(flag, core.read_file(path, MAX_SIZE)))
  passphrase.warn_if_shared(path)
  local pair, sealed = parse(flag, path, text)
  if sealed then
    local phrase <close> = passphrase.of(path, file)
    return open(flag, path, sealed, phrase)
  end
  if file then
    fault.misuse("--passphrase-file %s: %s has no passphrase", file, path)
  end
  return pair
end

return M
