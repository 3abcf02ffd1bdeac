--- kadenza keygen: makes an Ed25519 key pair.
--- Tested by tests/spec/cli/commands_spec.lua.

local core = require("kadenza.core")
local file = require("kadenza.cli.file")
local kad = require("kadenza")
local secret = require("kadenza.cli.secret")

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

local function make_pair()
  local network <close> = assert(core.udp())
  local publisher, secret_key = core.keypair(network:random(SEED_SIZE))
  return { publisher = publisher, secret = secret_key }
end

function M.run(args, _)
  local pair = make_pair()
  local publisher = kad.hex(pair.publisher)
  if args.file then
    file.check_absent(args.file)
    file.write(args.file, secret.format(pair))
    return { publisher = publisher }, ("publisher %s\n"):format(publisher)
  end
  return { publisher = publisher, secret = kad.hex(pair.secret) },
    secret.format(pair)
end

return M
