--- What the records of a run come to, in as much memory after a day as after an
--- hour.
--
--     local recorder = require("kadenza.sim.recorder").new()
--     recorder:record("get", { time = 1.5, ok = true, took = 0.2, hops = 2,
--       messages = 9 })
--     print(recorder.kinds[1].took:quantile(0.5))
--
-- The kinds of records are those of kadenza.sim.run. Of those that it does not
-- know, the ones with a field `ok` are operations, too.

local statistics = require("kadenza.sim.statistics")

local M = {}

-- Kinds of operations told apart; those that come after them are one.
local KINDS <const> = 6
local OTHER <const> = "other"

-- Moments that are marked in charts, at most.
local MARKS <const> = 32

--- Queries by what they ask, as those who answered them count.
M.QUERIES = { "ping", "find_node", "get_peers", "announce_peer", "find_value",
  "store", "custom" }

-- What of a sample has a course over time.
local COURSES <const> = { "alive", "contacts", "contacts_least",
  "contacts_most", "queries", "queries_max", "datagrams", "bytes", "held",
  "records", "healthy" }

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
---@field courses table<string, kadenza.sim.Course>  of what samples say
---@field found kadenza.sim.Course  share of the holders of a record found
---@field hooks table[]  records of the kind "policy"
---@field marks { time: number, text: string }[]
---@field private settings table
---@field private by_kind table<string, kadenza.sim.Operations>
local Recorder = {}
Recorder.__index = Recorder
Recorder.__name = "kadenza.sim.Recorder"

--- Makes a recorder.
---@param options? { start?: number, interval?: number }  when the clock of its
---  courses begins, and the seconds that a point of theirs stands for at first
---@return kadenza.sim.Recorder recorder
function M.new(options)
  options = options or {}
  local self = setmetatable({ kinds = {}, by_kind = {}, courses = {},
    hooks = {}, marks = {}, settings = options,
    found = statistics.course(options) }, Recorder)
  for _, name in ipairs(COURSES) do
    self.courses[name] = statistics.course(options)
  end
  for _, name in ipairs(M.QUERIES) do
    self.courses["served_" .. name] = statistics.course(options)
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
    success = statistics.course(self.settings) }
  self.by_kind[kind] = known
  self.kinds[#self.kinds + 1] = known
  return known
end

local function add_operation(self, kind, record)
  local of = kind_of(self, kind)
  of.count = of.count + 1
  of.good = of.good + (record.ok and 1 or 0)
  of.success:add(record.time, record.ok and 1 or 0)
  if record.took then
    of.took:add(record.took * 1000)
  end
  if record.hops then
    of.hops:add(record.hops)
  end
  if record.messages then
    of.messages:add(record.messages)
  end
end

local take = {}

function take.sample(self, record)
  for name, course in pairs(self.courses) do
    if record[name] then
      course:add(record.time, record[name])
    end
  end
end

function take.found(self, record)
  if record.share then
    self.found:add(record.time, record.share)
  end
end

function take.policy(self, record)
  self.hooks[#self.hooks + 1] = record
end

function take.mark(self, record)
  if #self.marks < MARKS then
    self.marks[#self.marks + 1] = { time = record.time, text = record.text }
  end
end

--- Adds a record.
---@param kind string
---@param record table  with `time`, in seconds
function Recorder:record(kind, record)
  if take[kind] then
    take[kind](self, record)
  elseif record.ok ~= nil then
    add_operation(self, kind, record)
  end
end

return M
