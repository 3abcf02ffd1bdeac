--- What is measured of a run: operations that a scenario tells of, and a panel
--- of nodes that is looked at now and then. It takes as much memory after a day
--- as after an hour.
--
--     local recorder = require("kadenza.sim.recorder").new()
--     recorder:sample(net:now(), net.nodes)            -- every minute or so
--     local value, info = node:get(key)
--     recorder:operation(net:now(), "get", value ~= nil, info)
--     recorder:holders(net:now(), info.holders / 8)

local statistics = require("kadenza.sim.statistics")

local M = {}

-- Nodes whose counters are read at a sample: the whole of a small network, and
-- of a large one enough that their mean is within some per cent of all.
local PANEL <const> = 400

-- Kinds of operations told apart; those that come after them are one.
local KINDS <const> = 6
local OTHER <const> = "other"

-- Queries by what they ask, as those who answered them count.
local QUERIES <const> = { "ping", "find_node", "get_peers", "announce_peer",
  "find_value", "store", "custom" }

--- What operations of a kind have come to.
---@class kadenza.sim.Operations
---@field kind string
---@field hops kadenza.sim.Distribution
---@field took kadenza.sim.Distribution  milliseconds
---@field messages kadenza.sim.Distribution
---@field success kadenza.sim.Course
---@field count integer
---@field good integer

---@class kadenza.sim.Recorder
---@field kinds kadenza.sim.Operations[]
---@field shares kadenza.sim.Course  of holders found
---@field held kadenza.sim.Distribution  the same
---@field population kadenza.sim.Course
---@field sent kadenza.sim.Course  datagrams of a node a minute
---@field bytes kadenza.sim.Course  of a node a second
---@field asked kadenza.sim.Course  queries of a node a minute
---@field queries table<string, kadenza.sim.Course>  answered by a node a minute
---@field contacts kadenza.sim.Course
---@field lowest kadenza.sim.Course  contacts of the node that has the fewest
---@field highest kadenza.sim.Course
---@field hooks table<string, { calls: integer, seconds: number,
---  slowest: number, errors: integer }>
---@field private settings table
---@field private by_kind table<string, kadenza.sim.Operations>
---@field private panel table<kadenza.Node, table>
local Recorder = {}
Recorder.__index = Recorder
Recorder.__name = "kadenza.sim.Recorder"

M.QUERIES = QUERIES

local COURSES <const> = { "shares", "population", "sent", "bytes", "asked",
  "contacts", "lowest", "highest" }

--- Makes a recorder.
---@param options? { start?: number, interval?: number, panel?: integer }  when
---  the clock of its charts begins, the seconds that a point of theirs stands
---  for at first (60), and how many nodes are looked at (400)
---@return kadenza.sim.Recorder recorder
function M.new(options)
  options = options or {}
  local self = setmetatable({ kinds = {}, by_kind = {}, queries = {},
    hooks = {}, panel = {}, settings = options,
    held = statistics.distribution() }, Recorder)
  for _, name in ipairs(COURSES) do
    self[name] = statistics.course(options)
  end
  for _, name in ipairs(QUERIES) do
    self.queries[name] = statistics.course(options)
  end
  return self
end

-------------------------------------------------------------- operations --

local function kind_of(self, kind)
  local known = self.by_kind[kind]
  if known then
    return known
  elseif #self.kinds >= KINDS and kind ~= OTHER then
    return kind_of(self, OTHER)
  end
  known = { kind = kind, count = 0, good = 0,
    hops = statistics.distribution(), took = statistics.distribution(),
    messages = statistics.distribution(),
    success = statistics.course(self.settings) }
  self.by_kind[kind] = known
  self.kinds[#self.kinds + 1] = known
  return known
end

--- Tells of an operation that has ended.
---@param time number  seconds of the simulation's clock
---@param kind string  such as "get"
---@param good boolean  whether it did what it was to do
---@param info? kadenza.Info  what it returned, if it asked anybody
function Recorder:operation(time, kind, good, info)
  local of = kind_of(self, kind)
  of.count = of.count + 1
  of.good = of.good + (good and 1 or 0)
  of.success:add(time, good and 1 or 0)
  if info and info.hops then
    of.hops:add(info.hops)
    of.took:add(info.took * 1000)
    of.messages:add(info.messages)
  end
end

--- Tells which share of the nodes that should hold a record does.
---@param time number
---@param share number  0 to 1
function Recorder:holders(time, share)
  self.shares:add(time, share)
  self.held:add(share)
end

------------------------------------------------------------------- panel --

-- Forgets nodes that have closed, and looks at others in their place: at those
-- in even steps along the list.
local function renew_panel(self, nodes)
  local size = 0
  for node in pairs(self.panel) do
    if node:is_open() then
      size = size + 1
    else
      self.panel[node] = nil
    end
  end
  local wanted = math.min(self.settings.panel or PANEL, #nodes)
  local stride = #nodes / math.max(wanted, 1)
  for step = 0, wanted - 1 do
    local node = nodes[1 + math.floor(step * stride)]
    if size < wanted and node and not self.panel[node] and node:is_open() then
      self.panel[node] = {}
      size = size + 1
    end
  end
end

-- Adds what the hooks of a node have done since it was last looked at.
local function add_hooks(self, now, before)
  for name, hook in pairs(now) do
    local last = before and before[name] or {}
    local sum = self.hooks[name]
      or { calls = 0, seconds = 0, slowest = 0, errors = 0 }
    self.hooks[name] = sum
    sum.calls = sum.calls + hook.calls - (last.calls or 0)
    sum.seconds = sum.seconds + hook.seconds - (last.seconds or 0)
    sum.errors = sum.errors + hook.errors - (last.errors or 0)
    sum.slowest = math.max(sum.slowest, hook.slowest)
  end
end

-- Adds what a node has sent and answered since it was last looked at.
local function add_traffic(self, time, now, before)
  local seconds = time - before.time
  local function rate(name, per)
    return (now[name] - before[name]) * per / seconds
  end
  self.sent:add(time, rate("datagrams_out", 60))
  self.bytes:add(time, rate("bytes_out", 1))
  self.asked:add(time, rate("queries", 60))
  for _, name in ipairs(QUERIES) do
    self.queries[name]:add(time, rate("served_" .. name, 60))
  end
end

local function look_at(self, time, node, before)
  local now = node:stats()
  now.time = time
  if before.time and time > before.time then
    add_traffic(self, time, now, before)
  end
  if now.policies then
    now.hooks = now.policies.hooks
    add_hooks(self, now.hooks, before.hooks)
    now.policies = nil
  end
  return now
end

--- Looks at the nodes that live.
---@param time number
---@param nodes kadenza.Node[]
function Recorder:sample(time, nodes)
  renew_panel(self, nodes)
  local sum, count, lowest, highest = 0, 0, math.huge, 0
  for _, node in ipairs(nodes) do
    local before = self.panel[node]
    if before then
      local now = look_at(self, time, node, before)
      self.panel[node] = now
      sum, count = sum + now.contacts, count + 1
      lowest = math.min(lowest, now.contacts)
      highest = math.max(highest, now.contacts)
    end
  end
  self.population:add(time, #nodes)
  if count > 0 then
    self.contacts:add(time, sum / count)
    self.lowest:add(time, lowest)
    self.highest:add(time, highest)
  end
end

return M
