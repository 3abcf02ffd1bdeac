--- kadenza put: stores a value in the overlay.
--- Tested by tests/spec/cli/commands_spec.lua.

local client = require("kadenza.cli.client")
local config = require("kadenza.cli.config")
local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")
local input = require("kadenza.cli.input")
local kad = require("kadenza")
local schema = require("kadenza.cli.schema")
local secret = require("kadenza.cli.secret")

local STDIN <const> = 0
local MAX_VALUE <const> = 1000

local M = {
  summary = "Store a value.",
  description = "Stores VALUE, at most 1000 bytes, under KEY at the nodes "
    .. "closest to it. Without VALUE, or with -, reads the value from standard "
    .. "input.",
  usage = "KEY [VALUE]",
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
    text = "Sequence number: the highest one wins." },
  { name = "salt", kind = "text", flag = "--salt", argname = "TEXT",
    check = "salt",
    text = "Distinguishes values of one key pair under KEY." },
}

function M.arguments(command)
  command:argument("key", "An id in hexadecimal, or a name that is hashed.")
  command:argument("value", "The value. After -- it may begin with a dash.")
    :args("?")
  local options = schema.add_options(command, OPTIONS)
  table.insert(options, 3, command:option("--key", "Sign with the secret key "
    .. "in FILE, made by `kadenza keygen FILE`."):argname("FILE")
    :target("key_file"))
  table.insert(options, 4, command:option("--passphrase-file", "Read the "
    .. "passphrase of the key from FILE. Default: ask at the terminal.")
    :argname("FILE"))
  return options
end

local function read_value(argument)
  if argument and argument ~= "-" then
    return argument
  end
  if host.is_terminal(STDIN) then
    io.stderr:write("Type the value, then Ctrl-D on a line of its own.\n")
  end
  local value, message = io.stdin:read(MAX_VALUE + 1)
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

function M.run(args, settings)
  local key = input.key(args.key, settings.id_bits)
  local options = config.read_own(OPTIONS, args)
  client.check(settings) -- before the user types anything
  options.secret = read_secret(args)
  local value = read_value(args.value)
  if #value > MAX_VALUE then
    fault.misuse("VALUE must have at most %d bytes", MAX_VALUE)
  end
  return client.join(settings, function(node)
    local info = client.need(node:put(key, value, options))
    return {
      key = kad.hex(key),
      stored = info.stored,
      asked = info.asked,
      messages = info.messages,
      ttl = info.ttl,
      asked_ttl = options.ttl,
    }, describe(info, options.ttl)
  end)
end

return M
