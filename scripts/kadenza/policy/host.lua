--- The Lua side of the policy host, in the state where the policies run. Loads
--- and composes policies, runs their timers, schedules hook calls that wait.
--- Tested by tests/spec/policy.

local chunk = require("kadenza.chunk")
local errors = require("kadenza.errors")
local compose = require("kadenza.policy.compose")
local core = require("kadenza.core")
local log = require("kadenza.log")
local metrics = require("kadenza.policy.metrics")
local shape = require("kadenza.policy.shape")
local task = require("kadenza.task")
local throttle = require("kadenza.throttle")

local M = {}

-- A message handler: returns the error's text with a traceback.
local function trace(err)
  return errors.text_of(err) .. "\n" .. core.traceback()
end

local function call_on_stop(list, node)
  for _, loaded in ipairs(list) do
    if loaded.policy.on_stop then
      local succeeded, err = xpcall(loaded.policy.on_stop, trace, node)
      if not succeeded then
        log.error("a policy failed", {
          hook = loaded.name .. ": on_stop",
          error = err,
        })
      end
    end
  end
end

-- Runs a function of a policy in a task of its own; logs its failure through
-- `throttled`.
local function run_task(network, throttled, name, fn, node)
  local work = task.spawn(network, fn, node)
  if pcall(work.await, work) then
    return
  end
  throttled(name, function(suppressed)
    log.error("a policy failed", {
      hook = name,
      error = work:failure(),
      before = suppressed,
    })
  end)
end

-- Returns a period of 0.9 to 1.1 times `seconds`, at random.
local function jitter(network, seconds)
  local part = string.unpack("<I2", network:random(2)) / 65535
  return seconds * (0.9 + 0.2 * part)
end

-- Timers of a node run together at most so often a second.
local TIMER_RUNS <const> = 1000

local function run_timer(network, throttled, name, entry, node, shortest)
  while true do
    task.sleep(jitter(network, math.max(entry.seconds, shortest)))
    run_task(network, throttled, name, entry.run, node)
  end
end

-- Returns the shortest period of a timer beside all others.
local function shortest_period(list)
  local count = 0
  for _, loaded in ipairs(list) do
    count = count + rawlen(loaded.policy.every or {})
  end
  return count / TIMER_RUNS
end

local function start_all(list, node, network, tasks)
  local throttled, shortest = throttle.new(network), shortest_period(list)
  for _, loaded in ipairs(list) do
    local policy = loaded.policy
    if policy.on_start then
      table.insert(tasks, task.spawn(network, run_task, network, throttled,
        loaded.name .. ": on_start", policy.on_start, node))
    end
    local every = policy.every or {}
    for index = 1, rawlen(every) do -- without metamethods: they are counted
      local name = string.format("%s: every[%d]", loaded.name, index)
      table.insert(tasks, task.spawn(network, run_timer, network, throttled,
        name, rawget(every, index), node, shortest))
    end
  end
end

-- Logs the failure of a hook. `text` has the place and the traceback.
-- `suppressed` is the number of failures since the one logged last.
local function log_failure(name, text, place, suppressed, is_breaker_open)
  log.error("a policy failed", {
    hook = name,
    error = text,
    defined = place,
    before = suppressed > 0 and suppressed or nil,
    breaker = is_breaker_open and "open" or nil,
  })
end

-- Logs that a hook returned seconds out of range, and the seconds used instead.
local function log_clamped(name, returned, used, place, suppressed)
  log.warn("a policy returned seconds out of range", {
    hook = name,
    returned = tostring(returned),
    used = used,
    defined = place,
    before = suppressed > 0 and suppressed or nil,
  })
end

-- Returns the function that completes hook calls that waited. One function
-- serves all calls, with its data in fields of the task, because thousands of
-- calls may wait.
local function make_ended(setup, waiting)
  return function(work, state, ran, ...)
    local steps = work.steps or 0
    if state == "done" then
      waiting[setup.ended(work.runner, true, nil, false, ran, steps, ...)] = nil
    else
      waiting[setup.ended(work.runner, false, ... or work.problem,
        work.overrun or work.killed, ran, steps)] = nil
    end
  end
end

