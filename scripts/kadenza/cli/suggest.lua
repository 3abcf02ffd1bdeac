--- Suggestions in the messages of commands.
--
-- Tested by tests/spec/cli/usage_spec.lua, tests/spec/cli/config_spec.lua.

local closest = require("kadenza.suggest").closest

local M = {}

-- A suggested name differs in at most one letter for each so many of the word.
local LETTERS_A_CHANGE <const> = 3

--- Returns "; did you mean 'NAME'?" for the closest of `names`, or "".
---@param word string
---@param names string[]
---@return string suggestion
function M.of(word, names)
  local name = closest(word, names, #word // LETTERS_A_CHANGE)
  return name and ("; did you mean '%s'?"):format(name) or ""
end

return M
