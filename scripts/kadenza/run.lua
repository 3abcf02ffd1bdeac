--- kad.run: a network of its own for one main task.

local check = require("kadenza.check")
local core = require("kadenza.core")
local group = require("kadenza.group")
local log = require("kadenza.log")
local loop = require("kadenza.loop")
local task = require("kadenza.task")

local Session = {} -- ends the network, also when an error ends the session
Session.__index = Session

function Session:__close()
  local finished, err = pcall(task.finish, self.network)
  loop.use(self.before)
  self.network:close()
  if not finished then
    error(err, 0)
  end
end

-- Raises the first failure that nobody has seen; logs the others.
local function raise_failures(network, raise)
  local failures = task.take_failures(network)
  for i, failure in ipairs(failures) do
    if i > 1 or not raise then
      log.error("a task failed", { error = failure.text })
    end
  end
  if raise and failures[1] then
    error(failures[1].value, 0)
  end
end

local OPTIONS <const> = { timeout = "number", signals = "boolean" }

-- Lets SIGINT and SIGTERM cancel the main task; the session keeps which came.
-- A function that the main task gives to on_signal takes the place of this.
local function end_on_signals(session)
  for _, name in ipairs({ "SIGINT", "SIGTERM" }) do
    session.network:on_signal(name, function()
      session.signal = name
      session.main:cancel()
    end)
  end
end

-- Runs the main task; returns whether it went well, and its results or error.
local function run_main(session, fn, options)
  if options.signals ~= false then
    end_on_signals(session)
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

--- Makes a network of UDP sockets, runs `fn` in it as the main task, and closes
--- what is left open. Returns what `fn` returned, or raises its error. An error
--- of another task that nobody has awaited is raised at the end, or logged if
--- there is more than one. SIGINT and SIGTERM end it with an error, after all
--- has been closed; `signals = false` leaves them alone.
---@param fn async fun(): ...
---@param options? { timeout?: number, signals?: boolean }  timeout in seconds
---@return any ...
return function(fn, options)
  if task.current() then
    error("kad.run is called inside a task", 2)
  elseif type(fn) ~= "function" then
    error("kad.run needs a function, not " .. type(fn), 2)
  end
  options = options or {}
  check.options(options, 2, OPTIONS)
  local network = assert(core.udp())
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
