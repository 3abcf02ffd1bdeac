--- kadenza get: looks up values.
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
local shown = require("kadenza.shown")

local STDOUT <const> = 1
local TARGET_BITS <const>, PUBLISHER_BITS <const> = 160, 256

local M = {
  summary = "Look up a value.",
  description = "Prints the value under KEY, byte for byte. On a terminal, "
    .. "controls are escaped, and a newline follows.\n\nWith --immutable or "
    .. "--mutable prints the value of an item of BitTorrent's DHT (BEP 44). A "
    .. "value that is no string is printed as JSON.",
  usage = "KEY",
  more_usages = { "--immutable TARGET", "--mutable PUBLISHER" },
  example = "get greeting --bootstrap 192.0.2.1:6881",
  settings = client.SETTINGS,
  is_raw = true,
}

-- Options of this command only.
local OPTIONS <const> = {
  schema.RECORD_TYPE,
  { name = "all", kind = "switch", flag = "--all",
    text = "Print every value, one a line." },
  { name = "quorum", kind = "number", flag = "--quorum", min = 1, max = 20,
    argname = "N",
    text = "End when N nodes had a value. Default: ask all of the closest "
      .. "nodes." },
  { name = "salt", kind = "text", flag = "--salt", argname = "TEXT",
    check = "salt", text = "Salt of the mutable item." },
}

-- Which forms of the command take which options.
local FORMS <const> = {
  { "type", "--type", plain = true },
  { "all", "--all", plain = true },
  { "salt", "--salt", mutable = true },
  { "raw", "--raw", immutable = true, mutable = true },
}

function M.arguments(command)
  command:argument("key", "An id in hexadecimal, or a name that is hashed; of "
    .. "an item TARGET or PUBLISHER in hexadecimal.")
  local options = schema.add_options(command, OPTIONS)
  local flags = item.add_flags(command,
    "Print the immutable item with this TARGET.",
    "Print the mutable item of this PUBLISHER, a public key, and of --salt.",
    "Print the bencoded bytes of the item.")
  return table.move(flags, 1, #flags, #options + 1, options)
end

--- Returns the document of a record.
---@param record table
---@return table document
function M.describe(record)
  local described = {
    type = record.type,
    seq = record.seq,
    ttl = record.ttl,
    age = record.age,
    publisher = record.publisher and kad.hex(record.publisher),
  }
  output.set_bytes(described, "value", record.value)
  output.set_bytes(described, "salt", record.salt)
  return described
end

local function add_info(document, info)
  document.holders = info.holders
  document.hops = info.hops
  document.messages = info.messages
  return document
end

-- Returns a value as it is written: a terminal must not obey it.
local function to_text(value)
  return host.is_terminal(STDOUT) and shown.lines(value) or value
end

local function print_all(key, records, info)
  local rows, lines = {}, {}
  for i, record in ipairs(records) do
    rows[i] = M.describe(record)
    lines[i] = to_text(record.value) .. "\n"
  end
  return add_info({ key = kad.hex(key), values = output.array(rows) }, info),
    table.concat(lines)
end

local function print_one(key, value, info)
  local document = M.describe(info)
  document.value, document.value_hex, document.key = nil, nil, kad.hex(key)
  output.set_bytes(document, "value", value)
  return add_info(document, info),
    to_text(value) .. (host.is_terminal(STDOUT) and "\n" or "")
end

-- Returns a string as it is printed, another value as a line.
local function item_text(value)
  if type(value) ~= "string" then
    return item.text_of(value)
  end
  return to_text(value) .. (host.is_terminal(STDOUT) and "\n" or "")
end

-- Prints an item.
local function get_item(kind, args, settings, options)
  local bits = kind == "immutable" and TARGET_BITS or PUBLISHER_BITS
  local name = fault.checked(kind == "immutable" and "TARGET" or "PUBLISHER",
    input.id(args.key, bits))
  return client.join(settings, function(node)
    local value, info = client.need(node["get_" .. kind](node, name, {
      raw = args.raw, salt = options.salt, quorum = options.quorum }))
    return item.describe(value, info), item_text(value)
  end)
end

function M.run(args, settings)
  local kind = item.kind(args, FORMS, settings)
  local options = config.read_own(OPTIONS, args)
  if kind then
    return get_item(kind, args, settings, options)
  end
  local key = input.key(args.key, settings.id_bits)
  return client.join(settings, function(node)
    local value, info = client.need(node:get(key, options))
    return (options.all and print_all or print_one)(key, value, info)
  end)
end

return M
