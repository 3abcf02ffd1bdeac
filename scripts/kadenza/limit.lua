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

local M = {}

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

local REQUIRED <const> = { "per", "rate" }

-- Numbers from … to, and whether they are integers.
local RANGES <const> = {
  rate = { 1e-6, 1e9 },
  burst = { 1, 1e9 },
  max = { 2, 100000, "integer" },
  code = { 100, 999, "integer" },
}

local function is_in(value, range)
  return type(value) == "number" and value >= range[1] and value <= range[2]
    and (not range[3] or math.type(value) == range[3])
end

local function check_option(name, value)
  local range = RANGES[name]
  if name == "per" then
    if type(value) ~= "function" and not SUBJECTS[value] then
      error("option 'per' must be 'address', 'subnet', 'publisher' or a "
        .. "function", 4)
    end
  elseif not range then
    error("unknown option '" .. tostring(name) .. "' of limit.new", 4)
  elseif not is_in(value, range) then
    error(string.format("option '%s' must be %s of %.7g to %.7g", name,
      range[3] and "an integer" or "a number", range[1], range[2]), 4)
  end
end

local function check_options(given)
  if type(given) ~= "table" then
    error("limit.new needs a table of options", 3)
  end
  for name, value in pairs(given) do
    check_option(name, value)
  end
  for _, name in ipairs(REQUIRED) do
    if given[name] == nil then
      error("option '" .. name .. "' of limit.new is missing", 3)
    end
  end
end

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
  check_options(given)
  local burst = given.burst or math.max(1, given.rate)
  return setmetatable({
    rate = given.rate,
    span = burst / given.rate,
    code = given.code or REFUSED,
    room = (given.max or MAX_BUCKETS) // 2,
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
  if cost ~= nil and not is_in(cost, { 0, 1e9 }) then
    error("a cost is a number of tokens", 2)
  elseif not ctx.from or ctx.reason == "get" then
    return true
  end
  local name, problem = self.name(ctx, record)
  if problem then
    return nil, problem, self.code
  end
  local late = name ~= nil and draw(self, name, ctx.now, cost or 1)
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
