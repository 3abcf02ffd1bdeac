--- kadenza get: looks up values.
--- Tested by tests/spec/cli/commands_spec.lua.

local client = require("kadenza.cli.client")
local config = require("kadenza.cli.config")
local host = require("kadenza.host")
local input = require("kadenza.cli.input")
local kad = require("kadenza")
local output = require("kadenza.cli.output")
local schema = require("kadenza.cli.schema")
local shown = require("kadenza.shown")

local STDOUT <const> = 1

local M = {
  summary = "Look up a value.",
  description = "Prints the value under KEY, byte for byte. On a terminal, "
    .. "controls are escaped, and a newline follows.",
  usage = "KEY",
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
}

function M.arguments(command)
  command:argument("key", "An id in hexadecimal, or a name that is hashed.")
  return schema.add_options(command, OPTIONS)
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

function M.run(args, settings)
  local key = input.key(args.key, settings.id_bits)
  local options = config.read_own(OPTIONS, args)
  return client.join(settings, function(node)
    local value, info = client.need(node:get(key, options))
    return (options.all and print_all or print_one)(key, value, info)
  end)
end

return M