-- Adds the functions with which C gives the coroutines of hook calls to the
-- scheduler.
local function add_scheduling(setup, network)
  local threads = setmetatable({}, { __mode = "k" })
  local waiting = {} -- call_id → task
  local ended = make_ended(setup, waiting)

  function setup.adopt(thread, runner)
    local work = task.adopt(network, thread, setup)
    work.runner = runner
    threads[thread] = work
  end

  function setup.take_over(thread, call_id, ...)
    local work = threads[thread]
    waiting[call_id] = work
    task.take_over(work, ended, ...)
  end

  function setup.cancel(call_id)
    local work = waiting[call_id]
    if work then
      local problem, is_overrun = setup.problem(work.runner)
      if problem then -- add where the hook waits
        problem = problem .. "\n" .. core.traceback(work.thread)
      end
      work.problem, work.overrun = problem, is_overrun
      work:cancel()
    end
  end
end

-- Returns the name, version and state of a policy as bytes; nil if it has no
-- state.
local function pack_state(loaded, node)
  local policy = loaded.policy
  local state = policy.save(node)
  if state == nil then
    return nil
  end
  return string.pack("s4s4s4", loaded.name,
    core.pack_plain(policy.version, "version"),
    core.pack_plain(state, "the state"))
end

-- The name under which the values of metrics are carried; no policy has it.
local METRICS <const> = ""

-- Returns the values of metrics as bytes, like the state of a policy.
local function pack_metrics(counted)
  return string.pack("s4s4s4", METRICS, core.pack_plain(nil, "version"),
    core.pack_plain(counted:plain(), "the metrics"))
end

-- Restores the state that an older version of a policy saved, or the values of
-- metrics.
local function restore_state(list, node, counted, bytes)
  local name, version, state = string.unpack("s4s4s4", bytes)
  if name == METRICS then
    counted:restore(core.unpack_plain(state))
    return true
  end
  for _, loaded in ipairs(list) do
    local policy = loaded.policy
    if loaded.name == name and policy.restore then
      local succeeded, verdict, reason = pcall(policy.restore,
        core.unpack_plain(state), core.unpack_plain(version), node)
      if not succeeded then
        return nil, loaded.label .. ": restore: " .. errors.text_of(verdict)
      elseif not verdict and reason ~= nil then
        return nil, loaded.label .. ": restore: " .. errors.text_of(reason)
      end
      return true
    end
  end
  log.warn("a policy's state is lost: no policy of that name restores it",
    { policy = name })
  return true
end

-- Adds to `setup` the functions with which C carries states from old policies
-- to new. save(index) returns the bytes of a policy's state, nil if it has none
-- or its save failed, or false if there is no policy of that index. The metrics
-- come first.
local function add_migration(setup, list, node, counted)
  function setup.save(index)
    local loaded = list[index - 1]
    if index == 1 then
      return pack_metrics(counted)
    elseif not loaded then
      return false
    elseif not loaded.policy.save then
      return nil
    end
    local succeeded, bytes = xpcall(pack_state, trace, loaded, node)
    if not succeeded then
      log.error("a policy failed: its state is lost", {
        hook = loaded.name .. ": save",
        error = bytes,
      })
      return nil
    end
    return bytes
  end

  function setup.restore(bytes)
    return restore_state(list, node, counted, bytes)
  end
end

-- Adds the functions that start and stop the policies.
local function add_lifecycle(setup, list, node, network)
  local tasks = {}
  function setup.start()
    start_all(list, node, network, tasks)
  end

  function setup.halt()
    for _, work in ipairs(tasks) do
      if core.is_spent and core.is_spent() then
        break -- the others end with the Lua state
      end
      work:cancel()
    end
  end

  function setup.stop()
    call_on_stop(list, node)
    setup.halt()
  end
end

-- Returns the routes as plain values for the program.
local function plain_routes(setup)
  local routes = {}
  for i, route in ipairs(setup.http) do
    routes[i] = { method = route.method, pattern = route.pattern,
      segments = route.segments, names = route.names, policy = route.policy,
      is_public = route.is_public, call = route.call,
      deadline_ms = setup.deadlines[route.call] }
  end
  return routes
end

