--- Token buckets: rate limits for addresses, subnets or publishers.
--
--     local limit = require("kadenza.limit")
--     local writes = limit.new({ per = "subnet", rate = 0.5, burst = 20 })
--
--     validate = function(record, ctx)
--       return writes:take(ctx, record)
--     end
--
--     on_request = limit.new({ per = "address", rate = 20 }):filter()
--
-- Each address, subnet or publisher has a bucket of `burst` tokens that gains
-- `rate` tokens a second. The clock is that of the node, so that a simulation
-- is repeatable. A limiter remembers a bounded number of buckets, and drops
-- those not used for longest.

local check = require("kadenza.check")

local M = {}

local MAX_TOKENS <const> = 1000000000
local MAX_BUCKETS <const> = 10000 -- buckets remembered by default
local REJECTED <const> = 201
local SLACK <const> = 1e-9 -- part of a bucket: sums of floats are not exact

---@class kadenza.Limit
---@field private rate number  tokens a second
---@field private span number  seconds until an empty bucket is full
---@field private code integer
---@field private capacity integer  buckets in `fresh` at most
---@field private name fun(ctx: kadenza.Context, record?: table): any, string?
---@field private fresh table<string, number>  time when a bucket is full again
---@field private stale table<string, number>  the same for buckets not used
---  since `fresh` was full the last time
---@field private count integer  buckets in `fresh`
local Limit = {}
Limit.__index = Limit
Limit.__name = "kadenza.Limit"

-- Returns the /64 of an IPv6 address, four groups of hexadecimal digits.
local function subnet_of_ipv6(host)
  local head, tail = host:match("^(.-)::(.*)$")
  local groups = {}
  for group in (head or host):gmatch("%x+") do
    groups[#groups + 1] = group
  end
  local _, behind = (tail or ""):gsub("%x+", "")
  while head and #groups + behind < 8 do
    groups[#groups + 1] = "0"
  end
  for group in (tail or ""):gmatch("%x+") do
    groups[#groups + 1] = group
  end
  return table.concat(groups, ":", 1, 4) .. "::/64"
end

--- Returns the /24 of an IPv4 address, or the /64 of an IPv6 one.
---@param host string  without a port
---@return string subnet
function M.subnet_of(host)
  if host:find(":", 1, true) then
    return subnet_of_ipv6(host)
  end
  return host:match("^(%d+%.%d+%.%d+)%.") .. ".0/24"
end

-- Functions of a context and the first argument of a hook that return the name
-- of a bucket; nil if there is no limit; nil and a reason to reject.
local SUBJECTS <const> = {
  address = function(ctx)
    return ctx.from and ctx.from.host
  end,
  subnet = function(ctx)
    return ctx.from and M.subnet_of(ctx.from.host)
  end,
  publisher = function(ctx, record)
    if not record.publisher then
      return nil, ctx.from and "a signature is needed"
    end
    return record.publisher
  end,
}

local OPTIONS <const> = {
  per = {
    is = function(value)
      return type(value) == "function" or SUBJECTS[value] ~= nil
    end,
    name = "'address', 'subnet', 'publisher' or a function",
    required = true,
  },
  rate = { kind = "number", from = 1e-6, to = MAX_TOKENS, required = true },
  burst = { kind = "number", from = 1, to = MAX_TOKENS },
  max = { kind = "integer", from = 2, to = 100000, default = MAX_BUCKETS },
  code = { kind = "integer", from = 100, to = 999, default = REJECTED },
}

--- Makes a limiter. `per` chooses what has a bucket: "address", "subnet" (/24
--- or /64), "publisher", or a function of context and record that returns a
--- name, or nil for no limit. `rate` is tokens a second; `burst` the tokens of
--- a full bucket, by default those of a second and at least 1; `max` the number
--- of buckets that are remembered (10000); `code` the error code of a rejection
--- (201).
---@param given { per: string|function, rate: number, burst?: number,
---  max?: integer, code?: integer }
---@return kadenza.Limit limiter
function M.new(given)
  given = check.with_defaults(given, 2, OPTIONS)
  local burst = given.burst or math.max(1, given.rate)
  return setmetatable({
    rate = given.rate,
    span = burst / given.rate,
    code = given.code,
    capacity = given.max // 2,
    name = SUBJECTS[given.per] or given.per,
    fresh = {},
    stale = {},
    count = 0,
  }, Limit)
end

-- Stores the time when a bucket is full. If `fresh` has no place left, drops
-- the buckets in `stale`.
local function remember(self, name, full)
  if self.fresh[name] == nil then
    if self.count == self.capacity then
      self.stale, self.fresh, self.count = self.fresh, {}, 0
    end
    self.count = self.count + 1
  end
  self.fresh[name] = full
end

-- Returns the reason of a rejection.
local function wait_reason(seconds)
  return string.format("too many: try again in %d s",
    math.tointeger(math.ceil(math.min(seconds, 1e9))))
end

-- Takes tokens from a bucket. Returns nil, or the seconds until there are
-- enough.
local function take_tokens(self, name, now, cost)
  local before = math.max(self.fresh[name] or self.stale[name] or now, now)
  local full = before + cost / self.rate
  local late = full - now - self.span
  if late > self.span * SLACK then
    remember(self, name, before)
    return late
  end
  remember(self, name, full)
end

--- Takes tokens from the bucket that belongs to a hook's context. Never rejects
--- the node itself, nor replies to its own gets.
---@param ctx kadenza.Context
---@param record? table  first argument of the hook; needed for publishers
---@param cost? number  tokens, 1
---@return true? taken
---@return string? reason
---@return integer? code
function Limit:take(ctx, record, cost)
  cost = cost or 1
  if type(cost) ~= "number" or not (cost >= 0 and cost <= MAX_TOKENS) then
    error("a cost is a number of tokens", 2)
  elseif not ctx.from or ctx.reason == "get" then
    return true
  end
  local name, problem = self.name(ctx, record)
  if problem then
    return nil, problem, self.code
  end
  local late = name ~= nil and take_tokens(self, name, ctx.now, cost)
  if late then
    return nil, wait_reason(late), self.code
  end
  return true
end

--- Returns a hook that takes one token for each call, and then calls `next`, if
--- there is one: for `validate`, `on_request` and the functions of `rpc`.
---@param next? fun(given: table, ctx: kadenza.Context): ...
---@return fun(given: table, ctx: kadenza.Context): ...
function Limit:filter(next)
  if next ~= nil and type(next) ~= "function" then
    error("a hook is needed, not a " .. type(next), 2)
  end
  return function(given, ctx)
    local taken, why, code = self:take(ctx, given)
    if taken and next then
      return next(given, ctx)
    end
    return taken, why, code
  end
end

return M
