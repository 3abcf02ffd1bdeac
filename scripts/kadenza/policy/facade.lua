--- Objects through which policies use nodes and tasks: they have methods and no
--- visible fields.
--
-- A policy must not reach the scheduler behind a task or the handle behind a
-- node, where no budget would bound it. A policy's callback runs as a task of
-- its own: it is metered, and its failure is logged.
--
-- Tested by tests/spec/sandbox_spec.lua, tests/spec/policy/overload_spec.lua.

local core = require("kadenza.core")
local coroutine = require("kadenza.coroutine")
local errors = require("kadenza.errors")
local group = require("kadenza.group")
local log = require("kadenza.log")
local safe = require("kadenza.safe")
local task = require("kadenza.task")

local M = {}

--- The methods of a node that policies may call.
M.NODE = {
  "addresses", "announce", "bootstrap", "call", "contacts", "count",
  "find_node", "gauge", "get", "get_immutable", "get_mutable", "get_peers",
  "held", "histograms", "id", "id_bits", "is_open", "names", "neighbours",
  "ping", "publications", "publish", "put", "put_immutable", "put_mutable",
  "query", "reachability", "sample", "secure_id", "state", "stats",
  "tallies", "unpublish",
}

--- The methods of a node that only its program may call.
M.WITHHELD = { "block", "close", "complete", "configure", "evaluate", "exempt",
  "held_page", "held_types", "http_routes", "leave", "network", "on_close",
  "policy_metrics", "receive", "reload", "save", "seal_notices",
  "send_failure", "serve_http",
  "set_network_key" }

-- The objects that policies have for their nodes → their methods.
local nodes = setmetatable({}, { __mode = "k" })

-- Methods that do not leave the state of the policies.
local COUNTS <const> = { count = true, gauge = true }

local CALL_COST <const> = 2000 -- instructions charged for a method call
local MAX_TASKS <const> = 1000 -- running tasks of a policy
local TASK_METHODS <const> = { "await", "cancel", "status" }

-- Returns the metatable of read-only objects that have methods only.
local function make_metatable(methods, name, describe)
  return {
    __index = methods,
    __newindex = function(_, field)
      error(string.format("'%s' cannot be set: a %s is read-only",
        tostring(field), name), 2)
    end,
    __metatable = false,
    __name = name,
    __tostring = describe,
  }
end

-- Returns a function that calls a method of the object behind a facade. It is a
-- tail call, so that errors name the caller of the facade.
local function forward(reals, name)
  return function(self, ...)
    local real = reals[self]
    if not real then
      error(string.format("call '%s' with a colon: x:%s()", name, name), 2)
    end
    return real[name](real, ...)
  end
end

------------------------------------------------------------------- tasks --

-- Calls a policy's function metered, in a coroutine; logs its failure.
local function call_metered(fn)
  local succeeded, err = coroutine.resume(coroutine.create(fn))
  if not succeeded then
    log.error("a policy failed", { error = errors.text_of(err) })
  end
end

-- Like `kad.wait`, but the function that `start` returns may fail or not end.
local function wait(start)
  return safe.wait(function(resume)
    local cancel = start(resume)
    return type(cancel) == "function" and function()
      call_metered(cancel)
    end or nil
  end)
end

-- Returns a function that starts tasks, of which at most MAX_TASKS run at once.
local function bounded_spawn(owner)
  local running = 0
  return function(level, network, fn, ...)
    if running >= MAX_TASKS then
      error("too many tasks: " .. MAX_TASKS .. " are running", level + 1)
    elseif type(fn) ~= "function" then
      error("a task needs a function, not " .. type(fn), level + 1)
    end
    local work = task.spawn(network, fn, ...)
    work.owner = owner
    if work:status() == "running" then
      running = running + 1
      work.on_ended = function()
        running = running - 1
      end
    end
    return work
  end
end

-- A list of tasks that are cancelled when it is closed.
local OwnedTasks = {}

function OwnedTasks:__close()
  for _, work in ipairs(self) do
    work:cancel()
  end
end

-- Returns the tasks of a list of tasks and functions, and those among them that
-- it started for functions. Errors name the caller's caller.
local function to_tasks(start, reals, list)
  task.check(3)
  if type(list) ~= "table" then
    error("a list of tasks is needed, not " .. type(list), 3)
  end
  local all, started = {}, setmetatable({}, OwnedTasks)
  for i = 1, rawlen(list) do
    local item = rawget(list, i)
    if type(item) ~= "function" and not reals[item] then
      error(string.format("item %d is neither a task nor a function", i), 3)
    end
    all[i] = item
  end
  for i, item in ipairs(all) do
    all[i] = reals[item] or start(3, task.network(), item)
    started[#started + 1] = not reals[item] and all[i] or nil
  end
  return all, started
end

-- Adds the functions that wait for several tasks. Tasks that they start end
-- with the call.
local function add_groups(library, start, reals)
  function library.all(list)
    local all, _ <close> = to_tasks(start, reals, list)
    return group.all(all)
  end

  function library.race(list)
    local all, _ <close> = to_tasks(start, reals, list)
    if #all == 0 then
      error("a race needs a task", 2)
    end
    return group.race(all)
  end

  function library.timeout(seconds, what)
    task.milliseconds(seconds, 2)
    if what == nil then
      error("a task or a function is needed", 2)
    end
    local all, _ <close> = to_tasks(start, reals, { what })
    return group.timeout(seconds, all[1])
  end
end

--- Makes a policy's task functions: `spawn`, `all`, `race`, `timeout`, `wait`.
--- They do the same as those of the library.
---@param owner string  the policy's name in messages: its file
---@return table<string, function> library
function M.tasks(owner)
  local reals = setmetatable({}, { __mode = "k" })
  local start = bounded_spawn(owner)
  local methods = {}
  for _, name in ipairs(TASK_METHODS) do
    methods[name] = forward(reals, name)
  end
  local meta = make_metatable(methods, "kadenza.Task", function(self)
    return tostring(reals[self])
  end)
  local library = { wait = wait }
  function library.spawn(fn, ...)
    local shown = setmetatable({}, meta)
    reals[shown] = start(2, task.network(), fn, ...)
    return shown
  end
  add_groups(library, start, reals)
  return library
end

------------------------------------------------------------------- nodes --

-- Returns the arguments. Each function among them is a callback, wherever it
-- is: it is replaced by a function that runs it as a task.
local function with_task(start, network, ...)
  local arguments = table.pack(...)
  for i = 1, arguments.n do
    local callback = arguments[i]
    if type(callback) == "function" then
      arguments[i] = function(...)
        start(2, network, callback, ...)
      end
    end
  end
  return table.unpack(arguments, 1, arguments.n)
end

--- Returns the object that a policy has for its node.
---@param node kadenza.Node
---@param network kadenza.core.Network
---@return kadenza.Node shown
function M.node(node, network)
  local reals = setmetatable({}, { __mode = "k" })
  local start = bounded_spawn("callbacks of policies")
  local methods = {}
  for _, name in ipairs(M.NODE) do
    local call = forward(reals, name)
    methods[name] = COUNTS[name] and call or function(self, ...)
      core.charge(CALL_COST)
      return call(self, with_task(start, network, ...))
    end
  end
  function methods.close()
    error("a policy cannot close its node", 2)
  end
  local shown = setmetatable({}, make_metatable(methods, "kadenza.Node",
    function()
      return tostring(node)
    end))
  reals[shown], nodes[shown] = node, methods
  return shown
end

--- Returns the methods of an object that `node` has made, or nil.
---@param value any
---@return table<string, function>? methods
function M.methods_of(value)
  return nodes[value]
end

return M
