--- A lease: the right to do something alone for a short while.
--
--     local lease = require("kadenza.lease")
--
--     types = { turn = lease.type({ seconds = 60 }) } -- in everybody's policy
--
--     local turn, message =
--       lease.acquire(node, kad.key("backup"), { type = "turn", seconds = 30 })
--     if turn then
--       make_backup(turn.number) -- renew it if that takes long
--       turn:release()
--     end
--
-- The nodes closest to the key each grant it to one contender at a time. It is
-- had once more than half of them have, and none is seen to have granted it to
-- another. Nodes come and go, and a network can fall apart: then two may have
-- it at once, each by what he can see. Its `number` is what can be relied on:
-- of two, the later has a higher one. Where it matters, whoever is acted upon
-- must refuse a lower number than one seen.

local check = require("kadenza.check")
local kad = require("kadenza")

local M = {}

local MAX_SECONDS <const> = 3600
local DEFAULT_SECONDS <const> = 60 -- the longest lease of a type
local TTL <const> = 86400 -- seconds that numbers are remembered
local GRACE <const> = 2 -- seconds by which clocks may differ
local NONCE_SIZE <const> = 8
local MAX_SEQ <const> = 1 << 53
local PAUSE <const> = { 0.3, 1.2 } -- seconds between two attempts

local REFUSED <const> = 201
local TOO_LOW <const> = 302

local BUSY <const> = "KAD_EBUSY"

--------------------------------------------------------------- records --

-- A lease is { number, when it ends, nonce }; one that was given back ends at
-- 0. The nonce tells contenders apart that share a key. Each change of one
-- lease has a higher seq.

local function is_lease(value)
  return type(value) == "table" and #value == 3
    and math.type(value[1]) == "integer" and value[1] >= 1
    and math.type(value[2]) == "integer" and value[2] >= 0
    and type(value[3]) == "string" and #value[3] == NONCE_SIZE
end

-- Returns the lease of a record that a stranger may have made, or nil.
local function read(record)
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
  local lease, now = read(record), kad.time()
  if not lease or math.type(record.seq) ~= "integer" or record.seq < 0
    or record.seq > MAX_SEQ or record.salt
  then
    return nil, "not a lease", REFUSED
  elseif lease.ends > now + rules.seconds + GRACE then
    return nil, string.format("a lease has %d seconds at most", rules.seconds),
      REFUSED
  elseif lease.number > now + MAX_SECONDS then
    return nil, "a number far above the time of the day", REFUSED
  elseif rules.check then
    return rules.check(record, ctx)
  end
  return true
end

-- Tells which of two that different nodes have granted a reader gets first.
local function is_better(a, b, now)
  if is_live(a, now) ~= is_live(b, now) then
    return is_live(a, now)
  elseif a.number ~= b.number then
    return a.number > b.number
  end
  return a.publisher .. a.nonce > b.publisher .. b.nonce
end

-- Says why a node that holds a lease does not grant another, or returns nil.
local function find_fault(held, wanted, now)
  if is_same(held, wanted) then
    if wanted.seq < held.seq then
      return "it has been renewed or given back since", TOO_LOW
    end
  elseif is_live(held, now) then
    return string.format("another has it for %d seconds",
      math.max(1, held.ends - now)), REFUSED
  elseif wanted.number <= held.number then
    return "a number higher than " .. held.number .. " is needed", TOO_LOW
  end
end

-- A reader hears of all leases that there are, each as it was changed last.
local function gather(found, record)
  local lease = read(record)
  for i, other in ipairs(found) do
    local before = read(other)
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
    return gather(held, record)
  end
  local current = held[1] and read(held[1])
  local problem, code
  if current then
    problem, code = find_fault(current, read(record), kad.time())
  end
  if problem then
    return nil, problem, code
  end
  return { record }
end

local function select_best(records)
  local now = kad.time()
  table.sort(records, function(a, b)
    return is_better(read(a), read(b), now)
  end)
  return records
end

local TYPE_OPTIONS <const> = {
  seconds = { default = DEFAULT_SECONDS, kind = "integer", from = 1,
    to = MAX_SECONDS },
  ttl = { default = TTL, kind = "integer", from = MAX_SECONDS, to = 2592000 },
  check = { kind = "function" },
}

--- Makes a type of leases. `seconds` is how long one lasts at most (60), `ttl`
--- how long its number is remembered (a day), and `check(record, ctx)` may
--- refuse whom it does not know, as `validate` does.
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

