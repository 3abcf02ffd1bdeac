--- Token buckets: how often an address, a subnet or a publisher may do a thing.
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
-- Each has a bucket of `burst` tokens that fills at `rate` a second. It reads
-- the node's clock, so that a simulation can be repeated, and remembers a
-- bounded number of buckets: who has been silent longest is forgotten first.

local check = require("kadenza.check")

local M = {}

local MAX_TOKENS <const> = 1000000000
local MAX_BUCKETS <const> = 10000 -- remembered, unless told
local REFUSED <const> = 201
local SLACK <const> = 1e-9 -- of a bucket: sums of fractions are not exact

---@class kadenza.Limit
---@field private rate number  tokens a second
---@field private span number  seconds in which an empty bucket fills
---@field private code integer
---@field private room integer  buckets of one generation
---@field private name fun(ctx: kadenza.Context, record?: table): any, string?
---@field private fresh table<string, number>  when each bucket is full again
---@field private stale table<string, number>  those not asked for of late
---@field private count integer  buckets in `fresh`
local Limit = {}
Limit.__index = Limit
Limit.__name = "kadenza.Limit"

---------------------------------------------------------------- subjects --

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

-- Who is counted: from the context and what the hook was given, to a name; nil
-- for whom nothing limits, or nil and a reason for whom cannot be counted.
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

----------------------------------------------------------------- options --

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
  code = { kind = "integer", from = 100, to = 999, default = REFUSED },
}

--- Makes a limiter.
--
-- `per` says who is counted: "address", "subnet" (/24 or /64), "publisher", or
-- a function of context and record that returns a name, or nil for whom nothing
-- limits. `rate` is tokens a second and `burst` how many a bucket holds, those
-- of a second, at least 1, unless given; `max` is how many buckets are
-- remembered (10000) and `code` what refusals say (201).
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
    room = given.max // 2,
    name = SUBJECTS[given.per] or given.per,
    fresh = {},
    stale = {},
    count = 0,
  }, Limit)
end

------------------------------------------------------------------ taking --

-- Notes when a bucket is full. When there are too many, those that were not
-- asked for since the last time are forgotten.
local function remember(self, name, full)
  if self.fresh[name] == nil then
    if self.count == self.room then
      self.stale, self.fresh, self.count = self.fresh, {}, 0
    end
    self.count = self.count + 1
  end
  self.fresh[name] = full
end

-- What to say to whom has to wait.
local function reason(seconds)
  return string.format("too many: try again in %d s",
    math.tointeger(math.ceil(math.min(seconds, 1e9))))
end

-- Takes tokens of a name's bucket. Returns nothing, or how long to wait.
local function draw(self, name, now, cost)
  local before = math.max(self.fresh[name] or self.stale[name] or now, now)
  local full = before + cost / self.rate
  local late = full - now - self.span
  if late > self.span * SLACK then
    remember(self, name, before)
    return late
  end
  remember(self, name, full)
end

--- Takes tokens, one unless told, for whoever a hook's context names. The node
--- itself is never refused, and neither are answers to its own gets.
---@param ctx kadenza.Context
---@param record? table  what the hook was given: needed for publishers
---@param cost? number
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
  local late = name ~= nil and draw(self, name, ctx.now, cost)
  if late then
    return nil, reason(late), self.code
  end
  return true
end

--- Returns a hook that takes one token each time, and then does as `next` says,
--- if there is one: for `validate`, `on_request` and the functions of an `rpc`.
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
