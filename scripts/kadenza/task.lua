--- Tasks: coroutines that belong to a network and wait on its clock.
--
-- A task runs until it waits; what it waits for wakes it up. All waiting goes
-- through `task.wait`, so that the same code runs on sockets, in the simulator
-- and in a policy:
--
--     local first = task.spawn(network, function()
--       task.sleep(1)
--       return "done"
--     end)
--     -- in another task:
--     print(first:await())
--
-- Only this module resumes the coroutine of a task. A wake-up that comes while
-- a task of the same network runs waits in a queue until that one waits, so
-- that wake-ups do not nest.

local core = require("kadenza.core")
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

-- What the coroutine of a task yields to its driver. One that yields nothing
-- was preempted by a count hook, and goes on in the next turn.
local WAIT <const> = {}
local CANCEL <const> = {}

local ENDED <const> = { done = true, failed = true, canceled = true }

-- Which task a coroutine is, and what each network has to run. Both forget with
-- their keys; they are a cache of what is, not settings.
local tasks = setmetatable({}, { __mode = "k" })
local schedulers = setmetatable({}, { __mode = "k" })

local step -- below

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

-- A failure that nobody awaits until the next turn is said then.
local function report_unseen(task)
  local unseen, network = task.scheduler.unseen, task.scheduler.network
  unseen[#unseen + 1] = task
  if network:is_open() then
    network:start_timer(0, function()
      failure.say(task)
    end)
  end
end

-- Tells a host how the task ended that it had handed over.
local function tell_end(task)
  if task.state == "done" then
    task.ended(task, "done", task.ran or 0,
      table.unpack(task.outcome, 1, task.outcome.n))
  else
    task.ended(task, task.state, task.ran or 0,
      task.state == "failed" and failure.describe(task) or nil)
  end
end

local function finish(task, state, ...)
  task.state = state
  task.outcome = table.pack(...)
  task.scheduler.live[task] = nil
  local watchers = task.watchers or {}
  task.watchers = nil
  if task.settled then
    task.settled() -- the sandbox counts tasks; that is not awaiting them
  end
  if state ~= "failed" or #watchers > 0 or task.ended then
    task.seen = true
  else
    report_unseen(task)
  end
  for _, watcher in ipairs(watchers) do
    watcher()
  end
  if task.ended then
    tell_end(task)
  end
end

local function fail(task, err)
  task.traceback = core.traceback(task.thread)
  task.state = "closing"
  task.driver.close(task.thread) -- its `<close>` variables
  finish(task, "failed", err)
end

-- What a user's function raises must not tear the scheduler.
local function call_off(task, cancel)
  local fine, err = pcall(cancel)
  if not fine then
    failure.say_text(task, errors.text_of(err))
  end
end

local function withdraw(task)
  local wait = task.wait
  task.wait = nil
  if wait then
    wait.withdrawn = true
    if wait.timer then
      task.scheduler.network:stop_timer(wait.timer)
    end
    if wait.cancel then
      call_off(task, wait.cancel)
    end
  end
end

-- Closes the coroutine of a task: its `<close>` variables are closed.
local function close(task)
  task.state = "closing"
  withdraw(task)
  local closed, err = task.driver.close(task.thread)
  if closed then
    finish(task, "canceled")
  else
    finish(task, "failed", err)
  end
end

-- The coroutine waits now, unless it has been woken up already.
local function suspend(task, wait)
  if wait.results then
    wake(task)
  else
    task.state = "waiting"
    task.wait = wait
  end
end

local function preempted(task, used, cpu)
  task.state = "ready"
  if task.driver.carry then
    task.used, task.cpu = used, cpu
  end
  task.scheduler:pause(task)
end

-- Notes what a metered task has used, for its hook's figures, and returns what
-- matters if it has been preempted. What it did before it was adopted, C has
-- counted. Thousands may wait: what says nothing makes no field.
local function note_use(task, carried)
  local used, cpu, ns, killed = task.driver.used()
  task.ran = (task.ran or 0) + ns
  if carried then
    task.steps = (task.steps or 0) + used - carried
  end
  task.killed = killed or nil
  return used, cpu
end

local function after(task, carried, succeeded, first, second, ...)
  local used, cpu
  if task.driver.used then
    used, cpu = note_use(task, carried)
  end
  if ENDED[task.state] then
    return -- it was abandoned while it ran
  elseif not succeeded then
    fail(task, first)
  elseif coroutine.status(task.thread) == "dead" then
    finish(task, "done", first, second, ...)
  elseif first == WAIT then
    suspend(task, second)
  elseif first == CANCEL then
    close(task)
  else
    preempted(task, used, cpu)
  end
end

function step(task, ...)
  if task.state ~= "ready" then
    return -- it was canceled meanwhile
  end
  task.state = "running"
  local carried = task.used or 0
  if task.used then
    task.driver.carry(task.used, task.cpu)
    task.used, task.cpu = nil, nil
  end
  local run = task.driver.run or task.driver.resume
  after(task, carried, run(task.thread, ...))
end

local function outcome_of(task)
  task.seen = true
  if task.state == "failed" then
    error(task.outcome[1], 0)
  elseif task.state == "canceled" then
    return nil, "canceled", "KAD_ECANCELED"
  end
  return table.unpack(task.outcome, 1, task.outcome.n)
end

----------------------------------------------------------------- waiting --

--- Returns the task that calls, or nil outside of any.
---@return kadenza.Task? task
function M.current()
  return tasks[coroutine.running()]
end

--- Returns the network of the task that calls; outside of any, the default one.
---@return kadenza.core.Network network
function M.network()
  local task = M.current()
  return task and task.scheduler.network or loop.network()
end

--- Raises unless the caller is a task that may wait; returns it.
---@param level integer  whom to blame, as of `error`
---@return kadenza.Task task
function M.check(level)
  local task = M.current()
  if not task then
    error("only a task can wait: call this inside kad.run or kad.spawn",
      level + 1)
  elseif task.state ~= "running" then
    error("a canceled task cannot wait", level + 1)
  elseif task.cancel_asked then
    coroutine.yield(CANCEL)
  end
  return task
end

--- Raises if the caller is a task of `network`: a task cannot run or close what
--- it runs in.
---@param network kadenza.core.Network
---@param level integer  whom to blame, as of `error`
function M.check_outside(network, level)
  local task = M.current()
  if task and task.scheduler.network == network then
    error("a task cannot run or close the network it runs in", level + 1)
  end
end

-- Wakes up the task that waits like this, once.
local function wake_up(wait, ...)
  if wait.results or wait.withdrawn then
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

--- Waits until `resume` is called, and returns what it is called with.
--- `start(resume)` begins what is waited for. It may return a function that
--- withdraws it, which is called when the task is canceled meanwhile. `resume`
--- may be called at once; all calls but the first do nothing.
---@async
---@param start fun(resume: fun(...)): fun()?
---@return any ...
function M.wait(start)
  local wait = { task = M.check(2) }
  wait.cancel = start(function(...)
    wake_up(wait, ...)
  end)
  if not wait.results then
    coroutine.yield(WAIT, wait)
  end
  return table.unpack(wait.results, 1, wait.results.n)
end

--- Returns the milliseconds of `seconds`, rounded up.
---@param seconds number
---@param level integer  whom to blame for what is no time to wait
---@return integer ms
function M.milliseconds(seconds, level)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 1e9) then
    error("seconds must be a number from 0 to a milliard", level + 1)
  end
  return math.ceil(seconds * 1000)
