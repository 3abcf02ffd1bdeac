--- kad.sim: simulates an overlay in virtual time.
--
--     local net = kad.sim { nodes = 100, seed = 1, loss = 0.01 }
--     net:perform(function()
--       assert(net.nodes[1]:put(kad.key "a", "1"))
--       kad.sleep(3600) -- virtual: it takes no time
--       print(net.nodes[2]:get(kad.key "a"))
--     end)
--     net:close()
--
-- The same options and calls give the same run, down to each datagram.

local check = require("kadenza.check")
local churn = require("kadenza.sim.churn")
local core = require("kadenza.core")
local errors = require("kadenza.errors")
local faults = require("kadenza.sim.faults")
local hostility = require("kadenza.sim.hostility")
local log = require("kadenza.log")
local nat = require("kadenza.sim.nat")
local population = require("kadenza.sim.population")
local schedule = require("kadenza.sim.schedule")
local task = require("kadenza.task")
local trace = require("kadenza.sim.trace")
local unwind = require("kadenza.unwind")

local M = {}

---@class kadenza.SimOptions
---@field nodes? integer
---@field seed? integer
---@field latency? integer|integer[]|table|"jimenez2011"  in milliseconds. One
---  way: a constant, or { min, max } for a uniform distribution, { 10, 100 }
---  without it. Of a round trip, constant for each pair of nodes: { median,
---  sigma } of a log-normal distribution, { quantiles = { { share,
---  milliseconds }, … } }, or "jimenez2011", the distribution that Jimenez and
---  others measured in 2011
---@field jitter? integer  largest random addition to the latency, milliseconds
---@field loss? number  share of datagrams that are lost, 0 to 1
---@field duplicate? number  share that arrives twice
---@field reorder? number  share that is delayed, so that others overtake it
---@field reorder_ms? integer  longest such delay, 200 milliseconds without it
---@field bandwidth? integer  bytes a second that a node can send and receive
---@field policies? table  of every node
---@field join? boolean  false: nodes do not join
---@field config? kadenza.NodeOptions  of every node
---@field churn? kadenza.ChurnOptions
---@field nat? table<string, number>  shares of nodes behind NATs, by kind; see
---  net:nat. `idle` is the idle time of their mappings in seconds
---@field watch? fun(net: kadenza.Sim)  called about every 0.1 seconds of
---  processor time during a run, to show its progress; its error ends the run

---@class kadenza.Sim
---@field nodes kadenza.Node[]  the open nodes
---@field seed integer
---@field private network kadenza.core.Network
local Sim = {}
Sim.__index = Sim
Sim.__name = "kadenza.Sim"

for _, part in ipairs({ population, faults, churn.methods, hostility,
  nat.methods, schedule, trace }) do
  for name, method in pairs(part) do
    Sim[name] = method
  end
end

-- Options that this module handles, and options that the core checks.
local OPTIONS <const> = {
  nodes = { kind = "integer", from = 0, to = 1000000 },
  policies = "table",
  join = "boolean",
  config = "table",
  churn = "table",
  nat = "table",
  watch = "function",
}
local CORE <const> = {
  seed = "integer",
  latency = {},
  jitter = { kind = "integer", from = 0, to = 3600000 },
  loss = {},
  duplicate = {},
  reorder = {},
  reorder_ms = { kind = "integer", from = 1, to = 3600000 },
  bandwidth = { kind = "integer", from = 0, to = math.maxinteger },
}

-- A network with `watch` runs in slices, and calls it after each. Slices are in
-- milliseconds of virtual time; their length adapts to take about SLICE_SECONDS
-- of processor time.
local FIRST_SLICE <const> = 100
local LONGEST_SLICE <const> = 1 << 30
local SLICE_SECONDS <const> = 0.1

-- Raises the first error of a failed task that no other task awaited.
local function raise_failures(self)
  local failures = task.take_failures(self.network)
  for i = 2, #failures do
    log.error("a task failed", { error = failures[i].text })
  end
  if failures[1] then
    error(failures[1].value, 0)
  end
end

-- Runs the network for `ms`, or until `is_over` returns true. Slices do not
-- change what happens in the network.
local function run_network(self, ms, is_over)
  if not self.watch then
    return self.network:run(ms)
  end
  while ms > 0 and not (is_over and is_over()) and self.network:timeout() do
    local slice = math.min(ms, self.slice)
    local before = os.clock()
    self.network:run(slice)
    ms = ms - slice
    local took = os.clock() - before
    if took < SLICE_SECONDS / 2 and self.slice < LONGEST_SLICE then
      self.slice = self.slice * 2
    elseif took > SLICE_SECONDS and self.slice > 1 then
      self.slice = self.slice // 2
    end
    self.watch(self)
  end
end

--- Runs the network. Raises the error of a failed task that no other task
--- awaited.
---@param seconds number  of virtual time
function Sim:run(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 1e9) then
    error("seconds must be a number from 0 to below 1e9", 2)
  end
  task.check_outside(self.network, 2)
  run_network(self, math.ceil(seconds * 1000))
  raise_failures(self)
end

