--- Tasks: coroutines that belong to a network and wait on its clock.
--
-- A task runs until it waits; the event that it waits for resumes it. All
-- waiting goes through `task.wait`, so that the same code runs on sockets, in
-- the simulator and in a policy:
--
--     local first = task.spawn(network, function()
--       task.sleep(1)
--       return "done"
--     end)
--     -- in another task:
--     print(first:await())
--
-- A task may wait inside of coroutines that it resumes: kadenza.coroutine.
--
-- Only this module resumes the coroutine of a task. If an event occurs while
-- another task of the same network runs, the task is queued until that one
-- waits: resumes do not nest.

local check = require("kadenza.check")
local core = require("kadenza.core")
local coroutine = require("kadenza.coroutine")
local errors = require("kadenza.errors")
local failure = require("kadenza.failure")
local loop = require("kadenza.loop")
local scheduler = require("kadenza.scheduler")
local unwind = require("kadenza.unwind")

local M = {}

---@class kadenza.Task
---@field private state string  ready, running, waiting, closing, or an end:
---  done, failed, canceled
local Task = {}
Task.__index = Task
Task.__name = "kadenza.Task"

-- The first value that the coroutine of a task yields. A coroutine that yields
-- nothing was preempted by a count hook, and continues in the next turn.
local WAIT <const> = {}
local CANCEL <const> = {}

local ENDED <const> = { done = true, failed = true, canceled = true }

-- Coroutine → task, and network → scheduler; the keys are weak.
local tasks = setmetatable({}, { __mode = "k" })
local schedulers = setmetatable({}, { __mode = "k" })

local step -- defined below

local function scheduler_of(network)
  local found = schedulers[network]
  if not found then
    found = scheduler.new(network, function(...)
      step(...)
    end)
    schedulers[network] = found
  end
  return found
end

local function wake(task)
  task.state = "ready"
  task.scheduler:enqueue(task)
end

