--- How often the counters of a node grow: its rates over the last minute and
--- over the last 15 minutes.
--
--     local kad = require "kadenza"
--     local rates = require "kadenza.rates"
--
--     local net <close> = kad.sim { nodes = 20 }
--     local figures = rates.watch(net.nodes[1])
--     net:run(120)
--     print(figures:rate("queries", rates.MINUTE)) --> queries a second
--
-- The counters are read every five seconds, and every minute. So a rate is over
-- the window, or over at most one such period more, and it is over the time
-- since the first reading while that is shorter. The memory is bounded: 30
-- readings of each counter.

local core = require("kadenza.core")

local M = {}

--- The short window, in seconds.
M.MINUTE = 60

--- The long window, in seconds.
M.QUARTER = 900

--- Seconds between two readings of a node.
M.PERIOD = 5

-- The readings of a window: how many seconds apart, and how many.
local SERIES <const> = {
  [M.MINUTE] = { period = M.PERIOD, size = 13 },
  [M.QUARTER] = { period = 60, size = 17 },
}

-- After a longer time without a reading, or one that is negative, the readings
-- before say nothing about the present: the process was stopped, or the machine
-- suspended.
local LONGEST_PAUSE <const> = 60

---@class kadenza.Rates
---@field private slots table<string, integer>  of counters in readings
---@field private count integer  of counters
---@field private values integer[]  of the counters when they were last read
---@field private totals integer[]  what the counters have grown by
---@field private series table<integer, table>  by window
---@field private timer? integer
---@field private node? kadenza.Node
local Rates = {}
Rates.__index = Rates
Rates.__name = "kadenza.Rates"

------------------------------------------------------------------ readings --

-- Makes a series empty. Its readings stay in memory, to be used again.
local function clear(series)
  series.count, series.last = 0, 0
end

-- Returns the reading that is `back` before the last one of a series.
local function reading(series, back)
  return series[(series.last - 1 - back) % series.size + 1]
end

-- Adds a reading to a series, in place of the oldest one if it is full.
local function push(series, now, totals)
  series.last = series.last % series.size + 1
  series.count = math.min(series.count + 1, series.size)
  local slot = series[series.last] or {}
  series[series.last], slot.at = slot, now
  table.move(totals, 1, #totals, 1, slot)
end

-- Adds what the counters have grown by to the totals. A counter that is less
-- than before has begun again at 0. A new one begins with its value.
local function accumulate(self, counters)
  for name, value in pairs(counters) do
    local slot = self.slots[name]
    if not slot then
      slot = self.count + 1
      self.count, self.slots[name] = slot, slot
      self.values[slot], self.totals[slot] = value, 0
    end
    local before = self.values[slot]
    local growth = value >= before and value - before or value
    self.totals[slot] = self.totals[slot] + growth
    self.values[slot] = value
  end
end

--- Returns rates without a node: `add` gives it readings.
---@return kadenza.Rates rates
function M.new()
  local self = { slots = {}, count = 0, values = {}, totals = {}, series = {} }
  for window, parameters in pairs(SERIES) do
    self.series[window] = { period = parameters.period, size = parameters.size,
      count = 0, last = 0 }
  end
  return setmetatable(self, Rates)
end

--- Adds a reading of counters. A counter that is less than before has begun
--- again at 0. After a pause of more than a minute, or if the clock goes back,
--- all windows begin again.
---@param now number  seconds of a clock that is not set
---@param counters table<string, integer>
function Rates:add(now, counters)
  local pause = self.at and now - self.at or 0
  accumulate(self, counters)
  self.at = now
  for _, series in pairs(self.series) do
    if pause < 0 or pause > LONGEST_PAUSE then
      clear(series)
    end
    local last = series.count > 0 and reading(series, 0)
    -- Timers are not exact: half a period early is in time.
    if not last or now - last.at >= series.period - M.PERIOD / 2 then
      push(series, now, self.totals)
    end
  end
end

-------------------------------------------------------------------- results --

-- Returns the reading with which a window begins, or nil: the latest one that
-- is `window` seconds old, or the oldest.
local function first_reading(self, window)
  local series = self.series[window]
  for back = 0, series.count - 1 do
    local candidate = reading(series, back)
    if self.at - candidate.at >= window or back == series.count - 1 then
      return candidate
    end
  end
end

-- Returns the reading with which a window begins and the seconds since, or nil
-- if there is only one reading.
local function begin_window(self, window, level)
  if not self.series[window] then
    error("window: expected rates.MINUTE or rates.QUARTER", level + 1)
  end
  local first = first_reading(self, window)
  local seconds = first and self.at - first.at or 0
  if seconds > 0 then
    return first, seconds
  end
end

local function rate_of(self, slot, first, seconds)
  return (self.totals[slot] - (first[slot] or 0)) / seconds
end

--- Returns how much a counter grew a second, on average over a window that ends
--- with the last reading.
---@param name string  of the counter
---@param window integer  `MINUTE` or `QUARTER`, in seconds
---@return number? rate  nil: there are less than two readings, or no such
---  counter
---@return number? seconds  which the rate is over: less than the window while
---  the readings are younger
function Rates:rate(name, window)
  local first, seconds = begin_window(self, window, 2)
  local slot = self.slots[name]
  if not first or not slot then
    return nil
  end
  return rate_of(self, slot, first, seconds), seconds
end

--- Returns the rates of all counters over a window, as `rate` does.
---@param window integer  `MINUTE` or `QUARTER`, in seconds
---@return table<string, number> rates  by name; empty: there are less than two
---  readings
---@return number? seconds  which the rates are over
function Rates:all(window)
  local rates, first, seconds = {}, begin_window(self, window, 2)
  if first then
    for name, slot in pairs(self.slots) do
      rates[name] = rate_of(self, slot, first, seconds)
    end
  end
  return rates, seconds
end

--------------------------------------------------------------------- a node --

-- Returns the names of all counters, without the gauges.
local function counter_names()
  local names = {}
  for _, part in pairs(core.counters()) do
    for _, counter in ipairs(part) do
      names[#names + 1] = not counter.is_gauge and counter.name or nil
    end
  end
  return names
end

-- Reads the counters, and again after a period, until the node is closed.
local function read_regularly(self, node, names)
  if not node:is_open() then
    self.timer = nil
    return
  end
  local stats, counters = node:stats(), {}
  for _, name in ipairs(names) do
    counters[name] = stats[name]
  end
  self:add(node:network():now(), counters)
  self.timer = node:network():start_timer(M.PERIOD * 1000, function()
    read_regularly(self, node, names)
  end)
end

--- Reads the counters of a node now and every five seconds, until the node is
--- closed or `stop` is called.
---@param node kadenza.Node
---@return kadenza.Rates rates
function M.watch(node)
  local self = M.new()
  self.node = node
  read_regularly(self, node, counter_names())
  return self
end

--- Ends the readings. The last rates stay.
function Rates:stop()
  if self.timer and self.node:network():is_open() then
    self.node:network():stop_timer(self.timer)
  end
  self.timer = nil
end

Rates.__close = Rates.stop

return M
