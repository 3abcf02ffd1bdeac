--- What the tasks of one network have to run, and when: a queue of tasks that
--- are ready, and one of those that were preempted, which go on in later turns
--- of the network, after all else has had its turn.
--
-- It knows nothing of coroutines: `step(task, ...)` is kadenza.task's.

local throttle = require("kadenza.throttle")

local M = {}

-- Steps in one turn of the network: tasks that keep waking one another let it
-- do something else in between.
local MAX_STEPS <const> = 1000

---@class kadenza.Scheduler
---@field network kadenza.core.Network
---@field live table<kadenza.Task, integer>  what is under way → its number
---@field unseen kadenza.Task[]  failed tasks that nobody has awaited
---@field say fun(name: string, fn: fun(unsaid?: integer))  of the failures of a
---  policy's tasks
---@field endings table[]  what to do when the network ends
---@field meter? table  where tasks are metered: `has_time(network)`
local Scheduler = {}
Scheduler.__index = Scheduler

-- Ends the work of `drain`, also when an error ends it.
local Idle = {}
Idle.__index = Idle

function Idle:__close()
  self.scheduler.draining = false
end

-- Queues hold their items at first … last.
local function new_queue()
  return { first = 1, last = 0 }
end

local function is_empty(queue)
  return queue.first > queue.last
end

local function put(queue, item)
  local last = queue.last + 1
  queue[last] = item -- raises when memory ends: nothing has changed then
  queue.last = last
end

local function take(queue)
  local item = queue[queue.first]
  queue[queue.first] = nil
  queue.first = queue.first + 1
  return item
end

--- Makes the scheduler of a network.
---@param network kadenza.core.Network
---@param step fun(task: kadenza.Task, ...)  runs a task until it waits
---@return kadenza.Scheduler scheduler
function M.new(network, step)
  local scheduler = setmetatable({
    network = network,
    step = step,
    meter = rawget(coroutine, "has_time") and coroutine or nil,
    draining = false,
    planned = false, -- a timer is to go on with what is ready
    resuming = false, -- … with what is paused
    ready = new_queue(),
    paused = new_queue(),
    live = {},
    count = 0, -- of tasks so far
    unseen = {},
    say = throttle.new(network),
    endings = {},
  }, Scheduler)
  scheduler.idle = setmetatable({ scheduler = scheduler }, Idle)
  return scheduler
end

--- Counts a task as under way.
---@param task kadenza.Task
function Scheduler:enlist(task)
  self.count = self.count + 1
  self.live[task] = self.count
end

--- Has a task go on with these values when it is its turn.
---@param task kadenza.Task
---@param ... any
function Scheduler:enqueue(task, ...)
  put(self.ready, { task = task, ... })
end

-- Where tasks are metered, those of a turn share its time.
function Scheduler:has_time()
  return not self.meter or self.meter.has_time(self.network)
end

-- Calls `go_on` in a later turn; `flag` tells that this is planned.
function Scheduler:plan(flag, go_on)
  if not self[flag] and self.network:is_open() then
    self.network:start_timer(0, function()
      self[flag] = false
      go_on(self)
    end)
    self[flag] = true -- not before: start_timer raises when memory ends
  end
end

--- Runs what is ready, unless it is being run already.
function Scheduler:drain()
  if self.draining then
    return
  end
  self.draining = true
  local _ <close> = self.idle
  local ready, steps = self.ready, 0
  while not is_empty(ready) and steps < MAX_STEPS
    and (steps == 0 or self:has_time())
  do
    local entry = take(ready)
    steps = steps + 1
    self.step(entry.task, table.unpack(entry))
  end
  if not is_empty(ready) then
    self:plan("planned", self.drain)
  end
end

-- Lets paused tasks go on, one after the other, as long as the turn lasts.
-- Those that are preempted again come last.
function Scheduler:resume_paused()
  local paused = self.paused
  local last = paused.last
  repeat
    self:enqueue(take(paused))
    self:drain()
  until paused.first > last or not self:has_time()
  if not is_empty(paused) then
    self:plan("resuming", self.resume_paused)
  end
end

--- Has a task that was preempted go on in a later turn.
---@param task kadenza.Task
function Scheduler:pause(task)
  put(self.paused, task)
  self:plan("resuming", self.resume_paused)
end

--- Returns what is under way, in the order of its start.
---@return kadenza.Task[] tasks
function Scheduler:list()
  local numbers, by_number, list = {}, {}, {}
  for task, number in pairs(self.live) do
    numbers[#numbers + 1] = number
    by_number[number] = task
  end
  table.sort(numbers)
  for i, number in ipairs(numbers) do
    list[i] = by_number[number]
  end
  return list
end

return M
