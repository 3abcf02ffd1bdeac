--- kadenza put: stores a value in the overlay.
--- Tested by tests/spec/cli/commands_spec.lua.

local client = require("kadenza.cli.client")
local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")
local input = require("kadenza.cli.input")
local kad = require("kadenza")
local record_options = require("kadenza.cli.record_options")
local secret = require("kadenza.cli.secret")

local STDIN <const> = 0
local MAX_VALUE <const> = 1000
local MAX_SALT <const> = 64
local MAX_TTL <const> = 4294967295

local M = {
  summary = "Store a value.",
  description = "Stores VALUE, at most 1000 bytes, under KEY at the nodes "
    .. "closest to it. Without VALUE, or with -, reads the value from standard "
    .. "input.",
  usage = "KEY [VALUE]",
  example = "put greeting hello --bootstrap 192.0.2.1:6881",
  settings = client.SETTINGS,
}

function M.arguments(command)
  command:argument("key", "An id in hexadecimal, or a name that is hashed.")
  command:argument("value", "The value. After -- it may begin with a dash.")
    :args("?")
  return {
    record_options.type_option(command),
    command:option("--ttl", "Time until the value expires. Default: of the "
      .. "type."):argname("SECONDS"),
    command:option("--key", "Sign with the secret key in FILE, made by "
      .. "`kadenza keygen FILE`."):argname("FILE"):target("key_file"),
    command:option("--seq", "Sequence number: the highest one wins.")
      :argname("N"),
    command:option("--salt", "Distinguishes values of one key pair under KEY.")
      :argname("TEXT"),
  }
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
    fault.failed("standard input: " .. message, "KAD_ESYSTEM")
  end
  return value or ""
end

local function check_length(name, text, max)
  if text and #text > max then
    fault.misuse("%s must have at most %d bytes", name, max)
  end
  return text
end

function M.run(args, settings)
  local key = input.key(args.key, settings.id_bits)
  local options = {
    type = record_options.type(args),
    ttl = record_options.integer("--ttl", args.ttl, 1, MAX_TTL),
    seq = record_options.integer("--seq", args.seq, math.mininteger,
      math.maxinteger),
    salt = check_length("--salt", args.salt, MAX_SALT),
    secret = args.key_file and secret.read(args.key_file),
  }
  client.check(settings) -- before the user types a value
  local value = check_length("VALUE", read_value(args.value), MAX_VALUE)
  return client.join(settings, function(node)
    local info = client.need(node:put(key, value, options))
    return {
      key = kad.hex(key),
      stored = info.stored,
      asked = info.asked,
      messages = info.messages,
    }, ("stored at %d of %d nodes\n"):format(info.stored, info.asked)
  end)
end

return M
