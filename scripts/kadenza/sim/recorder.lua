--- Collects the records of a run as distributions and time series, in memory
--- that does not grow with the length of the run.
--
--     local recorder = require("kadenza.sim.recorder").new()
--     recorder:record("get", { time = 1.5, ok = true, took = 0.2, hops = 2,
--       messages = 9 })
--     print(recorder.kinds[1].took:quantile(0.5))
--
-- Kinds of records are those of kadenza.sim.run. Any other record with a field
-- `ok` is an operation, too.

local statistics = require("kadenza.sim.statistics")

local M = {}

-- Kinds of operations that are kept apart; all further ones count as "other".
local KINDS <const> = 6
local OTHER <const> = "other"

-- Most marks of a chart.
local MARKS <const> = 32

--- Queries by method, as the nodes that serve them count.
M.QUERIES = { "ping", "find_node", "get_peers", "announce_peer", "find_value",
  "store", "custom" }

-- Fields of a sample that become time series.
local SERIES <const> = { "alive", "contacts", "contacts_least",
  "contacts_most", "queries", "queries_max", "datagrams", "bytes", "held",
  "records", "healthy" }

--- The operations of a kind.
---@class kadenza.sim.Operations
---@field kind string
---@field hops kadenza.sim.Distribution
---@field took kadenza.sim.Distribution  milliseconds
---@field messages kadenza.sim.Distribution
---@field success kadenza.sim.TimeSeries
---@field count integer
---@field good integer

---@class kadenza.sim.Recorder
---@field kinds kadenza.sim.Operations[]
---@field series table<string, kadenza.sim.TimeSeries>  by field of samples
---@field found kadenza.sim.TimeSeries  share of the holders of a record that
---  gets found
---@field hooks table[]  records of the kind "policy"
---@field marks { time: number, text: string }[]
---@field private settings table
---@field private by_kind table<string, kadenza.sim.Operations>
local Recorder = {}
Recorder.__index = Recorder
Recorder.__name = "kadenza.sim.Recorder"

--- Makes a recorder.
---@param options? { start?: number, interval?: number }  start of its time
---  series, and the first interval between their points; seconds
---@return kadenza.sim.Recorder recorder
function M.new(options)
  options = options or {}
  local self = setmetatable({ kinds = {}, by_kind = {}, series = {},
    hooks = {}, marks = {}, settings = options,
    found = statistics.time_series(options) }, Recorder)
  for _, name in ipairs(SERIES) do
    self.series[name] = statistics.time_series(options)
  end
  for _, name in ipairs(M.QUERIES) do
    self.series["served_" .. name] = statistics.time_series(options)
  end
  return self
end

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
    success = statistics.time_series(self.settings) }
  self.by_kind[kind] = known
  self.kinds[#self.kinds + 1] = known
  return known
end

local function add_operation(self, kind, record)
  local operations = kind_of(self, kind)
  operations.count = operations.count + 1
  operations.good = operations.good + (record.ok and 1 or 0)
  operations.success:add(record.time, record.ok and 1 or 0)
  if record.took then
    operations.took:add(record.took * 1000)
  end
  if record.hops then
    operations.hops:add(record.hops)
  end
  if record.messages then
    operations.messages:add(record.messages)
  end
end

local add_record = {} -- kind: function(self, record)

function add_record.sample(self, record)
  for name, series in pairs(self.series) do
    if record[name] then
      series:add(record.time, record[name])
    end
  end
end

function add_record.found(self, record)
  if record.share then
    self.found:add(record.time, record.share)
  end
end

function add_record.policy(self, record)
  self.hooks[#self.hooks + 1] = record
end

function add_record.mark(self, record)
  if #self.marks < MARKS then
    self.marks[#self.marks + 1] = { time = record.time, text = record.text }
  end
end

--- Adds a record.
---@param kind string
---@param record table  with `time`, in seconds
function Recorder:record(kind, record)
  if add_record[kind] then
    add_record[kind](self, record)
  elseif record.ok ~= nil then
    add_operation(self, kind, record)
  end
end

return M
