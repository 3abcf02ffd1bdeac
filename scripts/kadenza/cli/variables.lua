--- The environment: finds variables that look like options and are none.
--- Tested by tests/spec/cli/variables_spec.lua.

local closest = require("kadenza.suggest").closest
local core = require("kadenza.core")
local log = require("kadenza.log")
local schema = require("kadenza.cli.schema")

local M = {}

local PREFIX <const> = "KADENZA_"

-- Variables of other parts: KADENZA_SEED is read by `kadenza.testing`.
local OTHERS <const> = { KADENZA_SEED = true }

-- Returns the names of all options without the prefix, in upper case, and by
-- each such name, or that of a flag such as POLICY for --policy, the variable.
local function list_known()
  local names, variables = {}, {}
  for i, option in ipairs(schema.OPTIONS) do
    names[i] = option.name:upper()
    variables[names[i]] = schema.variable(option)
    variables[option.flag:sub(3):gsub("-", "_"):upper()] =
      schema.variable(option)
  end
  return names, variables
end

--- Returns the variables of the environment that begin with KADENZA_ and belong
--- to no option, in order, and for each the variable that is meant, if known.
---@return { name: string, meant?: string }[] unknown
function M.unknown()
  local names, variables = list_known()
  local found, unknown = core.variables(PREFIX), {}
  table.sort(found)
  for _, name in ipairs(found) do
    local rest = name:sub(#PREFIX + 1)
    local word = rest:upper()
    if variables[word] ~= name and not OTHERS[name] then
      local meant = variables[word] and word
        or closest(word, names, #word // 3)
      unknown[#unknown + 1] = { name = name, meant = variables[meant] }
    end
  end
  return unknown
end

--- Logs a warning for each such variable.
function M.warn()
  for _, variable in ipairs(M.unknown()) do
    log.warn("an unknown variable is ignored", {
      variable = variable.name,
      did_you_mean = variable.meant,
    })
  end
end

return M
