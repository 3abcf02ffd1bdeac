--- kadenza keygen: a new Ed25519 key pair.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local kad = require("kadenza")
local secret = require("kadenza.cli.secret")

local SEED_SIZE <const> = 32

local M = {
  summary = "Make a key pair to sign values with.",
  description = "Makes an Ed25519 key pair. With FILE, writes it there, "
    .. "readable by you alone, and prints the public key; without, prints "
    .. "both. `kadenza put --key FILE` signs with it.",
  usage = "[FILE]",
  settings = { flags = { "json" }, variables = { "json" } },
}

function M.arguments(command)
  command:argument("file", "A file that does not exist."):args("?")
end

local function exists(path)
  local file = io.open(path, "rb")
  return file and file:close() or false
end

local function save(path, pair)
  if exists(path) then
    fault.failed(path .. " exists and is left as it is")
  end
  local written, message, code = core.write_file(path, secret.format(pair))
  if not written then
    fault.failed(message, code)
  end
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
    save(args.file, pair)
    return { publisher = publisher }, ("publisher %s\n"):format(publisher)
  end
  return { publisher = publisher, secret = kad.hex(pair.secret) },
    secret.format(pair)
end

return M
