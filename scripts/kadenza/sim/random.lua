--- Random numbers of a simulation, all from the network's own stream: the same
--- seed gives the same numbers.
--
-- Tested by tests/spec/sim/population_spec.lua.

local M = {}

-- A double holds 53 bits of a number between 0 and 1.
local UNIT <const> = 0x1p-53

--- Draws a number from 0 to below 1.
---@param network kadenza.core.Network
---@return number
function M.uniform(network)
  return (string.unpack("<i8", network:random(8)) >> 11) * UNIT
end

--- Draws an integer from 1 to `last`.
---@param network kadenza.core.Network
---@param last integer
---@return integer
function M.integer(network, last)
  return 1 + math.floor(M.uniform(network) * last)
end

--- Draws `count` different items of a list, or all of a shorter list.
---@generic T
---@param network kadenza.core.Network
---@param list T[]
---@param count integer
---@return T[] items
function M.sample(network, list, count)
  local moved, items = {}, {} -- moved: place → item, where the list has another
  for i = 1, math.min(count, #list) do
    local j = i - 1 + M.integer(network, #list - i + 1)
    items[i] = moved[j] or list[j]
    moved[j] = moved[i] or list[i]
  end
  return items
end

return M