--- Runs the network until a task of `fn` has ended. Returns its results.
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function Sim:perform(fn, ...)
  task.check_outside(self.network, 2)
  if type(fn) ~= "function" then
    error("a task needs a function, not " .. type(fn), 2)
  end
  local results = table.pack(task.run_until(self.network,
    self:spawn(fn, ...), self.watch and function(is_over)
      run_network(self, math.huge, is_over)
    end))
  raise_failures(self)
  return table.unpack(results, 1, results.n)
end

--- Calls `fn` directly within a task of the network; otherwise, runs it as
--- `perform` does.
---@async
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function Sim:in_task(fn, ...)
  if task.current() and task.network() == self.network then
    return fn(...)
  end
  return self:perform(fn, ...)
end

--- Starts a task in the simulation.
---@param fn async fun(...): ...
---@param ... any
---@return kadenza.Task task
function Sim:spawn(fn, ...)
  return task.spawn(self.network, fn, ...)
end

--- Returns the virtual time.
---@return number seconds
function Sim:now()
  return self.network:now()
end

--- Returns a hash of all datagrams delivered so far. Runs with the same seed
--- have the same hash.
---@return string hash  16 hexadecimal digits
function Sim:trace_hash()
  return self.network:trace_hash()
end

--- Returns counters of the network so far:
---
--- - nodes: `joined` by churn, `crashed`, `left`, and `alive` now;
--- - datagrams: `sent`, `delivered`, `duplicated`, `lost`, `congested` (more
---   than the bandwidth allows), `partitioned`, `filtered` (by a NAT),
---   `suspended` (the receiver is), `unreachable` (no node has the address) and
---   `dropped` (out of memory);
--- - `sent_bytes`, `delivered_bytes`;
--- - `ticks` of nodes, and `time` as net:now.
---
---@return table<string, number> statistics
function Sim:statistics()
  local statistics = self.network:stats()
  statistics.alive, statistics.time = self:alive(), self:now()
  for name, count in pairs(self.counts) do
    statistics[name] = count
  end
  return statistics
end

--- Closes the nodes and the simulation. Does nothing when it is closed.
function Sim:close()
  if self.network:is_open() then
    task.check_outside(self.network, 2)
    local network <close> = self.network
    task.finish(network)
  end
end

Sim.__close = Sim.close

-- What a closed simulation still does: nothing, and count no open nodes.
local WHEN_CLOSED <const> = { close = true, alive = true }

-- Returns a method that raises for another object, or a closed simulation. The
-- method is a tail call, so that its errors name its caller.
local function guard(name, method)
  return function(self, ...)
    if getmetatable(self) ~= Sim then
      error(("call '%s' with a colon: net:%s()"):format(name, name), 2)
    elseif not WHEN_CLOSED[name] and not self.network:is_open() then
      error("closed network", 2)
    end
    return method(self, ...)
  end
end

for name, method in pairs(Sim) do
  if type(method) == "function" and name:sub(1, 2) ~= "__" then
    Sim[name] = guard(name, method)
  end
end

------------------------------------------------------------ construction --

-- Returns a simulation without nodes.
local function new(network, given)
  local self = setmetatable({
    network = network,
    nodes = {},
    seed = given.seed or 1,
    watch = given.watch,
    slice = FIRST_SLICE,
    opened = 0, -- addresses that were given to nodes
    counts = { crashed = 0, left = 0, joined = 0 },
    sides = setmetatable({}, { __mode = "k" }), -- node → side of a partition
    last_side = 0,
    suspended = setmetatable({}, { __mode = "k" }), -- nodes as keys
    nat_shares = given.nat,
    nats = setmetatable({}, { __mode = "k" }), -- node → kind of its NAT
    heads = setmetatable({}, { __mode = "k" }), -- of ids: sim.holders
    hostiles = setmetatable({}, { __mode = "k" }), -- node → its behaviour
    forget = function() end,
    policies = given.policies,
    config = given.config or {},
  }, Sim)
  task.at_end(network, function()
    unwind(table.move(self.nodes, 1, #self.nodes, 1, {}), function(node)
      node:close()
    end)
  end)
  return self
end

local function populate(self, given)
  for _ = 1, given.nodes or 0 do
    local opened, message = errors.at_level(-1, self.open, self)
    if not opened then
      error(message, 0)
    end
  end
  if given.join ~= false then
    self:join_all()
  end
  if given.churn then
    self:churn(given.churn)
  end
end

local function check_options(given)
  check.options(given, 3, OPTIONS, CORE)
  if given.churn then
    churn.check(given.churn, 3)
  end
  if given.nat then
    nat.check(given.nat, 3)
  end
end

local function open_core(given)
  local core_options = {}
  for name in pairs(CORE) do
    core_options[name] = given[name]
  end
  return assert(errors.at_level(3, core.sim, core_options))
end

--- Opens an overlay of `nodes` nodes and joins them. Logs a warning if some
--- have not joined within ten minutes of virtual time. Raises an error if the
--- policies or the configuration of a node are wrong.
---@param given? kadenza.SimOptions
---@return kadenza.Sim net
function M.new(given)
  given = given or {}
  check_options(given)
  local self = new(open_core(given), given)
  local made, message = pcall(populate, self, given)
  if not made then
    self:close()
    error(message, 2)
  end
  return self
end

return M
