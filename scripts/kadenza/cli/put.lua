--- kadenza put: stores a value in the overlay.
--- Tested by tests/spec/cli/commands_spec.lua.

local client = require("kadenza.cli.client")
local config = require("kadenza.cli.config")
local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")
local input = require("kadenza.cli.input")
local item = require("kadenza.cli.item")
local kad = require("kadenza")
local output = require("kadenza.cli.output")
local schema = require("kadenza.cli.schema")
local secret = require("kadenza.cli.secret")
local size_limit = require("kadenza.size_limit")

local STDIN <const> = 0

local M = {
  summary = "Store a value.",
  description = "Stores VALUE, at most 1000 bytes or what its type allows, "
    .. "under KEY at the nodes closest to it. Without VALUE, or with -, reads "
    .. "the value from standard input.\n\nWith --immutable or --mutable stores "
    .. "an item that all nodes of BitTorrent's DHT know (BEP 44), and prints "
    .. "its target.",
  usage = "KEY [VALUE]",
  more_usages = { "--immutable [VALUE]", "--mutable --key FILE [VALUE]" },
  example = "put greeting hello --bootstrap 192.0.2.1:6881",
  settings = client.SETTINGS,
}

-- Options of this command only.
local OPTIONS <const> = {
  schema.RECORD_TYPE,
  { name = "ttl", kind = "number", flag = "--ttl", min = 1, max = 4294967295,
    argname = "SECONDS",
    text = "Time until the value expires, at most that of the type, which is "
      .. "the default." },
  schema.MIN_STORED,
  { name = "seq", kind = "number", flag = "--seq", min = math.mininteger,
    max = math.maxinteger, argname = "N",
    text = "Sequence number: the highest one wins. With --mutable, default: "
      .. "the next one." },
  { name = "cas", kind = "number", flag = "--cas", min = 0,
    max = math.maxinteger, argname = "N",
    text = "With --mutable, fail unless the stored item has the sequence "
      .. "number N. Default without --seq: that of the item that is found." },
  { name = "salt", kind = "text", flag = "--salt", argname = "TEXT",
    check = "salt",
    text = "Distinguishes values of one key pair." },
}

-- Which forms of the command take which options.
local FORMS <const> = {
  { "type", "--type", plain = true },
  { "key_file", "--key", plain = true, mutable = true },
  { "salt", "--salt", plain = true, mutable = true },
  { "seq", "--seq", plain = true, mutable = true },
  { "cas", "--cas", mutable = true },
  { "raw", "--raw", immutable = true, mutable = true },
}

function M.arguments(command)
  command:argument("key", "An id in hexadecimal, or a name that is hashed.")
    :args("?")
  command:argument("value", "The value. After -- it may begin with a dash.")
    :args("?")
  local options = schema.add_options(command, OPTIONS)
  table.insert(options, 3, command:option("--key", "Sign with the secret key "
    .. "in FILE, made by `kadenza keygen FILE`."):argname("FILE")
    :target("key_file"))
  table.insert(options, 4, command:option("--passphrase-file", "Read the "
    .. "passphrase of the key from FILE. Default: ask at the terminal.")
    :argname("FILE"))
  local flags = item.add_flags(command,
    "Store an immutable item, whose target is the hash of VALUE.",
    "Store a mutable item, whose target is the hash of the public key in "
      .. "--key FILE, and of --salt.",
    "VALUE of the item is bencoded already. Default: it is a string.")
  table.move(flags, 1, #flags, #options + 1, options)
  return options
end

local function read_value(argument)
  if argument and argument ~= "-" then
    return argument
  end
  if host.is_terminal(STDIN) then
    io.stderr:write("Type the value, then Ctrl-D on a line of its own.\n")
  end
  local value, message = io.stdin:read(size_limit.VALUE + 1)
  if not value and message then
    fault.failed("standard input: read: " .. message, "KAD_ESYSTEM")
  end
  return value or ""
end

-- Says where the value is stored, and that it lives for less than was asked.
local function describe(info, asked_ttl)
  local text = ("stored at %d of %d nodes"):format(info.stored, info.asked)
  if asked_ttl and info.ttl and info.ttl < asked_ttl then
    text = ("%s for %d seconds: its type does not allow %d")
      :format(text, info.ttl, asked_ttl)
  end
  return text .. "\n"
end

-- Returns the secret key of --key, if that is given.
local function read_secret(args)
  if args.key_file then
    return secret.read("--key", args.key_file, args.passphrase_file).secret
  elseif args.passphrase_file then
    fault.misuse("--passphrase-file is for --key")
  end
end

-- Returns the value of a command line, at most size_limit.VALUE bytes.
local function check_value(argument)
  local value = read_value(argument)
  if #value > size_limit.VALUE then
    fault.misuse("VALUE must have at most %d bytes", size_limit.VALUE)
  end
  return value
end

-- Returns the document of a put, without what names the record.
local function to_document(info, options)
  return {
    stored = info.stored,
    asked = info.asked,
    messages = info.messages,
    ttl = info.ttl,
    asked_ttl = options.ttl,
  }
end

-- Raises a fault for a command line that is wrong for an item.
local function check_item(kind, args, options)
  if args.value then
    fault.usage("kadenza put", "too many arguments: --" .. kind
      .. " takes VALUE only")
  elseif kind == "mutable" and not args.key_file then
    fault.misuse("--mutable needs --key FILE: the key that signs it")
  elseif options.seq and options.seq < 0 then
    fault.misuse("--seq must be an integer from 0 with --mutable")
  end
end

-- Puts an item; its VALUE is where that of others has KEY.
local function put_item(kind, args, settings, options)
  check_item(kind, args, options)
  client.check(settings)
  local key = read_secret(args)
  local value = check_value(args.key)
  item.check_value(value, args.raw)
  return client.join(settings, function(node)
    local more = { raw = args.raw, ttl = options.ttl,
      min_stored = options.min_stored }
    local target, info
    if kind == "immutable" then
      target, info = client.need(node:put_immutable(value, more))
    else
      more.key, more.value = key, value
      more.salt, more.seq, more.cas = options.salt, options.seq, options.cas
      target, info = client.need(node:put_mutable(more))
    end
    local document = to_document(info, options)
    document.target, document.seq = kad.hex(target), info.seq
    document.publisher = info.publisher and kad.hex(info.publisher)
    output.set_bytes(document, "salt", info.salt)
    return document, ("target %s\n%s%s"):format(document.target,
      info.seq and ("seq %d\n"):format(info.seq) or "",
      describe(info, options.ttl))
  end)
end

function M.run(args, settings)
  local kind = item.kind(args, FORMS, settings)
  local options = config.read_own(OPTIONS, args)
  if kind then
    return put_item(kind, args, settings, options)
  elseif not args.key then
    fault.usage("kadenza put", "missing argument 'key'")
  end
  local key = input.key(args.key, settings.id_bits)
  client.check(settings) -- before the user types anything
  options.secret = read_secret(args)
  local value = check_value(args.value)
  return client.join(settings, function(node)
    local info = client.need(node:put(key, value, options))
    local document = to_document(info, options)
    document.key = kad.hex(key)
    return document, describe(info, options.ttl)
  end)
end

return M