end

--- Sleeps on the clock of the task's network.
---@async
---@param seconds number
function M.sleep(seconds)
  local ms = M.milliseconds(seconds, 2)
  -- As M.wait, without what it needs for others: thousands may sleep.
  local wait = { task = M.check(2) }
  wait.timer = wait.task.scheduler.network:start_timer(ms, function()
    wake_up(wait)
  end)
  coroutine.yield(WAIT, wait)
end

--- Begins an operation: `start(done)` calls `done` with its results, and
--- returns a function that cancels it. Inside a task, waits and returns the
--- results; with a callback, gives them to that and returns at once.
---@async
---@param start fun(done: fun(...)): fun()?
---@param callback? fun(...)
---@return any ...
function M.operate(start, callback)
  if callback == nil then
    return M.wait(start)
  end
  if type(callback) ~= "function" then
    error("the callback must be a function, not " .. type(callback), 2)
  end
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

--- Starts a task in a network. It runs at once if no other task of the network
--- does, otherwise when that waits.
---@param network kadenza.core.Network
---@param fn async fun(...): ...
---@param ... any  arguments of `fn`
---@return kadenza.Task task
function M.spawn(network, fn, ...)
  if type(fn) ~= "function" then
    error("a task needs a function, not " .. type(fn), 2)
  end
  local task = new_task(network, coroutine.create(fn), "ready")
  task.scheduler:enlist(task)
  task.scheduler:enqueue(task, ...)
  task.scheduler:drain()
  return task
