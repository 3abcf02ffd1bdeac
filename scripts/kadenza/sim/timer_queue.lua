--- A timer queue: items, each with a time, the earliest first. An item takes as
--- much memory as two numbers.
--
--     local queue = require("kadenza.sim.timer_queue").new()
--     queue:add(3600, node)
--     while (queue:next_time() or math.huge) <= now do
--       local node = queue:pop()
--       ...
--     end

local M = {}

---@class kadenza.sim.TimerQueue
---@field private times number[]  a binary heap
---@field private items any[]  by the place of their time
local TimerQueue = {}
TimerQueue.__index = TimerQueue

--- Returns an empty queue.
---@return kadenza.sim.TimerQueue queue
function M.new()
  return setmetatable({ times = {}, items = {} }, TimerQueue)
end

--- Adds an item.
---@param time number
---@param item any
function TimerQueue:add(time, item)
  local times, items = self.times, self.items
  local i = #times + 1
  while i > 1 and times[i // 2] > time do
    times[i], items[i] = times[i // 2], items[i // 2]
    i = i // 2
  end
  times[i], items[i] = time, item
end

-- Returns the child of `i` with the earlier time, or nil.
local function earlier_child(times, i, last)
  local child = 2 * i
  if child > last then
    return nil
  elseif child < last and times[child + 1] < times[child] then
    return child + 1
  end
  return child
end

--- Removes the earliest item and returns it; nil from an empty queue.
---@return any item
---@return number? time
function TimerQueue:pop()
  local times, items = self.times, self.items
  local last = #times
  local first_time, first = times[1], items[1]
  local time, item = times[last], items[last]
  times[last], items[last] = nil, nil
  last = last - 1
  if last < 1 then
    return first, first_time
  end
  local i = 1
  local child = earlier_child(times, i, last)
  while child and times[child] < time do
    times[i], items[i] = times[child], items[child]
    i = child
    child = earlier_child(times, i, last)
  end
  times[i], items[i] = time, item
  return first, first_time
end

--- Returns the time of the earliest item, or nil.
---@return number? time
function TimerQueue:next_time()
  return self.times[1]
end

return M
