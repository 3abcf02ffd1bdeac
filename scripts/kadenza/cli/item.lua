--- The items of BEP 44 on the command line: what `put` and `get` share.
--- Tested by tests/spec/cli/item_spec.lua.

local fault = require("kadenza.cli.fault")
local json = require("kadenza.json")
local kad = require("kadenza")
local output = require("kadenza.cli.output")

local M = {}

local ID_BITS <const> = 160

--- An option that only some forms of a command take: the field of the command
--- line, the flag, and the forms, `plain`, `immutable` and `mutable`.
---@class kadenza.cli.FormRule
---@field [1] string
---@field [2] string
---@field plain? boolean
---@field immutable? boolean
---@field mutable? boolean

--- Adds the flags that choose an item to a command of argparse.
---@param command table
---@param immutable string  their texts
---@param mutable string
---@param raw string
---@return table[] elements
function M.add_flags(command, immutable, mutable, raw)
  return {
    command:flag("--immutable", immutable),
    command:flag("--mutable", mutable),
    command:flag("--raw", raw),
  }
end

-- Raises a fault for an option that a form of the command does not take.
local function refuse(rule, kind)
  if kind then
    fault.misuse("%s is not for --%s", rule[2], kind)
  end
  fault.misuse("%s is for %s", rule[2], rule.immutable
    and "--immutable and --mutable" or "--mutable")
end

-- Raises a fault unless the overlay can have items.
local function check_bits(kind, settings)
  if (settings.id_bits or ID_BITS) ~= ID_BITS then
    fault.misuse("--%s needs an overlay with ids of %d bits, not %d", kind,
      ID_BITS, settings.id_bits)
  end
end

-- Returns the kind of item that the flags choose, or nil.
local function chosen_kind(args)
  if args.immutable and args.mutable then
    fault.misuse("an item is --immutable or --mutable, not both")
  elseif args.immutable then
    return "immutable"
  end
  return args.mutable and "mutable" or nil
end

--- Returns which kind of item a command line is about; nil: a record under a
--- key. Raises a fault for options that do not fit.
---@param args table
---@param rules kadenza.cli.FormRule[]
---@param settings table
---@return "immutable"|"mutable"|nil kind
function M.kind(args, rules, settings)
  local kind = chosen_kind(args)
  for _, rule in ipairs(rules) do
    if args[rule[1]] ~= nil and not rule[kind or "plain"] then
      refuse(rule, kind)
    end
  end
  if kind then
    check_bits(kind, settings)
  end
  return kind
end

--- Raises a fault unless a value can be that of an item.
---@param value string
---@param raw? boolean  it is bencoded already
function M.check_value(value, raw)
  local target, message = kad.immutable_target(value, { raw = raw })
  if not target then
    fault.misuse("VALUE: %s", message)
  end
end

--- Returns the document of an item that was found.
---@param value any
---@param info kadenza.Info  of the get
---@return table document
function M.describe(value, info)
  local document = {
    target = kad.hex(info.target),
    seq = info.seq,
    ttl = info.ttl,
    age = info.age,
    publisher = info.publisher and kad.hex(info.publisher),
    holders = info.holders,
    hops = info.hops,
    messages = info.messages,
  }
  output.set_bytes(document, "salt", info.salt)
  if type(value) == "string" then
    output.set_bytes(document, "value", value)
  else
    document.value = value
  end
  return document
end

--- Returns the text of a value that is no string, on a line: an integer, or a
--- list or dictionary as JSON.
---@param value integer|table
---@return string text
function M.text_of(value)
  return (math.type(value) and tostring(value) or json.encode(value)) .. "\n"
end

return M
