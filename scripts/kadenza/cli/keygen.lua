--- kadenza keygen: makes an Ed25519 key pair, or a network key.
--- Tested by tests/spec/cli/secret_spec.lua,
--- tests/spec/cli/network_keys_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local file = require("kadenza.cli.file")
local input = require("kadenza.cli.input")
local kad = require("kadenza")
local network_key = require("kadenza.network_key")
local network_keys = require("kadenza.cli.network_keys")
local passphrase = require("kadenza.cli.passphrase")
local secret = require("kadenza.cli.secret")
local session = require("kadenza.cli.session")

local SEED_SIZE <const> = 32

local M = {
  summary = "Make a key pair to sign values with, or a network key.",
  description = "Makes an Ed25519 key pair. With FILE, writes it to a new file "
    .. "that only its owner can read, and prints the public key. Without FILE, "
    .. "prints both keys. `kadenza put --key FILE` signs with it.\n\n"
    .. "With --network, makes the key of a sealed overlay, which all of its "
    .. "nodes have: `kadenza run --network-key FILE` uses it. Prints its "
    .. "fingerprint, which is not secret.\n\nA "
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
    command:flag("--network", "Make the network key of a sealed overlay."),
    command:flag("--passphrase", "Ask for a passphrase, twice."),
    command:option("--passphrase-file", "Read the passphrase from FILE2.")
      :argname("FILE2"),
    command:flag("--change-passphrase", "Give a file that exists another "
      .. "passphrase."),
    command:option("--new-passphrase-file", "With --change-passphrase, read "
      .. "the new passphrase from FILE2."):argname("FILE2"),
  }
end

--- A kind of key: makes one; writes it as the text of a file, perhaps sealed;
--- reads a file; describes a key, and shows its secret, as a document and a
--- text.
---@class kadenza.cli.KeyKind
---@field make fun(): any
---@field format fun(key: any, phrase?: kadenza.core.Passphrase): string
---@field read fun(flag: string, path: string, file?: string): any
---@field describe fun(key: any): table, string
---@field reveal fun(key: any): table

---@type kadenza.cli.KeyKind
local PAIR <const> = {
  make = function()
    local network <close> = session.open()
    local publisher, key = core.keypair(network:random(SEED_SIZE))
    return { publisher = publisher, secret = key }
  end,
  format = secret.format,
  read = secret.read,
  describe = function(pair)
    local publisher = kad.hex(pair.publisher)
    return { publisher = publisher }, ("publisher %s\n"):format(publisher)
  end,
  reveal = function(pair)
    return { publisher = kad.hex(pair.publisher),
      secret = kad.hex(pair.secret) }
  end,
}

---@type kadenza.cli.KeyKind
local NETWORK <const> = {
  make = network_key.generate,
  format = network_keys.format,
  read = network_keys.read_file,
  describe = function(key)
    local fingerprint = key:fingerprint()
    return { fingerprint = fingerprint },
      ("fingerprint %s\n"):format(fingerprint)
  end,
  reveal = function(key)
    return { fingerprint = key:fingerprint(), key = kad.hex(key:bytes()) }
  end,
}

-- Returns the document and the text of a key in a file.
local function describe(kind, key, is_encrypted)
  local document, text = kind.describe(key)
  document.encrypted = is_encrypted
  return document, text
end

-- Writes a key to a new file.
local function create(path, text)
  local created, message, code = core.create_file(path, text)
  if not created then
    fault.failed(message, code)
  end
end

local function make_file(kind, path, args)
  file.check_absent(path)
  local has_phrase = args.passphrase or args.passphrase_file
  local key = kind.make()
  if not has_phrase then
    create(path, kind.format(key))
    return describe(kind, key, false)
  end
  local phrase <close> =
    passphrase.new_for(path, "--passphrase-file", args.passphrase_file)
  create(path, kind.format(key, phrase))
  return describe(kind, key, true)
end

local function change(kind, path, args)
  local key = kind.read("FILE", path, args.passphrase_file)
  local phrase <close> = passphrase.new_for(path, "--new-passphrase-file",
    args.new_passphrase_file)
  file.write(path, kind.format(key, phrase), "private")
  return describe(kind, key, true)
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
  local kind = args.network and NETWORK or PAIR
  if args.change_passphrase then
    return change(kind, path, args)
  elseif path then
    return make_file(kind, path, args)
  end
  local key = kind.make()
  return kind.reveal(key), kind.format(key)
end

return M
