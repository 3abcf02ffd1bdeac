--- Fixtures of all specs: a wrapper that counts expected callbacks, collects
--- garbage and fails on networks that were left open.
--
--     it("calls back once", spec(function(t)
--       something(t.expect(1, function(value) ... end))
--     end))

local core = require("kadenza.core")
local loop = require("kadenza.loop")
local task = require("kadenza.task")

local M = {}

local CONSTRUCTORS <const> = { "udp", "sim" }

-- Makes the constructors add their networks to `made`; returns a function that
-- undoes it.
local function note_networks(made)
  local before = {}
  for _, name in ipairs(CONSTRUCTORS) do
    local original = core[name]
    before[name] = original
    core[name] = function(...)
      local network, message, code = original(...)
      if network then
        made[network] = debug.traceback(name, 2)
      end
      return network, message, code
    end
  end
  return function()
    for name, original in pairs(before) do
      core[name] = original
    end
  end
end

-- Closes networks that are open; returns where one of them was made, or nil.
local function find_open(made)
  local left
  for network, trace in pairs(made) do
    if network:is_open() then
      left = trace
      network:close()
    end
  end
  return left
end

local function new_context()
  local expectations = {}
  local context = {}

  --- Returns a function that must be called `count` times and calls `fn`.
  function context.expect(count, fn)
    local expectation = {
      count = count,
      calls = 0,
      trace = debug.traceback("expected here", 2),
    }
    expectations[#expectations + 1] = expectation
    return function(...)
      expectation.calls = expectation.calls + 1
      return fn and fn(...)
    end
  end

  return context, expectations
end

local function check_expectations(expectations)
  for _, expectation in ipairs(expectations) do
    if expectation.calls ~= expectation.count then
      error(string.format("%d calls instead of %d; %s", expectation.calls,
        expectation.count, expectation.trace), 0)
    end
  end
end

--- Wraps the body of a spec.
---@param body fun(t: { expect: fun(count: integer, fn?: function): function })
---@return fun()
function M.spec(body)
  return function()
    local made = setmetatable({}, { __mode = "k" })
    local undo = note_networks(made)
    local context, expectations = new_context()
    local passed, err = xpcall(body, function(problem)
      return type(problem) == "string" and debug.traceback(problem, 2)
        or problem
    end, context)
    undo()
    loop.use(nil)
    collectgarbage()
    collectgarbage()
    local left = find_open(made)
    if not passed then
      error(err, 0)
    end
    check_expectations(expectations)
    if left then
      error("a network was left open, made at " .. left, 0)
    end
  end
end

--- Runs `fn` as a task of an empty network in virtual time, and returns its
--- results.
---@param fn async fun(network: table): ...
---@return any ...
function M.in_virtual_time(fn)
  local network = assert(core.sim({ seed = 1 }))
  local results = table.pack(pcall(task.run_until, network,
    task.spawn(network, fn, network)))
  task.finish(network)
  network:close()
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

--- Wraps the body of a spec that runs as a task of an empty network in virtual
--- time.
---@param body async fun(network: table, t: table)
---@return fun()
function M.timed(body)
  return M.spec(function(t)
    M.in_virtual_time(function(network)
      body(network, t)
    end)
  end)
end

--- Returns the function of a task that sleeps and then returns `...`.
---@param seconds number
---@param ... any
---@return async fun(): ...
function M.sleeper(seconds, ...)
  local results = table.pack(...)
  return function()
    task.sleep(seconds)
    return table.unpack(results, 1, results.n)
  end
end

--- Waits without end.
---@async
function M.never()
  task.wait(function() end)
end

--- Calls `fn`, which must raise a string that contains `text` and begins with
--- the name of the caller's file.
---@param text string
---@param fn fun()
function M.assert_blames_caller(text, fn)
  local file = debug.getinfo(2, "S").short_src
  local passed, err = pcall(fn)
  if passed or type(err) ~= "string" or not err:find(text, 1, true)
    or err:sub(1, #file + 1) ~= file .. ":" then
    error(string.format("expected %s:…: …%s…, got: %s", file, text,
      passed and "no error" or tostring(err)), 2)
  end
end

--- Returns options of a node on a free loopback port.
---@param more? table
---@return table options
function M.local_node(more)
  local options = { listen = "127.0.0.1:0", allow_local = true }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  return options
end

--- Wraps the body of a spec that receives two nodes that know each other.
---@param fn async fun(a: kadenza.Node, b: kadenza.Node, t: table)
---@return fun()
function M.with_pair(fn)
  return M.spec(function(t)
    local kad = require("kadenza")
    return kad.run(function()
      local a = assert(kad.node(M.local_node()))
      local b = assert(kad.node(M.local_node({ listen = "127.0.0.2:0" })))
      assert(b:bootstrap(a:addresses()))
      return fn(a, b, t)
    end, { timeout = 20 })
  end)
end

--- Makes a temporary folder; returns its path and a function that removes it.
---@return string path
---@return fun() remove
function M.temporary_folder()
  local path = os.tmpname()
  os.remove(path)
  assert(core.make_folder(path))
  return path, function()
    os.execute("rm -rf '" .. path .. "'")
  end
end

--- Wraps the body of a spec that receives the path of a temporary folder.
---@param body fun(folder: string)
---@return fun()
function M.with_folder(body)
  return M.spec(function()
    local folder, remove = M.temporary_folder()
    local _ <close> = setmetatable({}, { __close = remove })
    body(folder)
  end)
end

--- Collects log events while `fn` runs; returns them.
---@param fn fun()
---@return table[] events
function M.logged(fn)
  local log = require("kadenza.log")
  local events = {}
  local before = log.configure({
    sink = function(event)
      events[#events + 1] = event
    end,
  })
  local passed, err = pcall(fn)
  log.restore(before)
  if not passed then
    error(err, 0)
  end
  return events
end

return M
