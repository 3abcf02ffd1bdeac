--- Statistics of a long run: distributions and time series in bounded memory.
--- The same values in the same order give the same statistics.
--
--     local took = statistics.distribution()
--     took:add(120)
--     print(took:quantile(0.5), took:mean())
--
--     local success = statistics.time_series({ interval = 60 })
--     success:add(net:now(), 1)

local M = {}

-- A distribution keeps so many different values exactly. With more, it counts
-- them in buckets whose bounds grow by 2 %, so that a value is at most 1 % off.
local EXACT <const> = 4096
local GROWTH <const> = math.log(1.02)
local SMALLEST <const> = 1e-9
local LARGEST <const> = 1e15

-- Most intervals of a time series; then each two become one.
local INTERVALS <const> = 512

----------------------------------------------------------- distributions --

--- A distribution of values.
---@class kadenza.sim.Distribution
---@field count integer  values added
---@field sum number
---@field min? number
---@field max? number
---@field exact boolean  whether all values are exact
---@field private counts table<number, integer>
---@field private different integer
---@field private limit integer
---@field private sorted? number[]
local Distribution = {}
Distribution.__index = Distribution
Distribution.__name = "kadenza.sim.Distribution"

--- Returns an empty distribution.
---@param limit? integer  different values kept exactly, 4096 without it
---@return kadenza.sim.Distribution distribution
function M.distribution(limit)
  return setmetatable({ count = 0, sum = 0, exact = true, counts = {},
    different = 0, limit = limit or EXACT }, Distribution)
end

-- Returns the geometric middle of the bucket of `value`.
local function bucket_of(value)
  local size = math.abs(value)
  if size < SMALLEST then
    return 0.0
  end
  local step = math.log(math.min(size, LARGEST)) / GROWTH // 1
  local middle = math.exp((step + 0.5) * GROWTH)
  return value < 0 and -middle or middle
end

local function count(self, value, times)
  local before = self.counts[value]
  if not before then
    self.different = self.different + 1
    self.sorted = nil
  end
  self.counts[value] = (before or 0) + times
end

-- Moves the exact values into buckets, in ascending order.
local function coarsen(self)
  local before = self:values()
  local counts = self.counts
  self.counts, self.different, self.exact = {}, 0, false
  for _, value in ipairs(before) do
    count(self, bucket_of(value), counts[value])
  end
end

--- Adds a value. Ignores infinite values and NaN.
---@param value number
function Distribution:add(value)
  if value ~= value or value == math.huge or value == -math.huge then
    return
  end
  self.count = self.count + 1
  self.sum = self.sum + value
  self.min = math.min(self.min or value, value)
  self.max = math.max(self.max or value, value)
  count(self, self.exact and value or bucket_of(value), 1)
  if self.exact and self.different > self.limit then
    coarsen(self)
  end
end

--- Returns the different values, in ascending order.
---@return number[] values  borrowed: the caller does not change it
function Distribution:values()
  if not self.sorted then
    local sorted = {}
    for value in pairs(self.counts) do
      sorted[#sorted + 1] = value
    end
    table.sort(sorted)
    self.sorted = sorted
  end
  return self.sorted
end

--- Returns how often a value of `values` was added.
---@param value number
---@return integer times
function Distribution:times(value)
  return self.counts[value] or 0
end

--- Returns the mean.
---@return number? mean  nil when nothing was added
function Distribution:mean()
  return self.count > 0 and self.sum / self.count or nil
end

-- Keeps the middle of a bucket within the values that were added.
local function clamp(self, value)
  return math.max(self.min, math.min(self.max, value))
end

--- Returns a quantile: the smallest value that a share of all do not exceed.
---@param share number  0 to 1
---@return number? value  nil when nothing was added
function Distribution:quantile(share)
  local wanted = math.max(share * self.count, 1)
  local seen = 0
  for _, value in ipairs(self:values()) do
    seen = seen + self.counts[value]
    if seen >= wanted then
      return clamp(self, value)
    end
  end
  return self.max
end

--- Returns points of the cumulative distribution: lists of a value and the
--- share of all values that do not exceed it.
---@param limit? integer  of the number of points, 256 without it
---@return number[][] points
function Distribution:cumulative(limit)
  local values = self:values()
  local stride = math.max(1, math.ceil(#values / (limit or 256)))
  local points, seen = {}, 0
  for i, value in ipairs(values) do
    seen = seen + self.counts[value]
    if i % stride == 0 or i == #values then
      points[#points + 1] = { clamp(self, value), seen / self.count }
    end
  end
  return points
end

------------------------------------------------------------- time series --

--- A figure over time: its mean and sum in intervals.
---@class kadenza.sim.TimeSeries
---@field interval number  seconds
---@field private start number
---@field private limit integer
---@field private last integer
---@field private sums table<integer, number>
---@field private counts table<integer, number>
local TimeSeries = {}
TimeSeries.__index = TimeSeries
TimeSeries.__name = "kadenza.sim.TimeSeries"

--- Returns an empty time series. The interval doubles when there would be more
--- than `limit` intervals.
---@param options { interval?: number, start?: number, limit?: integer }
---  `interval` is 60 seconds without it, `start` 0 seconds, `limit` 512
---@return kadenza.sim.TimeSeries series
function M.time_series(options)
  return setmetatable({ interval = options.interval or 60,
    start = options.start or 0, limit = options.limit or INTERVALS, last = -1,
    sums = {}, counts = {} }, TimeSeries)
end

-- Merges each two intervals.
local function double_interval(self)
  local sums, counts = {}, {}
  for i = 0, self.last do
    if self.counts[i] then
      local to = i // 2
      sums[to] = (sums[to] or 0) + self.sums[i]
      counts[to] = (counts[to] or 0) + self.counts[i]
    end
  end
  self.sums, self.counts, self.last = sums, counts, self.last // 2
  self.interval = self.interval * 2
end

--- Adds a value.
---@param time number  seconds; a time before the start counts as the start
---@param value number
---@param weight? number  the number of values of which it is the mean, 1
---  without it
function TimeSeries:add(time, value, weight)
  weight = weight or 1
  local since = math.max(time - self.start, 0)
  while since // self.interval >= self.limit do
    double_interval(self)
  end
  local i = math.tointeger(since // self.interval)
  self.last = math.max(self.last, i)
  self.sums[i] = (self.sums[i] or 0) + value * weight
  self.counts[i] = (self.counts[i] or 0) + weight
end

--- Returns the intervals that have values, in order: lists of the time at the
--- middle, the mean, the sum and the count.
---@return number[][] rows
function TimeSeries:rows()
  local rows = {}
  for i = 0, self.last do
    local weight = self.counts[i]
    if weight and weight > 0 then
      rows[#rows + 1] = { self.start + (i + 0.5) * self.interval,
        self.sums[i] / weight, self.sums[i], weight }
    end
  end
  return rows
end

return M