-- Returns the leases of a key, the one that counts first.
local function look(node, key, wishes)
  local records, message, code = node:get(key,
    { type = wishes.type, timeout = wishes.timeout, all = true })
  if not records and code ~= "KAD_ENOTFOUND" then
    return nil, message, code
  end
  local leases = {}
  for _, record in ipairs(records or {}) do
    leases[#leases + 1] = read(record)
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

--- Tells who has a lease: `holder`, a public key, or nil when nobody has;
--- `left`, the seconds that are left of it; `number`, that of the last one
--- known, or 0.
---@async
---@param node kadenza.Node
---@param key string
---@param wishes { type: string, timeout?: number }
---@return { holder: string?, left: integer, number: integer }? state
---@return string? message
---@return kadenza.Code? code
function M.read(node, key, wishes)
  wishes = check.with_defaults(wishes, 2, READ_OPTIONS)
  check.node(node, 2)
  check.id(node, key, "key", 2)
  local leases, message, code = look(node, key, wishes)
  if not leases then
    return nil, message, code
  end
  local first = leases[1]
  local left = first and math.max(0, first.ends - kad.time()) or 0
  return { holder = left > 0 and first.publisher or nil, left = left,
    number = highest_number(leases) }
end

--------------------------------------------------------------- holding --

--- A lease that was had. It may have ended since: `left` tells.
---@class kadenza.Lease
---@field number integer  higher than that of any lease of its key before
---@field publisher string  the key that it was acquired with
local Lease = {}
Lease.__index = Lease
Lease.__name = "kadenza.Lease"

-- Stores the lease as one that ends at `ends`. Returns true once more than half
-- of the nodes asked, and as many as the user wants, have taken it.
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
  elseif info.stored * 2 <= info.asked or info.stored < self.quorum then
    return nil, string.format("only %d of %d nodes have granted it",
      info.stored, info.asked), BUSY
  end
  return true
end

--- Tells how many seconds are left of the lease, by the clock of this node; 0
--- when it has ended or was given back.
---@return integer seconds
function Lease:left()
  return math.max(0, self.ends - kad.time())
end

--- Has the lease last for some seconds from now on, those that it was acquired
--- for unless told. When that fails the lease still ends when it would have.
---@async
---@param seconds? integer
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

--- Gives the lease back, so that others need not wait for its end. Does nothing
--- when it has ended.
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

--- Gives it back in a task of its own: whoever closes it may not wait.
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
  quorum = { default = 1, kind = "integer", from = 1, to = 64 },
  timeout = { kind = "number", from = 0.001, to = 1e6 },
}

-- Returns the highest number that there has been, unless somebody else than
-- `mine` has the lease.
local function look_for_others(node, key, wishes, mine)
  local leases, message, code = look(node, key, wishes)
  if not leases then
    return nil, message, code
  end
  local now = kad.time()
  for _, lease in ipairs(leases) do
    if is_live(lease, now) and not (mine and is_same(lease, mine)) then
      return nil, string.format("another has it for %d seconds",
        math.max(1, lease.ends - now)), BUSY
    end
  end
  return highest_number(leases)
end

local function new_lease(node, key, wishes, number)
  local now = kad.time()
  return setmetatable({
    node = node,
    key = key,
    type = wishes.type,
    secret = wishes.secret,
    publisher = wishes.secret:sub(33),
    seconds = wishes.seconds,
    quorum = wishes.quorum,
    timeout = wishes.timeout,
    number = math.max(number, now),
    ends = now + wishes.seconds,
    nonce = kad.random(NONCE_SIZE),
    seq = 0,
  }, Lease)
end

-- Asks for the lease once. Lookups that lose datagrams may end at different
-- nodes, so that two have enough of them: therefore each looks once more after
-- he has stored his. The later of two then sees the earlier.
local function try(node, key, wishes)
  local number, message, code = look_for_others(node, key, wishes)
  if not number then
    return nil, message, code
  end
  local wanted = new_lease(node, key, wishes, number + 1)
  local granted
  granted, message, code = store(wanted, wanted.ends)
  if granted then
    granted, message, code = look_for_others(node, key, wishes, wanted)
  end
  if granted and wanted:left() > 0 then
    return wanted
  end
  wanted.ends = 0
  store(wanted, 0) -- those that have granted it need not keep it
  return nil, message or "it took too long", code or BUSY
end

-- Sleeps for a time that others do not choose, too, or until it is in vain.
local function pause(deadline)
  local part = string.unpack("<I2", kad.random(2)) / 65535
  local seconds = PAUSE[1] + part * (PAUSE[2] - PAUSE[1])
  kad.sleep(math.max(0, math.min(seconds, deadline - kad.now())))
end

--- Acquires a lease. Without `wait`, the seconds to keep trying, it tries once.
--- When another has it, the code is KAD_EBUSY. A `secret` says who asks, where
--- the type's `check` wants to know; a new one is made otherwise. `quorum` is
--- how many nodes have to grant it at the least: where there should be many
--- more, it keeps a small part of a network from going its own way.
---@async
---@param node kadenza.Node
---@param key string
---@param wishes { type: string, seconds: integer, wait?: number,
---  secret?: string, quorum?: integer, timeout?: number }
---@return kadenza.Lease? lease
---@return string? message
---@return kadenza.Code? code
function M.acquire(node, key, wishes)
  wishes = check.with_defaults(wishes, 2, ACQUIRE_OPTIONS)
  check.node(node, 2)
  check.id(node, key, "key", 2)
  wishes.secret = wishes.secret or kad.keypair().secret
  local deadline = kad.now() + wishes.wait
  while true do
    local lease, message, code = try(node, key, wishes)
    if lease or code ~= BUSY or kad.now() >= deadline then
      return lease, message, code
    end
    pause(deadline)
  end
end

return M
