--- Suggestions in the messages of the commands.

local closest = require("kadenza.suggest").closest

local M = {}

-- A name is suggested if one letter differs for each so many of the word.
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
