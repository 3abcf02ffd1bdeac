--- kad.sim: an overlay in virtual time.
--
--     local net = kad.sim { nodes = 100, seed = 1, loss = 0.01 }
--     net:perform(function()
--       assert(net.nodes[1]:put(kad.key "a", "1"))
--       kad.sleep(3600) -- virtual: it takes no time
--       print(net.nodes[2]:get(kad.key "a"))
--     end)
--     net:close()
--
-- The same options and calls give the same run, datagram for datagram.

local core = require("kadenza.core")
local group = require("kadenza.group")
local log = require("kadenza.log")
local node = require("kadenza.node")
local options = require("kadenza.options")
local task = require("kadenza.task")

local M = {}

---@class kadenza.SimOptions
---@field nodes? integer
---@field seed? integer
---@field latency? integer[]  { min, max } milliseconds one way
---@field loss? number  0 to 1
---@field policies? table  of every node
---@field join? boolean  false leaves them alone
---@field config? kadenza.NodeOptions  of every node

---@class kadenza.Sim
---@field nodes kadenza.Node[]
---@field private network kadenza.core.Network
local Sim = {}
Sim.__index = Sim
Sim.__name = "kadenza.Sim"

local OPTIONS <const> = {
  nodes = "integer",
  seed = "integer",
  latency = "table",
  loss = "number",
  policies = "table",
  join = "boolean",
  config = "table",
}

local PORT <const> = 6881

-- Seconds between two joins, and the longest that joining may take.
local JOIN_STEP <const> = 0.1
local JOIN_SECONDS <const> = 600

-- Every node has a /24 of its own, of addresses of the open internet.
local function address_of(index)
  return string.format("%d.%d.%d.1:%d", 20 + (index >> 16), (index >> 8) & 255,
    index & 255, PORT)
end

-- Raises the first error of a task that nobody has awaited.
local function raise_failures(self)
  local failures = task.take_failures(self.network)
  for i = 2, #failures do
    log.error("a task failed", { error = failures[i].text })
  end
  if failures[1] then
    error(failures[1].value, 0)
  end
end

local function open_one(self, wishes)
  local index = self.opened + 1
  local all = { listen = address_of(index), policies = self.policies }
  for name, value in pairs(self.config) do
    all[name] = value
  end
  for name, value in pairs(wishes or {}) do
    all[name] = value
  end
  local opened, message, code =
    options.call(-1, node.open_in, self.network, all)
  if not opened then
    return nil, message, code
  end
  self.opened = index
  self.nodes[#self.nodes + 1] = opened
  return opened
end

--- Opens one more node and returns it. It has not joined.
---@param wishes? kadenza.NodeOptions
---@return kadenza.Node? node
---@return string? message
---@return kadenza.Code? code
function Sim:open(wishes)
  return options.call(1, open_one, self, wishes) -- a tail call: blames ours
end

--- Runs for so many seconds of its clock; raises the error of a task that has
--- failed and that nobody awaited.
---@param seconds number
function Sim:run(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 1e9) then
    error("seconds must be a number from 0 to a milliard", 2)
  end
  task.check_outside(self.network, 2)
  self.network:run(math.ceil(seconds * 1000))
  raise_failures(self)
end

--- Runs `fn` as a task until it has ended; returns its results.
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function Sim:perform(fn, ...)
  task.check_outside(self.network, 2)
  local results =
    table.pack(task.run_until(self.network, self:spawn(fn, ...)))
  raise_failures(self)
  return table.unpack(results, 1, results.n)
end

--- Starts a task in the simulation.
---@param fn async fun(...): ...
---@param ... any
---@return kadenza.Task task
function Sim:spawn(fn, ...)
  return task.spawn(self.network, fn, ...)
end

--- Returns the seconds of the simulation's clock.
---@return number seconds
function Sim:now()
  return self.network:now()
end

--- Returns a hash of all datagrams delivered so far. Two runs of one seed have
--- the same.
---@return string hash  16 hexadecimal digits
function Sim:trace_hash()
  return self.network:trace_hash()
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

-- Lets a node join through an earlier one, and through another one when that
-- does not answer: datagrams may be lost.
local function join(self, index)
  local attempt = 0
  local host = self.nodes[1 + (index * 7919) % (index - 1)]
  while not self.nodes[index]:bootstrap(host:addresses()) do
    attempt = attempt + 1
    host = self.nodes[1 + (index * 7919 + attempt) % (index - 1)]
    task.sleep(1)
  end
end

-- Lets every node but the first join, a while after the one before.
local function join_all(self)
  local left = math.max(#self.nodes - 1, 0)
  local joins = {}
  for i = 2, #self.nodes do
    joins[#joins + 1] = task.spawn(self.network, function()
      task.sleep((i - 1) * JOIN_STEP)
      join(self, i)
      left = left - 1
    end)
  end
  self:perform(function()
    group.timeout(JOIN_SECONDS, function()
      group.all(joins)
    end)
  end)
  for _, joining in ipairs(joins) do
    joining:cancel()
  end
  if left > 0 then
    log.warn("not every node could join", { left = left })
  end
end

local function populate(self, given)
  for _ = 1, given.nodes or 0 do
    local opened, message = open_one(self)
    if not opened then
      error(message, 0)
    end
  end
  if given.join ~= false then
    join_all(self)
  end
end

local function check(given)
  if type(given) ~= "table" then
    error("options must be a table, not " .. type(given), 3)
  end
  options.check(given, 3, OPTIONS)
  local count = given.nodes or 0
  if count < 0 or count > 65536 then
    error("option 'nodes' must be in 0 to 65536", 3)
  end
end

--- Makes an overlay of `nodes` nodes that have joined; it is logged if some
--- could not in ten minutes of its clock. Raises when one of them cannot be
--- opened: its policies or its configuration are wrong.
---@param given? kadenza.SimOptions
---@return kadenza.Sim net
function M.new(given)
  given = given or {}
  check(given)
  local network = assert(options.call(2, core.sim, {
    seed = given.seed,
    latency = given.latency,
    loss = given.loss,
  }))
  local self = setmetatable({
    network = network,
    nodes = {},
    opened = 0,
    policies = given.policies,
    config = given.config or {},
  }, Sim)
  local made, message = pcall(populate, self, given)
  if not made then
    self:close()
    error(message, 2)
  end
  return self
end

return M
