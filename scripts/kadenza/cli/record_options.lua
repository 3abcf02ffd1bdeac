--- Options of `get` and `put` about the record.
--- Tested by tests/spec/cli/commands_spec.lua, tests/spec/cli/usage_spec.lua.

local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")

local M = {}

local MAX_TYPE <const> = 32

--- Adds --type to a command of argparse; returns it.
---@param command table
---@return table element  of argparse
function M.type_option(command)
  return command:option("--type", "Record type that a --policy defines. "
    .. "Default: value."):argname("TYPE")
end

--- Returns the record type.
---@param args table
---@return string type
function M.type(args)
  local name = args.type or "value"
  if name == "" or #name > MAX_TYPE then
    fault.misuse("--type must have 1 to %d bytes, not %s", MAX_TYPE,
      input.shown(name))
  end
  return name
end

--- Reads an integer option that may be absent.
---@param flag string
---@param text? string
---@param min integer
---@param max integer
---@return integer? value
function M.integer(flag, text, min, max)
  if not text then
    return nil
  end
  local option = { kind = "number", min = min, max = max }
  return fault.checked(flag, input.option(option, input.parse(option, text)))
end

return M
