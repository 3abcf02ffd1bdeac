--- Figures of lists of records: shares, means and percentiles.
--
-- Tested by tests/spec/sim/run_spec.lua.

local M = {}

--- Comparisons of a value with its goal, by operator.
M.OPERATORS = {
  [">="] = function(value, goal)
    return value >= goal
  end,
  ["<="] = function(value, goal)
    return value <= goal
  end,
  ["=="] = function(value, goal)
    return value == goal
  end,
  [">"] = function(value, goal)
    return value > goal
  end,
  ["<"] = function(value, goal)
    return value < goal
  end,
}

--- Returns the share of records whose field is true, among those that have the
--- field; nil if none has it.
---@param list table[]
---@param field string
---@return number? share
function M.share(list, field)
  local yes, count = 0, 0
  for _, record in ipairs(list) do
    if record[field] ~= nil then
      yes, count = yes + (record[field] and 1 or 0), count + 1
    end
  end
  return count > 0 and yes / count or nil
end

--- Returns the mean of a field over the records that have it; nil if none has
--- it.
---@param list table[]
---@param field string
---@return number? mean
function M.mean(list, field)
  local sum, count = 0, 0
  for _, record in ipairs(list) do
    local value = record[field]
    if value then
      sum, count = sum + value, count + 1
    end
  end
  return count > 0 and sum / count or nil
end

--- Returns the values of a field, sorted.
---@param list table[]
---@param field string
---@return number[] values
function M.sorted(list, field)
  local values = {}
  for _, record in ipairs(list) do
    values[#values + 1] = record[field]
  end
  table.sort(values)
  return values
end

--- Returns the smallest value of a field that `percent` of its values do not
--- exceed; nil if no record has the field.
---@param list table[]
---@param field string
---@param percent number  0 to 100
---@return number? value
function M.percentile(list, field, percent)
  local values = M.sorted(list, field)
  return values[math.max(1, math.ceil(#values * percent / 100))]
end

return M
