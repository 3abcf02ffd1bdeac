--- An agenda: things to do, each at its time, the earliest first. One of many
--- thousands takes as much memory as two numbers.
--
--     local agenda = require("kadenza.sim.agenda").new()
--     agenda:add(3600, node)
--     while agenda:is_due(now) do
--       leave(agenda:take())
--     end

local M = {}

---@class kadenza.sim.Agenda
---@field private times number[]  a binary heap
---@field private things any[]  what is to be done at these
local Agenda = {}
Agenda.__index = Agenda

--- Makes one that is empty.
---@return kadenza.sim.Agenda agenda
function M.new()
  return setmetatable({ times = {}, things = {} }, Agenda)
end

--- Adds a thing to do.
---@param time number
---@param thing any
function Agenda:add(time, thing)
  local times, things = self.times, self.things
  local i = #times + 1
  while i > 1 and times[i // 2] > time do
    times[i], things[i] = times[i // 2], things[i // 2]
    i = i // 2
  end
  times[i], things[i] = time, thing
end

-- Returns the child of `i` that is due before the other, or nil.
local function earlier_child(times, i, last)
  local child = 2 * i
  if child > last then
    return nil
  elseif child < last and times[child + 1] < times[child] then
    return child + 1
  end
  return child
end

--- Removes the earliest thing and returns it; nil when there is none.
---@return any thing
---@return number? time
function Agenda:take()
  local times, things = self.times, self.things
  local last = #times
  local first_time, first = times[1], things[1]
  local time, thing = times[last], things[last]
  times[last], things[last] = nil, nil
  last = last - 1
  if last < 1 then
    return first, first_time
  end
  local i = 1
  local child = earlier_child(times, i, last)
  while child and times[child] < time do
    times[i], things[i] = times[child], things[child]
    i = child
    child = earlier_child(times, i, last)
  end
  times[i], things[i] = time, thing
  return first, first_time
end

--- Returns when the earliest thing is due, or nil.
---@return number? time
function Agenda:next_time()
  return self.times[1]
end

return M
