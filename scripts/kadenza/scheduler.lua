--- Runs the tasks of one network: a queue of tasks that are ready, and a queue
--- of tasks that were preempted, which continue in later turns of the network.
--- Tested by tests/spec/task_spec.lua.
--
-- `step(task, ...)`, a function of kadenza.task, resumes the coroutine of a
-- task.

local coroutine = require("kadenza.coroutine")
local throttle = require("kadenza.throttle")

local M = {}

-- Steps in one turn of the network: tasks that always wake each other must not
-- starve other work.
local MAX_STEPS <const> = 1000

---@class kadenza.Scheduler
---@field network kadenza.core.Network
---@field live table<kadenza.Task, integer>  tasks that have not ended → number
---@field unawaited kadenza.Task[]  failed tasks that nothing has awaited
---@field throttled fun(name: string, fn: fun(suppressed?: integer))  logs
---  failures of a policy's tasks
---@field endings table[]  functions to call when the network ends
---@field meter? table  with `has_time(network)`, where tasks are metered
local Scheduler = {}
Scheduler.__index = Scheduler

-- Marks the scheduler idle when `drain` returns or raises.
local DrainGuard = {}
DrainGuard.__index = DrainGuard

function DrainGuard:__close()
  self.scheduler.is_draining = false
end

-- A queue holds its items at first … last.
local function new_queue()
  return { first = 1, last = 0 }
end

local function is_empty(queue)
  return queue.first > queue.last
end

local function push(queue, item)
  local last = queue.last + 1
  queue[last] = item -- if this raises for lack of memory, nothing has changed
  queue.last = last
end

local function pop(queue)
  local item = queue[queue.first]
  queue[queue.first] = nil
  queue.first = queue.first + 1
  return item
end

--- Makes the scheduler of a network.
---@param network kadenza.core.Network
---@param step fun(task: kadenza.Task, ...)  runs a task until it yields
---@return kadenza.Scheduler scheduler
function M.new(network, step)
  local scheduler = setmetatable({
    network = network,
    step = step,
    meter = rawget(coroutine, "has_time") and coroutine or nil,
    is_draining = false,
    has_drain_timer = false, -- a timer will call `drain`
    has_paused_timer = false, -- a timer will call `resume_paused`
    ready = new_queue(),
    paused = new_queue(),
    live = {},
    count = 0, -- tasks started so far
    unawaited = {},
    throttled = throttle.new(network),
    endings = {},
  }, Scheduler)
  scheduler.guard = setmetatable({ scheduler = scheduler }, DrainGuard)
  return scheduler
end

--- Adds a task to those that have not ended.
---@param task kadenza.Task
function Scheduler:add(task)
  self.count = self.count + 1
  self.live[task] = self.count
end

--- Queues a task that is ready, and the values to resume it with.
---@param task kadenza.Task
---@param ... any
function Scheduler:enqueue(task, ...)
  push(self.ready, { task = task, ... })
end

-- Tells whether another task may run in this turn: metered tasks share its
-- time. Tasks that were paused have half of it.
function Scheduler:has_time(was_paused)
  return not self.meter or self.meter.has_time(self.network, was_paused)
end

-- Calls `method` in the next turn; `flag` is set until then.
function Scheduler:schedule(flag, method)
  if not self[flag] and self.network:is_open() then
    self.network:start_timer(0, function()
      self[flag] = false
      method(self)
    end)
    self[flag] = true -- after start_timer, which may raise for lack of memory
  end
end

--- Runs the tasks that are ready. Does nothing inside of a task that it runs.
function Scheduler:drain()
  if self.is_draining then
    return
  end
  self.is_draining = true
  local _ <close> = self.guard
  local ready, steps = self.ready, 0
  while not is_empty(ready) and steps < MAX_STEPS
    and (steps == 0 or self:has_time())
  do
    local entry = pop(ready)
    steps = steps + 1
    self.step(entry.task, table.unpack(entry))
  end
  if not is_empty(ready) then
    self:schedule("has_drain_timer", self.drain)
  end
end

-- Resumes paused tasks one after the other while the turn has time. A task that
-- is preempted again goes to the end of the queue.
function Scheduler:resume_paused()
  local paused = self.paused
  self:has_time() -- begins the share of this turn
  local last = paused.last
  repeat
    self:enqueue(pop(paused))
    self:drain()
  until paused.first > last or not self:has_time(true)
  if not is_empty(paused) then
    self:schedule("has_paused_timer", self.resume_paused)
  end
end

--- Queues a task that was preempted, to be resumed in a later turn.
---@param task kadenza.Task
function Scheduler:pause(task)
  push(self.paused, task)
  self:schedule("has_paused_timer", self.resume_paused)
end

--- Returns the tasks that have not ended, in the order of their start.
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
