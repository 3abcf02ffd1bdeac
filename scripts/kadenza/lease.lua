--- Leases: a lock in the overlay that ends by itself.
--
--     local lease = require("kadenza.lease")
--
--     types = { turn = lease.type({ seconds = 60 }) } -- in all policies
--
--     local turn, message =
--       lease.acquire(node, kad.key("backup"), { type = "turn", seconds = 30 })
--     if turn then
--       make_backup(turn.number) -- if this takes long: turn:renew()
--       turn:release()
--     end
--
-- Each node close to the key grants a lease to one contender at a time. A
-- contender holds the lease once more than half of these nodes have granted it,
-- and a lookup finds no grant to another. Nodes come and go, and a network may
-- be partitioned: then two may hold a lease at once. Its `number` is reliable:
-- a later lease has a higher one (a fencing token). A resource that must be
-- protected has to reject a number lower than one it has seen.

local check = require("kadenza.check")
local kad = require("kadenza")

local M = {}

local MAX_SECONDS <const> = 3600
local DEFAULT_SECONDS <const> = 60 -- longest lease of a type by default
local TTL <const> = 86400 -- seconds that numbers are remembered by default
local GRACE <const> = 2 -- seconds by which clocks may differ
local NONCE_SIZE <const> = 8
local MAX_SEQ <const> = 1 << 53
local PAUSE <const> = { 0.3, 1.2 } -- seconds between two attempts

local REJECTED <const> = 201
local TOO_LOW <const> = 302

local BUSY <const> = "KAD_EBUSY"

--------------------------------------------------------------- records --

-- The value of a record is { number, end, nonce }; the end of a released lease
-- is 0. The nonce distinguishes contenders that share a key pair. Each change
-- of a lease has a higher seq.

local function is_lease(value)
  return type(value) == "table" and #value == 3
    and math.type(value[1]) == "integer" and value[1] >= 1
    and math.type(value[2]) == "integer" and value[2] >= 0
    and type(value[3]) == "string" and #value[3] == NONCE_SIZE
end

-- Returns the lease of a record, or nil if it is malformed.
local function decode(record)
  local value = kad.bencode.decode(record.value)
  if is_lease(value) and kad.bencode.encode(value) == record.value then
    return { number = value[1], ends = value[2], nonce = value[3],
      publisher = record.publisher, seq = record.seq }
  end
end

local function is_live(lease, now)
  return now < lease.ends + GRACE
end

local function is_same(a, b)
  return a.publisher == b.publisher and a.nonce == b.nonce
    and a.number == b.number
end

local function validate(rules, record, ctx)
  local lease, now = decode(record), kad.time()
  if not lease or math.type(record.seq) ~= "integer" or record.seq < 0
    or record.seq > MAX_SEQ or record.salt
  then
    return nil, "not a lease", REJECTED
  elseif lease.ends > now + rules.seconds + GRACE then
    return nil, string.format("a lease has %d seconds at most", rules.seconds),
      REJECTED
  elseif lease.number > now + MAX_SECONDS then
    return nil, "a number far above the time of the day", REJECTED
  elseif rules.check then
    return rules.check(record, ctx)
  end
  return true
end

-- Tells whether a reader gets `a` before `b`, if nodes have granted both.
local function is_better(a, b, now)
  if is_live(a, now) ~= is_live(b, now) then
    return is_live(a, now)
  elseif a.number ~= b.number then
    return a.number > b.number
  end
  return a.publisher .. a.nonce > b.publisher .. b.nonce
end

local function held_message(lease, now)
  return string.format("it is held by another for %d seconds",
    math.max(1, lease.ends - now))
end

-- Returns why a node that has granted a lease does not grant another one, and
-- the error code; nil if it does.
local function find_conflict(held, wanted, now)
  if is_same(held, wanted) then
    if wanted.seq < held.seq then
      return "it has been renewed or released since", TOO_LOW
    end
  elseif is_live(held, now) then
    return held_message(held, now), REJECTED
  elseif wanted.number <= held.number then
    return "a number higher than " .. held.number .. " is needed", TOO_LOW
  end
end

