--- Suggestions: the name that somebody may have meant.

local M = {}

-- A name is suggested if one letter differs for each so many of the word.
local LETTERS_A_CHANGE <const> = 3

-- What is longer is no mistyped name.
local LONGEST <const> = 40

-- Returns the next row of the edit distances between two words.
local function next_row(before, char, other)
  local row = { [0] = before[0] + 1 }
  for i = 1, #other do
    local change = other:sub(i, i) == char and 0 or 1
    row[i] = math.min(before[i] + 1, row[i - 1] + 1, before[i - 1] + change)
  end
  return row
end

--- Returns how many letters to insert, remove or change from `a` to `b`.
---@param a string
---@param b string
---@return integer distance
function M.distance(a, b)
  local row = {}
  for i = 0, #b do
    row[i] = i
  end
  for char in a:gmatch(".") do
    row = next_row(row, char, b)
  end
  return row[#b]
end

--- Returns "; did you mean 'NAME'?" for the closest of `names`, or "".
---@param word string
---@param names string[]
---@return string suggestion
function M.of(word, names)
  if #word > LONGEST then
    return ""
  end
  local best, least = nil, #word // LETTERS_A_CHANGE + 1
  for _, name in ipairs(names) do
    local distance = M.distance(word, name)
    if distance < least then
      best, least = name, distance
    end
  end
  return best and ("; did you mean '%s'?"):format(best) or ""
end

return M
