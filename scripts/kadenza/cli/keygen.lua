--- kadenza keygen: makes an Ed25519 key pair.
--- Tested by tests/spec/cli/commands_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local file = require("kadenza.cli.file")
local input = require("kadenza.cli.input")
local kad = require("kadenza")
local secret = require("kadenza.cli.secret")
local session = require("kadenza.cli.session")

local SEED_SIZE <const> = 32

local M = {
  summary = "Make a key pair to sign values with.",
  description = "Makes an Ed25519 key pair. With FILE, writes it to a new file "
    .. "that only its owner can read, and prints the public key. Without FILE, "
    .. "prints both keys. `kadenza put --key FILE` signs with it.",
  usage = "[FILE]",
  settings = { flags = { "json" }, variables = { "json" } },
}

function M.arguments(command)
  command:argument("file", "A file that does not exist."):args("?")
end

function M.run(args, _)
  local path = args.file and fault.checked("FILE", input.path(args.file))
  local network <close> = session.open()
  local public_key, secret_key = core.keypair(network:random(SEED_SIZE))
  local publisher, text = kad.hex(public_key),
    secret.format({ publisher = public_key, secret = secret_key })
  if path then
    file.check_absent(path)
    file.write(path, text, "private")
    return { publisher = publisher }, ("publisher %s\n"):format(publisher)
  end
  return { publisher = publisher, secret = kad.hex(secret_key) }, text
end

return M