-- Adds a record to those that a reader gets: all leases, each with its last
-- change.
local function add_found(found, record)
  local lease = decode(record)
  for i, other in ipairs(found) do
    local before = decode(other)
    if is_same(before, lease) then
      found[i] = lease.seq > before.seq and record or other
      return found
    end
  end
  found[#found + 1] = record
  return found
end

local function merge(held, record, ctx)
  if ctx.reason == "get" then
    return add_found(held, record)
  end
  local current = held[1] and decode(held[1])
  local problem, code
  if current then
    problem, code = find_conflict(current, decode(record), kad.time())
  end
  if problem then
    return nil, problem, code
  end
  return { record }
end

local function select_best(records)
  local now = kad.time()
  table.sort(records, function(a, b)
    return is_better(decode(a), decode(b), now)
  end)
  return records
end

local TYPE_OPTIONS <const> = {
  seconds = { default = DEFAULT_SECONDS, kind = "integer", from = 1,
    to = MAX_SECONDS },
  ttl = { default = TTL, kind = "integer", from = MAX_SECONDS, to = 2592000 },
  check = { kind = "function" },
}

--- Makes a type of leases. `seconds` is the longest lease (60), `ttl` the
--- seconds that its number is remembered (a day). `check(record, ctx)` may
--- reject a contender, as `validate` does.
---@param given? { seconds?: integer, ttl?: integer, check?: function }
---@return kadenza.Type type
function M.type(given)
  local rules = check.with_defaults(given, 2, TYPE_OPTIONS)
  return {
    max_size = 64,
    max_values = 1,
    ttl = rules.ttl,
    signed_only = true,
    validate = function(record, ctx)
      return validate(rules, record, ctx)
    end,
    merge = merge,
    select = select_best,
  }
end

--------------------------------------------------------------- reading --

-- Returns the leases of a key, the best one first.
local function get_leases(node, key, options)
  local records, message, code = node:get(key,
    { type = options.type, timeout = options.timeout, all = true })
  if not records and code ~= "KAD_ENOTFOUND" then
    return nil, message, code
  end
  local leases = {}
  for _, record in ipairs(records or {}) do
    leases[#leases + 1] = decode(record)
  end
  return leases
end

local function highest_number(leases)
  local number = 0
  for _, lease in ipairs(leases) do
    number = math.max(number, lease.number)
  end
  return number
end

local READ_OPTIONS <const> = {
  type = { kind = "string", required = true },
  timeout = { kind = "number", from = 0.001, to = 1e6 },
}

--- Returns the state of a lease: `holder`, a public key, or nil if it is free;
--- `left`, the seconds until it ends; `number`, that of the last lease known,
--- or 0.
---@async
---@param node kadenza.Node
---@param key string
---@param options { type: string, timeout?: number }
---@return { holder: string?, left: integer, number: integer }? state
---@return string? message
---@return kadenza.Code? code
function M.read(node, key, options)
  options = check.with_defaults(options, 2, READ_OPTIONS)
  check.id(node, key, "key", 2)
  local leases, message, code = get_leases(node, key, options)
  if not leases then
    return nil, message, code
  end
  local first = leases[1]
  local left = first and math.max(0, first.ends - kad.time()) or 0
  return { holder = left > 0 and first.publisher or nil, left = left,
    number = highest_number(leases) }
end

--------------------------------------------------------------- holding --

--- A lease that was acquired. It may have ended since, see `left`.
---@class kadenza.Lease
---@field number integer  higher than those of earlier leases of its key
---@field publisher string  the key that it was acquired with
local Lease = {}
Lease.__index = Lease
Lease.__name = "kadenza.Lease"

-- Stores the lease with the end `ends`. Returns true if more than half of the
-- nodes asked, and at least `quorum`, have granted it.
local function store(self, ends)
  self.seq = self.seq + 1
  local value = kad.bencode.encode({ self.number, ends, self.nonce })
  local info, message, code, details = self.node:put(self.key, value, {
    type = self.type,
    secret = self.secret,
    seq = self.seq,
    timeout = self.timeout,
  })
  if not info then
    return nil, message, details and details.krpc and BUSY or code
  elseif not info.closest[1] then
    return nil, "no other node has granted it", "KAD_ENOCONTACTS"
  elseif info.stored * 2 <= info.asked or info.stored < self.quorum then
    return nil, string.format("only %d of %d nodes have granted it",
      info.stored, info.asked), BUSY
  end
  return true
end

--- Returns the seconds until the lease ends, by the clock of this node; 0 if it
--- has ended or was released.
---@return integer seconds
function Lease:left()
  return math.max(0, self.ends - kad.time())
end

--- Extends the lease. If this fails, its end is unchanged.
---@async
---@param seconds? integer  from now on; by default those it was acquired for
---@return true? renewed
---@return string? message
---@return kadenza.Code? code
function Lease:renew(seconds)
  seconds = seconds or self.seconds
  if math.type(seconds) ~= "integer" or seconds < 1 or seconds > MAX_SECONDS
  then
    error("a lease is renewed for 1 to 3600 seconds", 2)
  elseif self:left() == 0 then
    return nil, "the lease has ended", BUSY
  end
  local ends = kad.time() + seconds
  local stored, message, code = store(self, ends)
  if not stored then
    return nil, message, code
  elseif self:left() == 0 then
    return nil, "the lease has ended meanwhile", BUSY
  end
  self.ends = ends
  return true
end

--- Releases the lease, so that others need not wait for its end. Does nothing
--- if it has ended.
---@async
---@return true? released
---@return string? message
---@return kadenza.Code? code
function Lease:release()
  if self:left() == 0 then
    return true
  end
  self.ends = 0
  return store(self, 0)
end

--- Releases the lease in a task of its own, because `__close` cannot wait.
function Lease:__close()
  if self:left() > 0 then
    kad.spawn(self.release, self)
  end
end

------------------------------------------------------------- acquiring --

local ACQUIRE_OPTIONS <const> = {
  type = { kind = "string", required = true },
  secret = { kind = "string", bytes = { 64, 64 } },
  seconds = { kind = "integer", from = 1, to = MAX_SECONDS,
    required = "how long the lease lasts" },
  wait = { default = 0, kind = "number", from = 0, to = 1e6 },
  quorum = { default = 1, kind = "integer", from = 1, to = 20 },
  timeout = { kind = "number", from = 0.001, to = 1e6 },
}

-- Returns the highest number so far; fails if a lease other than `mine` is
-- live.
local function find_highest_number(node, key, options, mine)
  local leases, message, code = get_leases(node, key, options)
  if not leases then
    return nil, message, code
  end
  local now = kad.time()
  for _, lease in ipairs(leases) do
    if is_live(lease, now) and not (mine and is_same(lease, mine)) then
      return nil, held_message(lease, now), BUSY
    end
  end
  return highest_number(leases)
end

local function new_lease(node, key, options, number)
  local now = kad.time()
  return setmetatable({
    node = node,
    key = key,
    type = options.type,
    secret = options.secret,
    publisher = options.secret:sub(33),
    seconds = options.seconds,
    quorum = options.quorum,
    timeout = options.timeout,
    number = math.max(number, now),
    ends = now + options.seconds,
    nonce = kad.random(NONCE_SIZE),
    seq = 0,
  }, Lease)
end

-- Tries once to acquire the lease. Lookups that lose datagrams may end at
-- different nodes, so that two contenders are granted a lease by enough of
-- them. Therefore a contender looks up the key again after its store: the later
-- one sees the earlier.
local function try_acquire(node, key, options)
  local number, message, code = find_highest_number(node, key, options)
  if not number then
    return nil, message, code
  end
  local wanted = new_lease(node, key, options, number + 1)
  local granted
  granted, message, code = store(wanted, wanted.ends)
  if granted then
    granted, message, code = find_highest_number(node, key, options, wanted)
  end
  if granted and wanted:left() > 0 then
    return wanted
  end
  wanted.ends = 0
  store(wanted, 0) -- releases it at the nodes that have granted it
  return nil, message or "it took too long", code or BUSY
end

-- Sleeps for a random time, so that contenders do not stay in step; at most
-- until the deadline.
local function sleep_before_retry(deadline)
  local part = string.unpack("<I2", kad.random(2)) / 65535
  local seconds = PAUSE[1] + part * (PAUSE[2] - PAUSE[1])
  kad.sleep(math.max(0, math.min(seconds, deadline - kad.now())))
end

--- Acquires a lease. `wait` is the seconds to retry; without it, it tries once.
--- The code is KAD_EBUSY if the lease is held by another. `secret` signs the
--- lease, for the type's `check`; by default a new key pair does. `quorum` is
--- the smallest number of nodes that must grant it: it keeps a small side of a
--- partition from granting leases.
---@async
---@param node kadenza.Node
---@param key string
---@param options { type: string, seconds: integer, wait?: number,
---  secret?: string, quorum?: integer, timeout?: number }
---@return kadenza.Lease? lease
---@return string? message
---@return kadenza.Code? code
function M.acquire(node, key, options)
  options = check.with_defaults(options, 2, ACQUIRE_OPTIONS)
  check.id(node, key, "key", 2)
  options.secret = options.secret or kad.keypair().secret
  local deadline = kad.now() + options.wait
  while true do
    local lease, message, code = try_acquire(node, key, options)
    if lease or code ~= BUSY or kad.now() >= deadline then
      return lease, message, code
    end
    sleep_before_retry(deadline)
  end
end

return M
