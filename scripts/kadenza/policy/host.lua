--- The Lua side of a policy host, in the state where the policies run: it loads
--- and composes them, and runs what waits.

local failure = require("kadenza.failure")
local compose = require("kadenza.policy.compose")
local core = require("kadenza.core")
local log = require("kadenza.log")
local shape = require("kadenza.policy.shape")
local task = require("kadenza.task")
local throttle = require("kadenza.throttle")

local M = {}

-- A message handler: what an error says, and where it came from.
local function trace(err)
  return failure.text_of(err) .. "\n" .. core.traceback()
end

local function call_stoppers(list, node)
  for _, loaded in ipairs(list) do
    if loaded.policy.on_stop then
      local fine, err = xpcall(loaded.policy.on_stop, trace, node)
      if not fine then
        log.error("a policy failed", {
          hook = loaded.name .. ": on_stop",
          error = err,
        })
      end
    end
  end
end

-- Runs one function of a policy in a task of its own, and says its failure.
local function run_task(network, say, name, fn, node)
  local work = task.spawn(network, fn, node)
  if pcall(work.await, work) then
    return
  end
  say(name, function(unsaid)
    log.error("a policy failed", {
      hook = name,
      error = work:failure(),
      before = unsaid,
    })
  end)
end

-- A period with up to a tenth added or taken off.
local function jitter(network, seconds)
  local part = string.unpack("<I2", network:random(2)) / 65535
  return seconds * (0.9 + 0.2 * part)
end

local function repeat_forever(network, say, name, entry, node)
  while true do
    task.sleep(jitter(network, entry.seconds))
    run_task(network, say, name, entry.run, node)
  end
end

local function start_all(list, node, network, tasks)
  local say = throttle.new(network)
  for _, loaded in ipairs(list) do
    local policy = loaded.policy
    if policy.on_start then
      table.insert(tasks, task.spawn(network, run_task, network, say,
        loaded.name .. ": on_start", policy.on_start, node))
    end
    for index, entry in ipairs(policy.every or {}) do
      local name = string.format("%s: every[%d]", loaded.name, index)
      table.insert(tasks,
        task.spawn(network, repeat_forever, network, say, name, entry, node))
    end
  end
end

-- Says that a hook has failed: `text` has the place and the traceback.
local function report(name, text, place, unsaid, suspended)
  log.error("a policy failed", {
    hook = name,
    error = text,
    defined = place,
    before = unsaid > 0 and unsaid or nil,
    breaker = suspended and "open" or nil,
  })
end

-- Says that a hook returned seconds out of range, and what became of them.
local function report_clamped(name, returned, used, place, unsaid)
  log.warn("a policy returned seconds out of range", {
    hook = name,
    returned = tostring(returned),
    used = used,
    defined = place,
    before = unsaid > 0 and unsaid or nil,
  })
end

-- Returns what is told how hooks that waited have ended. One function for all,
-- and fields of the task instead of a table for each: thousands may wait.
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

-- The functions with which hook.c hands coroutines to the scheduler.
local function add_scheduling(setup, network)
  local threads = setmetatable({}, { __mode = "k" })
  local waiting = {} -- ticket → task
  local ended = make_ended(setup, waiting)

  function setup.adopt(thread, runner)
    local work = task.adopt(network, thread, setup)
    work.runner = runner
    threads[thread] = work
  end

  function setup.suspended(thread, ticket, ...)
    local work = threads[thread]
    waiting[ticket] = work
    task.suspended(work, ended, ...)
  end

  function setup.cancel(ticket)
    local work = waiting[ticket]
    if work then
      local problem, is_overrun = setup.problem(work.runner)
      if problem then -- it tells where the hook waits, too
        problem = problem .. "\n" .. core.traceback(work.thread)
      end
      work.problem, work.overrun = problem, is_overrun
      work:cancel()
    end
  end
end

-- Returns name, version and state of a policy as bytes; nil without a state.
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

-- Gives a policy the state that an older version of it has saved.
local function restore_state(list, node, bytes)
  local name, version, state = string.unpack("s4s4s4", bytes)
  for _, loaded in ipairs(list) do
    local policy = loaded.policy
    if loaded.name == name and policy.restore then
      local fine, verdict, reason = pcall(policy.restore,
        core.unpack_plain(state), core.unpack_plain(version), node)
      if not fine then
        return nil, loaded.label .. ": restore: " .. failure.text_of(verdict)
      elseif not verdict and reason ~= nil then
        return nil, loaded.label .. ": restore: " .. failure.text_of(reason)
      end
      return true
    end
  end
  log.warn("a state is lost: no policy of that name restores it",
    { policy = name })
  return true
