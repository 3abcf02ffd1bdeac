--- kadenza keygen: makes an Ed25519 key pair.
--- Tested by tests/spec/cli/secret_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local file = require("kadenza.cli.file")
local input = require("kadenza.cli.input")
local kad = require("kadenza")
local passphrase = require("kadenza.cli.passphrase")
local secret = require("kadenza.cli.secret")
local session = require("kadenza.cli.session")

local SEED_SIZE <const> = 32

local M = {
  summary = "Make a key pair to sign values with.",
  description = "Makes an Ed25519 key pair. With FILE, writes it to a new file "
    .. "that only its owner can read, and prints the public key. Without FILE, "
    .. "prints both keys. `kadenza put --key FILE` signs with it.\n\nA "
    .. "passphrase encrypts FILE. It is typed at the terminal, or is the line "
    .. "in another file.",
  usage = "[FILE]",
  example = "keygen --passphrase my.key",
  settings = { flags = { "json" }, variables = { "json" } },
}

function M.arguments(command)
  command:argument("file", "A file that does not exist, or, with "
    .. "--change-passphrase, one that does."):args("?")
  return {
    command:flag("--passphrase", "Ask for a passphrase, twice."),
    command:option("--passphrase-file", "Read the passphrase from FILE2.")
      :argname("FILE2"),
    command:flag("--change-passphrase", "Give a file that exists another "
      .. "passphrase."),
    command:option("--new-passphrase-file", "With --change-passphrase, read "
      .. "the new passphrase from FILE2."):argname("FILE2"),
  }
end

-- Returns the document and the text of a new key.
local function describe(pair, is_encrypted)
  local publisher = kad.hex(pair.publisher)
  return { publisher = publisher, encrypted = is_encrypted },
    ("publisher %s\n"):format(publisher)
end

-- Writes a key to a new file.
local function create(path, text)
  local created, message, code = core.create_file(path, text)
  if not created then
    fault.failed(message, code)
  end
end

-- Makes a key pair.
local function make()
  local network <close> = session.open()
  local publisher, key = core.keypair(network:random(SEED_SIZE))
  return { publisher = publisher, secret = key }
end

local function make_file(path, args)
  file.check_absent(path)
  local has_phrase = args.passphrase or args.passphrase_file
  local pair = make()
  if not has_phrase then
    create(path, secret.format(pair))
    return describe(pair, false)
  end
  local phrase <close> =
    passphrase.new_for(path, "--passphrase-file", args.passphrase_file)
  create(path, secret.format(pair, phrase))
  return describe(pair, true)
end

local function change(path, args)
  local pair = secret.read("FILE", path, args.passphrase_file)
  local phrase <close> = passphrase.new_for(path, "--new-passphrase-file",
    args.new_passphrase_file)
  file.write(path, secret.format(pair, phrase), "private")
  return describe(pair, true)
end

-- Raises a fault for options that do not fit --change-passphrase.
local function check_change(args)
  if not args.file then
    fault.misuse("--change-passphrase needs FILE")
  elseif args.passphrase then
    fault.misuse("--passphrase is for a new FILE; --change-passphrase asks for "
      .. "one, too")
  end
end

-- Raises a fault for options that do not fit a new key.
local function check_new(args)
  if args.new_passphrase_file then
    fault.misuse("--new-passphrase-file is for --change-passphrase")
  elseif (args.passphrase or args.passphrase_file) and not args.file then
    fault.misuse("a passphrase needs FILE: what is printed is not encrypted")
  elseif args.passphrase and args.passphrase_file then
    fault.misuse("--passphrase asks for what --passphrase-file has")
  end
end

function M.run(args, _)
  local check_usage = args.change_passphrase and check_change or check_new
  check_usage(args)
  local path = args.file and fault.checked("FILE", input.path(args.file))
  if args.change_passphrase then
    return change(path, args)
  elseif path then
    return make_file(path, args)
  end
  local pair = make()
  return { publisher = kad.hex(pair.publisher),
    secret = kad.hex(pair.secret) }, secret.format(pair)
end

return M