--- Makes the table that C installs for loaded policies.
---@param list kadenza.Loaded[]
---@param node kadenza.Node
---@param network kadenza.core.Network
---@return table? setup
---@return string? message
function M.set_up(list, node, network)
  for _, loaded in ipairs(list) do
    local valid, problem = shape.check(loaded.policy)
    if not valid then
      return nil, chunk.naming(loaded.label, problem)
    end
  end
  local succeeded, setup = pcall(compose.compose, list)
  if not succeeded then
    return nil, shape.problem_of(setup)
  end
  add_scheduling(setup, network)
  local counted = metrics.new(setup.declared)
  setup.counted = counted
  add_migration(setup, list, node, counted)
  setup.report, setup.clamped = log_failure, log_clamped
  function setup.describe()
    return require("kadenza.policy.describe").describe(list, setup)
  end
  function setup.metrics()
    return core.pack_plain(counted:plain(), "the metrics")
  end
  function setup.routes()
    return core.pack_plain(plain_routes(setup), "the routes")
  end
  add_lifecycle(setup, list, node, network)
  return setup
end

-- Cancels the remaining tasks within one budget: each task has a budget of its
-- own, and there may be a thousand tasks. Returns true when none remains. With
-- `is_last_try` remaining tasks are dropped.
local function finish_tasks(network, is_last_try)
  local finished = task.finish(network, core.is_spent)
  if is_last_try and not finished then
    log.warn("tasks of replaced policies were dropped: they did not end in "
      .. "time")
  end
  return finished
end

-- The types of fields that a VM passes on as they are.
local LOGGED <const> = { boolean = true, number = true, string = true }

local function to_logged(value)
  if LOGGED[type(value)] then
    return value
  end
  return tostring(value)
end

-- Sends the log of the VM to a function, the fields as names and values.
local function log_to(sink)
  log.configure({
    level = "debug",
    sink = function(event)
      local fields = {}
      for key, value in next, event.fields do -- without a policy's __pairs
        fields[#fields + 1] = to_logged(key)
        fields[#fields + 1] = to_logged(value)
      end
      sink(event.level, event.message, table.unpack(fields))
    end,
  })
end

-- Adds the functions with which C runs what is typed at consoles.
local function add_prompt(setup, list, node, network)
  local prompt
  local function get()
    prompt = prompt
      or require("kadenza.policy.prompt").new(list, node, network)
    return prompt
  end

  function setup.evaluate(packed)
    local id, text = string.unpack("i8s4", packed)
    return get():evaluate(id, text) and "started" or "busy"
  end

  function setup.interrupt(packed)
    get():interrupt((string.unpack("i8", packed)))
    return ""
  end

  function setup.complete(text)
    local words, start = get():complete(text)
    return core.pack_plain({ words = words, start = start }, "the words")
  end
end

--- Loads policy files in a VM. Called by C.
---@param handle kadenza.core.Node  borrowed
---@param network kadenza.core.Network  borrowed
---@param packed string  a list of { path, text, trusted }, and in `standard`
--- the path and cpath for trusted files, if there are any such files
---@param sink fun(level: string, message: string, ...: boolean|number|string)
---@return table? setup
---@return string? message
function M.load_files(handle, network, packed, sink)
  local sandbox = require("kadenza.sandbox")
  local files = core.unpack_plain(packed)
  log_to(sink)
  local real = require("kadenza.node").wrap(handle, network)
  local node = require("kadenza.policy.facade").node(real, network)
  local list = {}
  if files.standard then
    core.open_standard(files.standard.path, files.standard.cpath)
  end
  for i, file in ipairs(files) do
    local policy, message = sandbox.load_policy(file, node, network)
    if not policy then
      return nil, message
    end
    list[i] = { label = file.path, name = M.name_of(policy, file.path),
      policy = policy }
  end
  local setup, message = M.set_up(list, node, network)
  if setup then
    setup.node, real.metrics = node, setup.counted
    add_prompt(setup, list, node, network)
    setup.finish = function(is_last_try)
      return finish_tasks(network, is_last_try)
    end
  end
  return setup, message
end

--- Returns the name of a policy in messages: its `name`, or its file's name.
---@param policy table
---@param label string
---@return string name
function M.name_of(policy, label)
  local read, name = pcall(function()
    return type(policy) == "table" and policy.name
  end)
  if read and type(name) == "string" then
    return name
  end
  return label:match("([^/]+)%.lua$") or label
end

return M
