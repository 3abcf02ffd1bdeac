--- Files with a secret key, which `keygen` writes and `put --key` reads:
--
--     publisher 64 hexadecimal digits
--     secret 128 hexadecimal digits
--
-- Tested by tests/spec/cli/commands_spec.lua.

local chunk_text = require("kadenza.chunk_text")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")

local M = {}

local MAX_SIZE <const> = 4096
local SEED_SIZE <const> = 32

--- Returns the text of a file with a key pair.
---@param pair { publisher: string, secret: string }
---@return string text
function M.format(pair)
  return ("publisher %s\nsecret %s\n"):format(core.hex(pair.publisher),
    core.hex(pair.secret))
end

-- Returns the secret key in a text, or nil.
local function parse(text)
  local digits = text:match("^secret (%x+)%s*$")
    or text:match("\nsecret (%x+)%s*$") or text:match("^(%x+)%s*$")
  local secret = digits and #digits == 128 and core.unhex(digits)
  if not secret then
    return nil
  end
  local _, whole = core.keypair(secret:sub(1, SEED_SIZE))
  return whole == secret and secret or nil
end

--- Reads the secret key in a file; raises a fault if there is none.
---@param path string
---@return string secret
function M.read(path)
  fault.checked("--key", input.path(path))
  local secret =
    parse(chunk_text(fault.read("--key", core.read_file(path, MAX_SIZE))))
  if not secret then
    fault.misuse("--key %s: not a secret key file of `kadenza keygen`", path)
  end
  return secret
end

return M
