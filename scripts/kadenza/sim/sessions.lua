--- Distributions of session lengths, each scaled by its median.
--
--     local sessions = require("kadenza.sim.sessions")
--     local session = sessions.new({ session = "weibull", median = 3600 })
--     session:length(u)        -- for u uniform in 0 … 1
--     session:remaining(u, v)  -- of a node met at a random moment
--
-- "measured" is the distribution of a large public overlay: half of the
-- sessions end within 2 hours, and 80 % within 8. A Weibull distribution has
-- both quantiles if 4 ^ shape = ln 5 / ln 2.

local M = {}

local HOUR <const> = 3600
local LN2 <const> = math.log(2)

-- At a random moment, a node is more likely in a long session: the session is
-- drawn from so many quantiles, weighted by their length.
local STEPS <const> = 4096

local LONGEST <const> = 1e9 -- seconds: longer sessions end then

---@class kadenza.sim.Sessions
---@field private quantile fun(u: number, shape: number): number  in medians
---@field private median number  seconds
---@field private shape number
---@field private weights? number[]  cumulative lengths
local Sessions = {}
Sessions.__index = Sessions

local function weibull(u, shape)
  return (-math.log(1 - u) / LN2) ^ (1 / shape)
end

-- By name: the quantile function in medians, and defaults. `least` is the lower
-- bound of a shape, excluded.
local KINDS <const> = {
  exponential = { quantile = weibull, fixed_shape = 1 },
  weibull = { quantile = weibull, shape = 0.6, least = 0.1 },
  pareto = {
    quantile = function(u, shape) -- Pareto type II, which begins at 0
      return ((1 - u) ^ (-1 / shape) - 1) / (2 ^ (1 / shape) - 1)
    end,
    shape = 3, least = 1, -- up to 1 there is no mean
  },
  measured = {
    quantile = weibull,
    fixed_shape = math.log(math.log(5) / LN2) / math.log(4),
    median = 2 * HOUR,
  },
  fixed = {
    quantile = function()
      return 1
    end,
    fixed_shape = 1,
  },
}

local NAMES <const> = "exponential, weibull, pareto, measured or fixed"

local function median_problem(kind, median)
  if not median then
    return not kind.median
      and "option 'median' is needed: seconds that half of the nodes stay"
  end
  return not (median >= 1 and median <= 1e9)
    and "option 'median' must be in 1 to 1e9 seconds"
end

local function shape_problem(kind, name, shape)
  if shape and kind.fixed_shape then
    return ("option 'shape' has no meaning for '%s'"):format(name)
  end
  return shape and not (shape > kind.least and shape <= 100)
    and ("option 'shape' must be above %g and at most 100"):format(kind.least)
end

-- Returns a message about wrong options, or nil.
local function find_problem(given)
  local name = given.session or "exponential"
  local kind = KINDS[name]
  if not kind then
    return ("option 'session' must be %s, not '%s'"):format(NAMES, name)
  end
  return median_problem(kind, given.median)
    or shape_problem(kind, name, given.shape)
end

--- Raises an error unless the options name a distribution.
---@param given { session?: string, median?: number, shape?: number }
---@param level integer  of the caller that made the mistake, as for `error`
function M.check(given, level)
  local problem = find_problem(given)
  if problem then
    error(problem, level + 1)
  end
end

--- Returns the distribution of checked options.
---@param given { session?: string, median?: number, shape?: number }
---@return kadenza.sim.Sessions sessions
function M.new(given)
  local kind = KINDS[given.session or "exponential"]
  return setmetatable({
    quantile = kind.quantile,
    median = given.median or kind.median,
    shape = kind.fixed_shape or given.shape or kind.shape,
  }, Sessions)
end

--- Returns the quantile: the length that a share `u` of sessions do not exceed,
--- at most 1e9.
---@param u number  from 0 to below 1
---@return number seconds
function Sessions:length(u)
  return math.min(self.median * self.quantile(u, self.shape), LONGEST)
end

local function weigh(self)
  local weights, total = {}, 0
  for i = 1, STEPS do
    total = total + self.quantile((i - 0.5) / STEPS, self.shape)
    weights[i] = total
  end
  return weights
end

-- Returns the first place with a weight above `wanted`.
local function search(weights, wanted)
  local low, high = 1, #weights
  while low < high do
    local middle = (low + high) // 2
    if weights[middle] > wanted then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

--- Returns the rest of a session at a random moment, as in an overlay that has
--- run for a long time.
---@param u number  from 0 to below 1
---@param v number  from 0 to below 1
---@return number seconds
function Sessions:remaining(u, v)
  self.weights = self.weights or weigh(self)
  local place = search(self.weights, u * self.weights[STEPS])
  return v * self:length((place - 0.5) / STEPS)
end

return M