-- Logs a failure in the next turn, unless the task is awaited until then.
local function report_unawaited(task)
  local unawaited, network = task.scheduler.unawaited, task.scheduler.network
  unawaited[#unawaited + 1] = task
  if network:is_open() then
    network:start_timer(0, function()
      failure.log(task)
    end)
  end
end

-- Tells the host of an adopted task how it ended.
local function report_end(task)
  if task.state == "done" then
    task.ended(task, "done", task.ran or 0,
      table.unpack(task.outcome, 1, task.outcome.n))
  else
    task.ended(task, task.state, task.ran or 0,
      task.state == "failed" and failure.describe(task) or nil)
  end
end

local function end_task(task, state, ...)
  task.state = state
  task.outcome = table.pack(...)
  task.scheduler.live[task] = nil
  local watchers = task.watchers or {}
  task.watchers = nil
  if task.on_ended then
    task.on_ended() -- facade.lua counts running tasks; it awaits none
  end
  if state ~= "failed" or #watchers > 0 or task.ended then
    task.awaited = true
  else
    report_unawaited(task)
  end
  for _, watcher in ipairs(watchers) do
    watcher()
  end
  if task.ended then
    report_end(task)
  end
end

-- Closes the coroutine of a task, and with it its `<close>` variables; before
-- that the coroutines through which it waits, the innermost first. Returns
-- false and the first error.
local function close_coroutines(task)
  local threads, thread = {}, task.thread
  repeat
    threads[#threads + 1] = thread
    thread = core.inner(thread)
  until not thread
  local closed, first = true, nil
  for i = #threads, 1, -1 do
    local fine, err = task.driver.close(threads[i])
    if closed and not fine then
      closed, first = false, err
    end
  end
  return closed, first
end

local function fail(task, err)
  task.traceback = core.traceback(task.thread)
  task.state = "closing"
  close_coroutines(task)
  end_task(task, "failed", err)
end

-- Calls the cancel function of a wait. It is the user's: its errors are logged,
-- and do not reach the scheduler.
local function call_cancel(task, cancel)
  local succeeded, err = pcall(cancel)
  if not succeeded then
    failure.log_text(task, errors.text_of(err))
  end
end

-- Cancels the wait of a task, if it waits.
local function cancel_wait(task)
  local wait = task.wait
  task.wait = nil
  if wait then
    wait.is_canceled = true
    if wait.timer then
      task.scheduler.network:stop_timer(wait.timer)
    end
    if wait.cancel then
      call_cancel(task, wait.cancel)
    end
  end
end

-- Ends a task that is canceled.
local function close(task)
  task.state = "closing"
  cancel_wait(task)
  local closed, err = close_coroutines(task)
  if closed then
    end_task(task, "canceled")
  else
    end_task(task, "failed", err)
  end
end

-- Makes a task wait, unless the wait has ended already.
local function suspend(task, wait)
  if wait.results then
    wake(task)
  else
    task.state = "waiting"
    task.wait = wait
  end
end

local function pause_preempted(task, used, cpu)
  task.state = "ready"
  if task.driver.carry then
    task.used, task.cpu = used, cpu
  end
  task.scheduler:pause(task)
end

-- Adds what a metered task has used to the figures of its hook: `ran`, `steps`
-- and `killed`. The time before the task was adopted is counted in C. Returns
-- what the driver carries over if the task was preempted. Fields that are not
-- needed stay nil, because thousands of tasks may wait.
local function count_use(task, carried)
  local used, cpu, ns, killed = task.driver.used()
  task.ran = (task.ran or 0) + ns
  if carried then
    task.steps = (task.steps or 0) + used - carried
  end
  task.killed = killed or nil
  return used, cpu
end

-- Handles the results of resuming a task.
local function handle_yield(task, carried, succeeded, first, second, ...)
  local used, cpu
  if task.driver.used then
    used, cpu = count_use(task, carried)
  end
  if ENDED[task.state] then
    return -- abandoned while it ran
  elseif not succeeded then
    fail(task, first)
  elseif coroutine.status(task.thread) == "dead" then
    end_task(task, "done", first, second, ...)
  elseif first == WAIT then
    suspend(task, second)
  elseif first == CANCEL then
    close(task)
  else
    pause_preempted(task, used, cpu)
  end
end

function step(task, ...)
  if task.state ~= "ready" then
    return -- canceled since it was queued
  end
  task.state = "running"
  local carried = task.used or 0
  if task.used then
    task.driver.carry(task.used, task.cpu)
    task.used, task.cpu = nil, nil
  end
  local run = task.driver.run or task.driver.resume
  handle_yield(task, carried, run(task.thread, ...))
end

local function outcome_of(task)
  task.awaited = true
  if task.state == "failed" then
    error(task.outcome[1], 0)
  elseif task.state == "canceled" then
    return nil, "canceled", "KAD_ECANCELED"
  end
  return table.unpack(task.outcome, 1, task.outcome.n)
end

----------------------------------------------------------------- waiting --

--- Returns the current task, or nil outside of tasks.
---@return kadenza.Task? task
function M.current()
  return tasks[core.running()]
end

--- Returns the network of the current task; outside of tasks, the default one.
---@return kadenza.core.Network network
function M.network()
  local task = M.current()
  return task and task.scheduler.network or loop.network()
end

--- Returns the current task. Raises unless there is one and it may wait. Ends a
--- task that was asked to cancel.
---@param level integer  as of `error`
---@return kadenza.Task task
function M.check(level)
  local task = M.current()
  if not task or task.state ~= "running" or core.blocked() then
    error(coroutine.explain(task), level + 1)
  elseif not task.scheduler.network:is_open() then
    error("closed network", level + 1)
  elseif task.cancel_asked then
    core.suspend(CANCEL)
  end
  return task
end

--- Raises if the current task is one of `network`: a task cannot run or close
--- the network that it runs in.
---@param network kadenza.core.Network
---@param level integer  as of `error`
function M.check_outside(network, level)
  local task = M.current()
  if task and task.scheduler.network == network then
    error("a task cannot run or close the network it runs in", level + 1)
  end
end

-- Ends a wait and resumes its task. Later calls do nothing.
local function finish_wait(wait, ...)
  if wait.results or wait.is_canceled then
    return
  end
  wait.results = table.pack(...)
  local task = wait.task
  if task.wait == wait then
    task.wait = nil
    wake(task)
    task.scheduler:drain()
  end
end

-- Suspends the current task until `wait` has ended.
local function await_end(wait)
  core.suspend(WAIT, wait)
  if not wait.results then
    error("a coroutine that waits was resumed by other code than its task's",
      3)
  end
end

--- Calls `start(resume)`, waits until `resume` is called, and returns its
--- arguments. `start` may return a function that cancels what it has started;
--- it is called if the task is canceled while it waits. `start` may call
--- `resume` before it returns. Only the first call of `resume` has an effect.
---@async
---@param start fun(resume: fun(...)): fun()?
---@return any ...
function M.wait(start)
  local wait = { task = M.check(2) }
  if type(start) ~= "function" then
    error("the start of a wait must be a function, not " .. type(start), 2)
  end
  wait.cancel = start(function(...)
    finish_wait(wait, ...)
  end)
  if not wait.results then
    await_end(wait)
  end
  return table.unpack(wait.results, 1, wait.results.n)
end

--- Returns the milliseconds of `seconds`, rounded up.
---@param seconds number
---@param level integer  as of `error`
---@return integer ms
function M.milliseconds(seconds, level)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 1e9) then
    error("seconds must be a number from 0 to 1e9", level + 1)
  end
  return math.ceil(seconds * 1000)
end

--- Sleeps on the clock of the task's network.
---@async
---@param seconds number
function M.sleep(seconds)
  local ms = M.milliseconds(seconds, 2)
  -- M.wait without its two closures: thousands of tasks may sleep.
  local wait = { task = M.check(2) }
  wait.timer = wait.task.scheduler.network:start_timer(ms, function()
    finish_wait(wait)
  end)
  await_end(wait)
end

--- Starts an operation. `start(done)` returns a function that cancels it, and
--- calls `done` with its results. Without a callback, waits and returns the
--- results; with one, returns at once and passes them to the callback.
---@async
---@param start fun(done: fun(...)): fun()?
---@param callback? fun(...)
---@return any ...
function M.operate(start, callback)
  if callback == nil then
    return M.wait(start)
  end
  check.callback(callback, 2)
  start(callback)
end

------------------------------------------------------------------- tasks --

local function new_task(network, thread, state, driver)
  local task = setmetatable({
    scheduler = scheduler_of(network),
    state = state,
    thread = thread,
    driver = driver or coroutine,
  }, Task)
  tasks[thread] = task
  return task
end

--- Starts a task in a network. It runs at once, or, inside a task of the same
--- network, when that task waits.
---@param network kadenza.core.Network
---@param fn async fun(...): ...
---@param ... any  arguments of `fn`
---@return kadenza.Task task
function M.spawn(network, fn, ...)
  if type(fn) ~= "function" then
    error("a task needs a function, not " .. type(fn), 2)
  end
  local task = new_task(network, coroutine.create(fn), "ready")
  task.scheduler:add(task)
  task.scheduler:enqueue(task, ...)
  task.scheduler:drain()
  return task
end

--- Waits until the task has ended. Returns the results of its function, or nil,
--- message, code if it was canceled; raises its error if it failed.
---@async
---@return any ...
function Task:await()
  if not ENDED[self.state] then
    if self == M.current() then
      error("a task cannot await itself", 2)
    end
    M.wait(function(resume)
      return self:on_end(resume)
    end)
  end
  return outcome_of(self)
end

--- Cancels the task: cancels what it waits for and closes its `<close>`
--- variables. A task that runs ends when it next waits; the caller itself ends
--- at once.
---@return boolean canceled  false if it had ended before
function Task:cancel()
  if ENDED[self.state] or self.state == "closing" then
    return false
  end
  if self.state == "running" then
    self.cancel_asked = true
    if self == M.current() then
      core.suspend(CANCEL)
    end
    return true
  end
  close(self)
  self.scheduler:drain()
  return true
end

--- Ends the task without closing its coroutine, which is never resumed: for a
--- task whose `<close>` variables must not run either. Cancels what it waits
--- for.
---@return boolean abandoned  false if it had ended before
function Task:abandon()
  if ENDED[self.state] then
    return false
  end
  cancel_wait(self)
  end_task(self, "canceled")
  return true
end

--- Calls `watcher` when the task ends, which must not have ended yet.
---@param watcher fun()
---@return fun() remove  removes the watcher
function Task:on_end(watcher)
  if type(watcher) ~= "function" then
    error("a watcher must be a function, not " .. type(watcher), 2)
  end
  self.watchers = self.watchers or {}
  table.insert(self.watchers, watcher)
  return function()
    for i, other in ipairs(self.watchers or {}) do
      if other == watcher then
        table.remove(self.watchers, i)
        return
      end
    end
  end
end

--- Returns "running" until the task has ended, and then how it ended.
---@return "running"|"done"|"failed"|"canceled" status
function Task:status()
  return ENDED[self.state] and self.state or "running"
end

--- Returns the error of a task that has failed, with a traceback; nil for
--- another task.
---@return string? text
function Task:failure()
  return self.state == "failed" and failure.describe(self) or nil
end

--- Tells whether `value` is a task.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Task
end

function Task:__tostring()
  return string.format("kadenza.Task (%s)", self:status())
end

---------------------------------------------------------------- adoption --

--- Makes a task of a coroutine that a policy host has created and resumes. The
--- task counts as running until `suspended` is called.
---@param network kadenza.core.Network
---@param thread thread
---@param driver? { resume: function, close: function }  instead of `coroutine`
---@return kadenza.Task task
function M.adopt(network, thread, driver)
  return new_task(network, thread, "running", driver)
end

--- Takes over an adopted task that has yielded: from now on this module resumes
--- it. `ended(task, state, ran, ...)` is called when it ends: "done" with its
--- results, "failed" with a text, or "canceled". `ran` is the time that it ran
--- after this call, in nanoseconds.
---@param task kadenza.Task
---@param ended fun(task: kadenza.Task, state: string, ran: integer, ...)
---@param ... any  what the coroutine has yielded
function M.take_over(task, ended, ...)
  task.scheduler:add(task)
  task.scheduler.meter = task.scheduler.meter
    or task.driver.has_time and task.driver
  task.ended = ended
  handle_yield(task, nil, true, ...)
  task.scheduler:drain()
end

------------------------------------------------------- end of a network --

--- Calls `fn` when the network ends: kad.run returns, or a simulation closes.
---@param network kadenza.core.Network
---@param fn fun()
---@return fun() remove  removes `fn`
function M.at_end(network, fn)
  local endings = scheduler_of(network).endings
  local ending = { fn = fn }
  endings[#endings + 1] = ending
  return function()
    for i, other in ipairs(endings) do
      if other == ending then
        table.remove(endings, i)
        return
      end
    end
  end
end

--- Removes and returns the errors of tasks that have failed and were not
--- awaited: the first of those that were logged, and all that were not.
---@param network kadenza.core.Network
---@return { value: any, text: string }[] failures
function M.take_failures(network)
  return failure.take(scheduler_of(network))
end

--- Cancels the tasks of a network in the order of their start, and calls the
--- functions of `at_end`; raises their first error afterwards.
---@param network kadenza.core.Network
---@param is_enough? fun(): boolean  called before each task; true stops here
---@return boolean finished  false if tasks are left
function M.finish(network, is_enough)
  local finished = scheduler_of(network)
  for _, task in ipairs(finished:list()) do
    if is_enough and is_enough() then
      return false
    end
    task:cancel()
  end
  unwind(finished.endings, function(ending)
    ending.fn()
  end)
  return #finished:list() == 0
end

--- Runs a network until `task` has ended; returns its results or raises.
---@param network kadenza.core.Network
---@param task kadenza.Task
---@param run? fun(is_over: fun(): boolean)  runs the network instead, until the
---  task has ended or nothing is left to do
---@return any ...
function M.run_until(network, task, run)
  if not ENDED[task.state] then
    local _ <close> = setmetatable({}, {
      __close = task:on_end(function()
        network:stop()
      end),
    })
    if run then
      run(function()
        return ENDED[task.state] or false
      end)
    else
      network:run()
    end
  end
  if not ENDED[task.state] then
    error("the network has nothing left to do and the task still waits", 2)
  end
  return outcome_of(task)
end

return M