end

-- The functions with which C takes states from the old policies to the new.
local function add_passage(setup, list, node)
  function setup.save(index)
    local loaded = list[index]
    if not loaded then
      return false
    elseif not loaded.policy.save then
      return nil
    end
    local fine, bytes = xpcall(pack_state, trace, loaded, node)
    if not fine then
      log.error("a policy failed: its state is lost", {
        hook = loaded.name .. ": save",
        error = bytes,
      })
      return nil
    end
    return bytes
  end

  function setup.restore(bytes)
    return restore_state(list, node, bytes)
  end
end

-- The functions with which the policies begin and end.
local function add_life(setup, list, node, network)
  local tasks = {}
  function setup.start()
    start_all(list, node, network, tasks)
  end

  function setup.halt()
    for _, work in ipairs(tasks) do
      if core.is_spent and core.is_spent() then
        break -- what is left is dropped with the state
      end
      work:cancel()
    end
  end

  function setup.stop()
    call_stoppers(list, node)
    setup.halt()
  end
end

--- Makes what C installs of policies that have been loaded.
---@param list kadenza.Loaded[]
---@param node kadenza.Node
---@param network kadenza.core.Network
---@return table? setup
---@return string? message
function M.set_up(list, node, network)
  for _, loaded in ipairs(list) do
    local fine, problem = shape.check(loaded.policy)
    if not fine then
      return nil, loaded.label .. ": " .. problem
    end
  end
  local fine, setup = pcall(compose.compose, list)
  if not fine then
    return nil, type(setup) == "table" and setup.problem or tostring(setup)
  end
  add_scheduling(setup, network)
  add_passage(setup, list, node)
  setup.report, setup.clamped = report, report_clamped
  function setup.describe()
    return require("kadenza.policy.describe").describe(list, setup)
  end
  add_life(setup, list, node, network)
  return setup
end

-- Cancels the tasks that are left, within one budget: each has one of its own,
-- and there may be a thousand. Returns true when none is left; at last those
-- are dropped.
local function finish_tasks(network, at_last)
  local finished = task.finish(network, core.is_spent)
  if at_last and not finished then
    log.warn("tasks of replaced policies were dropped: they take too long to "
      .. "end")
  end
  return finished
end

-- Gives the node's metatable of contexts the node: `context.node`.
local function wrap_node(handle, network)
  local node = require("kadenza.node").wrap(handle, network)
  return require("kadenza.policy.facade").node(node, network)
end

-- Has the log of the VM go to a function, the fields as names and values.
local function log_to(sink)
  log.configure({
    level = "debug",
    sink = function(event)
      local fields = {}
      for key, value in next, event.fields do -- a policy's: no __pairs
        fields[#fields + 1] = tostring(key)
        fields[#fields + 1] = tostring(value)
      end
      sink(event.level, event.message, table.unpack(fields))
    end,
  })
end

--- Loads policy files in a VM. Called by C.
---@param handle kadenza.core.Node  borrowed
---@param network kadenza.core.Network  borrowed
---@param packed string  a list of { path, trusted }, and in `standard` the
--- path and cpath for trusted files, if there are any
---@param sink fun(level: string, message: string, ...: string)
---@return table? setup
---@return string? message
function M.load_files(handle, network, packed, sink)
  local sandbox = require("kadenza.sandbox")
  local files = core.unpack_plain(packed)
  log_to(sink)
  local node = wrap_node(handle, network)
  local list = {}
  if files.standard then
    local standard = files.standard
    require("kadenza.policy.trusted").open(standard.path, standard.cpath)
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
    setup.node = node
    setup.finish = function(at_last)
      return finish_tasks(network, at_last)
    end
  end
  return setup, message
end

--- Returns what messages call a policy: its name, or that of its file.
---@param policy table
---@param label string
---@return string name
function M.name_of(policy, label)
  if type(policy) == "table" and type(policy.name) == "string" then
    return policy.name
  end
  return label:match("([^/]+)%.lua$") or label
end

return M
