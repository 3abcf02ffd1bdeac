--- kad.run: runs a main task in a network that it opens and closes.

local check = require("kadenza.check")
local core = require("kadenza.core")
local group = require("kadenza.group")
local log = require("kadenza.log")
local loop = require("kadenza.loop")
local task = require("kadenza.task")

-- A run of kad.run: finishes and closes the network, also after an error.
local Session = {}
Session.__index = Session

function Session:__close()
  local finished, err = pcall(task.finish, self.network)
  loop.use(self.before)
  self.network:close()
  if not finished then
    error(err, 0)
  end
end

-- Raises the first failure that nothing has awaited, if `is_raised`; logs the
-- others.
local function raise_failures(network, is_raised)
  local failures = task.take_failures(network)
  for i, failure in ipairs(failures) do
    if i > 1 or not is_raised then
      log.error("a task failed", { error = failure.text })
    end
  end
  if is_raised and failures[1] then
    error(failures[1].value, 0)
  end
end

local OPTIONS <const> =
  { timeout = "number", signals = "boolean", network = "userdata" }

-- Makes SIGINT and SIGTERM cancel the main task, and keeps the signal's name in
-- the session. A function that the main task passes to on_signal replaces this.
local function handle_signals(session)
  for _, name in ipairs({ "SIGINT", "SIGTERM" }) do
    session.network:on_signal(name, function()
      session.signal = name
      session.main:cancel()
    end)
  end
end

-- Runs the main task. Returns true and its results, or false and its error.
local function run_main(session, fn, options)
  if options.signals ~= false then
    handle_signals(session)
  end
  session.main = task.spawn(session.network, function()
    if options.timeout then
      return group.timeout(options.timeout, fn)
    end
    return fn()
  end)
  local results =
    table.pack(pcall(task.run_until, session.network, session.main))
  if session.signal then
    return { false, "ended by " .. session.signal, n = 2 }
  end
  return results
end

--- Opens a network of UDP sockets, runs `fn` in it as the main task, and closes
--- it with all that is open in it. Returns the results of `fn`, or raises its
--- error. The first error of another task that nothing has awaited is raised at
--- the end; further ones are logged. SIGINT and SIGTERM end the run with an
--- error, after all is closed; `signals = false` does not handle them. Raises
--- if the network cannot be opened; `network` is one that is open already.
---@param fn async fun(): ...
---@param options? { timeout?: number, signals?: boolean, network?:
---  kadenza.core.Network }  timeout in seconds
---@return any ...
return function(fn, options)
  if task.current() then
    error("kad.run is called inside a task", 2)
  elseif type(fn) ~= "function" then
    error("kad.run needs a function, not " .. type(fn), 2)
  end
  options = options or {}
  check.options(options, 2, OPTIONS)
  local network = options.network or assert(core.udp())
  local results
  do
    local session <close> =
      setmetatable({ network = network, before = loop.use(network) }, Session)
    results = run_main(session, fn, options)
  end
  raise_failures(network, results[1])
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end