end

--- Waits until the task has ended. Returns what its function returned, or nil,
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

--- Ends the task: what it waits for is withdrawn and its `<close>` variables
--- are closed. A task that is just running ends when it next waits, at once if
--- it is the caller. Returns false if it had ended already.
---@return boolean canceled
function Task:cancel()
  if ENDED[self.state] or self.state == "closing" then
    return false
  end
  if self.state == "running" then
    self.cancel_asked = true
    if self == M.current() then
      coroutine.yield(CANCEL)
    end
    return true
  end
  close(self)
  self.scheduler:drain()
  return true
end

--- Ends the task without closing its coroutine, which is never resumed again:
--- for one that may not run any more, not even its `<close>` variables. What it
--- waits for is withdrawn.
---@return boolean abandoned  false if it had ended already
function Task:abandon()
  if ENDED[self.state] then
    return false
  end
  withdraw(self)
  finish(self, "canceled")
  return true
end

--- Calls `watcher` when the task, which is under way, ends. Returns a function
--- that withdraws this.
---@param watcher fun()
---@return fun() withdraw
function Task:on_end(watcher)
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

--- Tells whether the task is still under way, and otherwise how it ended.
---@return "running"|"done"|"failed"|"canceled" status
function Task:status()
  return ENDED[self.state] and self.state or "running"
end

--- Returns what a task that has failed says of it, with a traceback.
---@return string text
function Task:failure()
  return failure.describe(self)
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

--- Makes a task of a coroutine that something else has made and will resume: a
--- policy host. It counts as running until `suspended` is called.
---@param network kadenza.core.Network
---@param thread thread
---@param driver? { resume: function, close: function }  instead of `coroutine`
---@return kadenza.Task task
function M.adopt(network, thread, driver)
  return new_task(network, thread, "running", driver)
end

--- Takes over an adopted task that has yielded, with what it has yielded: from
--- now on it is resumed here. `ended(task, state, ran, ...)` is called at its
--- end: done, with its results; failed, with a text; or canceled. `ran` is how
--- long it ran after this, in nanoseconds.
---@param task kadenza.Task
---@param ended fun(task: kadenza.Task, state: string, ran: integer, ...)
---@param ... any
function M.suspended(task, ended, ...)
  task.scheduler:enlist(task)
  task.scheduler.meter = task.scheduler.meter
    or task.driver.has_time and task.driver
  task.ended = ended
  after(task, nil, true, ...)
  task.scheduler:drain()
end

------------------------------------------------------- end of a network --

--- Calls `fn` when the network ends (kad.run returns, a simulation closes).
--- Returns a function that forgets it.
---@param network kadenza.core.Network
---@param fn fun()
---@return fun() forget
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

--- Takes the errors of tasks that have failed and were not awaited: of those
--- that were logged the first, and all that were not.
---@param network kadenza.core.Network
---@return any[] errors
function M.take_failures(network)
  return failure.take(scheduler_of(network))
end

--- Cancels what is left of a network's tasks, in the order of their start, and
--- does all that `at_end` was told: the first error is raised afterwards.
---@param network kadenza.core.Network
---@param is_enough? fun(): boolean  asked before each; true leaves the rest
---@return boolean finished  false when some are left
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
---@param run? fun(is_over: fun(): boolean)  what runs it instead, until it is
---  over or nothing is left to do
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
