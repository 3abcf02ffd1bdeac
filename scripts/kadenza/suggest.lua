--- Suggestions: the known name that is closest to a mistyped word.

local sorted = require("kadenza.sorted")

local M = {}

-- A longer word is not compared.
local MAX_LENGTH <const> = 40

-- Returns the Levenshtein distance: how many bytes to insert, remove or change
-- to get from `a` to `b`.
local function edit_distance(a, b)
  local row = {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local least = math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
      diagonal, row[j] = row[j], least
    end
  end
  return row[#b]
end

--- Returns the name with the smallest edit distance to `word`, the first of
--- several; nil if all are farther than `limit`.
---@param word string
---@param names string[]
---@param limit integer
---@return string? name
function M.closest(word, names, limit)
  if #word > MAX_LENGTH then
    return nil
  end
  local best, least = nil, limit + 1
  for _, name in ipairs(names) do
    local distance = edit_distance(word, name)
    if distance < least then
      best, least = name, distance
    end
  end
  return best
end

--- Returns " (did you mean 'x'?)" for the key of a table that is at most two
--- changes away from `word`, one if that has one or two letters; or "".
---@param word string
---@param names table<string, any>
---@return string hint
function M.hint(word, names)
  local name = M.closest(word, sorted(names), #word < 3 and 1 or 2)
  return name and " (did you mean '" .. name .. "'?)" or ""
end

return M
