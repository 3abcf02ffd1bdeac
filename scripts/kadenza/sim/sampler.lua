--- Records the state of a running overlay at regular intervals: one record of
--- the kind "sample" each time, with
--
--     alive      open nodes
--     healthy    share of them in the state "healthy"
--     joined, crashed, left      nodes since the sample before
--     contacts, good, records    of a node, on average
--     queries, datagrams, bytes  sent by a node a minute, on average, since the
--                                sample before
--     contacts_least, contacts_most  of the node that has the fewest, the most
--     served_ping, served_find_node, …  queries that a node answered a minute
--     queries_max  of the node that sent most, a minute
--     held       share of the `k` closest nodes that hold a value, on average
--                over the first values of the run
--     copies     holders of a value among the 64 closest nodes, on average
--     success    share of gets that found a value, since the sample before
--     correct    share of the values found that were the right one
--
-- A sample has no field for what cannot be measured, such as the success when
-- there were no gets.

local measure = require("kadenza.sim.measure")
local QUERIES <const> = require("kadenza.sim.recorder").QUERIES
local task = require("kadenza.task")

local M = {}

-- Nodes that a sample of a large overlay reads, equally far apart in the list.
local NODES_READ <const> = 2000

-- Seconds, at least, between two samples.
local LEAST_DISTANCE <const> = 1

-- Values whose holders are counted.
local VALUES_READ <const> = 32

-- Sums over nodes: fields of a sample and of kad_stats.
local GAUGES <const> = { contacts = "contacts", good = "contacts_good",
  records = "records" }
local RATES <const> = { queries = "queries", datagrams = "datagrams_out",
  bytes = "bytes_out" }
local COUNTS <const> = { "joined", "crashed", "left" }
for _, query in ipairs(QUERIES) do
  RATES["served_" .. query] = "served_" .. query
end

---@class kadenza.sim.Sampler
---@field private run kadenza.SimRun
---@field private last number  time of the last sample
---@field private before table<kadenza.Node, table>  counters at that time
local Sampler = {}
Sampler.__index = Sampler

--- Returns the sampler of a run. Its first sample begins now.
---@param run kadenza.SimRun
---@return kadenza.sim.Sampler sampler
function M.new(run)
  local self = setmetatable({
    run = run,
    last = run:now(),
    before = setmetatable({}, { __mode = "k" }),
    counts = {},
    rounds = 0,
  }, Sampler)
  self:read_nodes({})
  self:count({})
  return self
end

-- The counters of a new node.
local ZEROS <const> = setmetatable({}, { __index = function()
  return 0
end })

-- Returns the counters of a node at the sample before, or nil. If samples read
-- only some nodes, a node without counters may be an old one.
local function counters_of(self, node, all)
  local before = self.before[node]
  if not before then
    return all and ZEROS or nil
  end
  return before.round == self.rounds - 1 and before or nil
end

-- Adds what a node has sent since the sample before to the sums. Returns
-- whether that is known.
local function add_rates(self, node, stats, sample, all)
  local before = counters_of(self, node, all)
  local now = { round = self.rounds }
  for name, counter in pairs(RATES) do
    now[name] = stats[counter]
    if before then
      sample[name] = (sample[name] or 0) + now[name] - before[name]
    end
  end
  if before then
    sample.queries_max =
      math.max(sample.queries_max or 0, now.queries - before.queries)
  end
  self.before[node] = now
  return before ~= nil
end

local function add_gauges(node, stats, sample)
  for name, gauge in pairs(GAUGES) do
    sample[name] = (sample[name] or 0) + stats[gauge]
  end
  local contacts = stats.contacts
  sample.contacts_least = math.min(sample.contacts_least or contacts, contacts)
  sample.contacts_most = math.max(sample.contacts_most or 0, contacts)
  sample.healthy = (sample.healthy or 0)
    + (node:state() == "healthy" and 1 or 0)
end

-- Adds up the figures of the nodes, or of some in a large overlay. Returns how
-- many it has read, and of how many it is known what they have sent.
function Sampler:read_nodes(sample)
  local nodes, read, rated = self.run.net.nodes, 0, 0
  local stride = math.max(math.ceil(#nodes / NODES_READ), 1)
  self.rounds = self.rounds + 1
  for i = 1, #nodes, stride do
    local node = nodes[i]
    if node:is_open() then
      read = read + 1
      local stats = node.core:stats()
      add_gauges(node, stats, sample)
      local known = add_rates(self, node, stats, sample, stride == 1)
      rated = rated + (known and 1 or 0)
    end
  end
  return read, rated
end

-- Divides sums by a number, to make averages.
local function divide(sample, names, by)
  for name in pairs(names) do
    sample[name] = by > 0 and sample[name] and sample[name] / by or nil
  end
end

local HEALTHY <const> = { healthy = true }
local MOST <const> = { queries_max = true }

-- Counts the nodes that joined and left since the sample before.
function Sampler:count(sample)
  for _, name in ipairs(COUNTS) do
    local count = self.run.net.counts[name]
    sample[name] = count - (self.counts[name] or 0)
    self.counts[name] = count
  end
end

local function count_holders(run, sample)
  local held, copies = 0, 0
  local count = math.min(#run.values, VALUES_READ)
  for i = 1, count do
    local value = run.values[i]
    local holding, of, near = run:holders(value.key, value.type)
    held, copies = held + holding / math.max(of, 1), copies + near
  end
  if count > 0 then
    sample.held, sample.copies = held / count, copies / count
  end
end

--- Records a sample, unless the last one is less than a second old.
function Sampler:sample()
  local run = self.run
  if run.records.sample and run:now() - self.last < LEAST_DISTANCE then
    return
  end
  local sample = { alive = run.net:alive() }
  local read, rated = self:read_nodes(sample)
  local minutes = (run:now() - self.last) / 60
  divide(sample, GAUGES, read)
  divide(sample, HEALTHY, read)
  divide(sample, RATES, rated * minutes)
  divide(sample, MOST, minutes)
  self:count(sample)
  count_holders(run, sample)
  local gets = run:select("get", self.last)
  sample.success = measure.share(gets, "ok")
  sample.correct = measure.share(gets, "correct")
  self.last = run:now()
  run:record("sample", sample)
end

--- Records a sample every `seconds`, until its task is canceled.
---@async
---@param seconds number
function Sampler:sample_every(seconds)
  while true do
    task.sleep(seconds)
    self:sample()
  end
end

--------------------------------------------------------------- policies --

-- Costs of a hook that are added up over the nodes.
local COSTS <const> = { "calls", "errors", "overruns", "yields", "preempted",
  "instructions", "seconds" }

local function add_hook(sums, name, hook)
  local sum = sums[name]
  if not sum then
    sum = { hook = name, slowest = 0 }
    sums[name] = sum
    sums[#sums + 1] = name
  end
  for _, cost in ipairs(COSTS) do
    sum[cost] = (sum[cost] or 0) + (hook[cost] or 0)
  end
  sum.slowest = math.max(sum.slowest, hook.slowest or 0)
end

--- Records the costs of policies on the open nodes: for each hook one record of
--- the kind "policy", with hook, calls, errors, overruns, yields, preempted,
--- instructions, seconds and slowest. Seconds are real time.
function Sampler:policies()
  local sums = {}
  for _, node in ipairs(self.run.net.nodes) do
    local policies = node:is_open() and node:stats().policies
    for name, hook in pairs(policies and policies.hooks or {}) do
      add_hook(sums, name, hook)
    end
  end
  table.sort(sums)
  for _, name in ipairs(sums) do
    self.run:record("policy", sums[name])
  end
end

return M
