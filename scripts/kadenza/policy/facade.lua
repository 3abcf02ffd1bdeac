--- What policies see of nodes and tasks: methods, and nothing that is inside.
--
-- A policy that could reach the scheduler behind a task, or the handle behind a
-- node, could do to them what no budget bounds. What it hands over to be called
-- back runs as a task of its own: it is metered, and its failure is logged.

local core = require("kadenza.core")
local failure = require("kadenza.failure")
local group = require("kadenza.group")
local log = require("kadenza.log")
local safe = require("kadenza.safe")
local task = require("kadenza.task")

local M = {}

--- The methods of a policy's node.
M.NODE = { "addresses", "announce", "bootstrap", "call", "contacts",
  "find_node", "get", "get_peers", "held", "id", "id_bits", "is_open", "own",
  "ping", "put", "query", "state", "stats", "withdraw" }

--- Those that are its program's alone.
M.WITHHELD = { "close", "leave", "network", "on_close", "receive", "reload",
  "save" }

local WORK <const> = 2000 -- instructions that beginning an operation is worth
local MAX_TASKS <const> = 1000 -- of a policy under way at a time
local TASK <const> = { "await", "cancel", "status" }

-- Returns the metatable of objects that show methods alone.
local function shut(methods, name, describe)
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

-- Returns what calls the method of the object behind a facade. These are tail
-- calls, so that errors blame whoever has called the facade.
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

-- Calls a script's function as an entry of the meter, and says its failure.
local function call_apart(fn)
  local fine, err = coroutine.resume(coroutine.create(fn))
  if not fine then
    log.error("a policy failed", { error = failure.text_of(err) })
  end
end

-- As `kad.wait`, for a `start` that cannot be trusted to return a function that
-- ends, and without an error.
local function wait(start)
  return safe.wait(function(resume)
    local cancel = start(resume)
    return type(cancel) == "function" and function()
      call_apart(cancel)
    end or nil
  end)
end

-- Returns what starts tasks, of which a bounded number is under way at a time.
local function counter(owner)
  local living = 0
  return function(level, network, fn, ...)
    if living >= MAX_TASKS then
      error("too many tasks: " .. MAX_TASKS .. " are under way", level + 1)
    elseif type(fn) ~= "function" then
      error("a task needs a function, not " .. type(fn), level + 1)
    end
    local work = task.spawn(network, fn, ...)
    work.owner = owner
    if work:status() == "running" then
      living = living + 1
      work.settled = function()
        living = living - 1
      end
    end
    return work
  end
end

-- Tasks that end with whoever has made them.
local Made = {}

function Made:__close()
  for _, work in ipairs(self) do
    work:cancel()
  end
end

-- Returns what a list of tasks and functions stands for, and of that what was
-- started here. Raises in the caller's caller's name.
local function to_tasks(start, reals, list)
  task.check(3)
  if type(list) ~= "table" then
    error("a list of tasks is needed, not " .. type(list), 3)
  end
  local all, made = {}, setmetatable({}, Made)
  for i = 1, rawlen(list) do
    local item = rawget(list, i)
    if type(item) ~= "function" and not reals[item] then
      error(string.format("item %d is neither a task nor a function", i), 3)
    end
    all[i] = item
  end
  for i, item in ipairs(all) do
    all[i] = reals[item] or start(3, task.network(), item)
    made[#made + 1] = not reals[item] and all[i] or nil
  end
  return all, made
end

-- What waits for several tasks; those made here do not outlive the call.
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

--- Makes what a policy has for tasks: `spawn`, `all`, `race`, `timeout` and
--- `wait`, as of the library.
---@param owner string  what messages call the policy: its file
---@return table<string, function> library
function M.tasks(owner)
  local reals = setmetatable({}, { __mode = "k" })
  local start = counter(owner)
  local methods = {}
  for _, name in ipairs(TASK) do
    methods[name] = forward(reals, name)
  end
  local meta = shut(methods, "kadenza.Task", function(self)
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

-- Puts a task in the place of the callback that the last argument may be.
local function with_task(start, network, ...)
  local count = select("#", ...)
  local callback = count > 0 and select(count, ...)
  if type(callback) ~= "function" then
    return ...
  end
  local arguments = { ... }
  arguments[count] = function(...)
    start(2, network, callback, ...)
  end
  return table.unpack(arguments, 1, count)
end

--- Returns what a policy sees of its node.
---@param node kadenza.Node
---@param network kadenza.core.Network
---@return kadenza.Node shown
function M.node(node, network)
  local reals = setmetatable({}, { __mode = "k" })
  local start = counter("callbacks of policies")
  local methods = {}
  for _, name in ipairs(M.NODE) do
    local call = forward(reals, name)
    methods[name] = function(self, ...)
      core.charge(WORK)
      return call(self, with_task(start, network, ...))
    end
  end
  function methods.close()
    error("this node is not a policy's to close", 2)
  end
  local shown = setmetatable({}, shut(methods, "kadenza.Node", function()
    return tostring(node)
  end))
  reals[shown] = node
  return shown
end

return M
