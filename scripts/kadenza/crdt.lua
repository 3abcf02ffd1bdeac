--- CRDTs: counters, registers and sets that many nodes may change at a time.
--- Their states can be joined in any order and repeatedly, and become equal
--- everywhere.
--
--     local crdt = require("kadenza.crdt")
--
--     types = {
--       visits = crdt.gcounter.type({ ttl = 86400 }),
--       guests = crdt.orset.type({ signed = true, life = 3600 }),
--     }
--
--     local visits = crdt.gcounter.open(node, key, { type = "visits" })
--     assert(visits:add(1))
--     print(visits:read())
--
-- A type is shared or signed. A shared type has one record under a key, which
-- any node may change, and so also corrupt within its bounds. In a signed type
-- each publisher has a record and can change only its own part of the state;
-- the value is that of all records joined.

local kad = require("kadenza")
local kinds = require("kadenza.crdt.kind")

local M = {}

local MAX_REPLICA <const> = 32 -- bytes of the name of a replica
local MAX_COUNT <const> = 1 << 53 -- of a replica: sums do not overflow
local MAX_ELEMENT <const> = 256 -- bytes
local MAX_TIME <const> = 1 << 40 -- seconds since 1970
local SKEW <const> = 300 -- seconds by which clocks may differ
local LIFE <const> = 86400 -- seconds of an element by default
local MAX_LIFE <const> = 2592000

local function is_text(value, max)
  return type(value) == "string" and #value >= 1 and #value <= max
end

local function is_integer(value, low, high)
  return math.type(value) == "integer" and value >= low and value <= high
end

-- Returns what is wrong with a table of replicas and entries, or nil;
-- `fits(entry)` checks an entry.
local function check_replicas(state, fits)
  for replica, entry in pairs(state) do
    if not is_text(replica, MAX_REPLICA) then
      return "a replica has a name of 1 to 32 bytes"
    elseif not fits(entry) then
      return "a replica's part has the wrong form"
    end
  end
end

-- Returns the union of two tables; `both` joins the values of a common key.
local function join_tables(a, b, both)
  local joined = {}
  for name, value in pairs(a) do
    joined[name] = value
  end
  for name, value in pairs(b) do
    local other = joined[name]
    joined[name] = other == nil and value or both(other, value)
  end
  return joined
end

local function own_entry(state, publisher)
  return { [publisher] = state[publisher] }
end

-------------------------------------------------------------- counters --

-- { replica = count }

local function is_count(value)
  return is_integer(value, 1, MAX_COUNT)
end

--- A counter that only grows (G-Counter): `add(n)`. Its value is an integer.
M.gcounter = kinds.new({
  owned = own_entry,
  check = function(state)
    return check_replicas(state, is_count)
  end,
  join = function(a, b)
    return join_tables(a, b, math.max)
  end,
  value = function(state)
    local sum = 0
    for _, count in pairs(state) do
      sum = sum + count
    end
    return sum
  end,
  ops = {
    add = function(state, replica, n)
      n = n or 1
      local count = state[replica] or 0
      if not is_integer(n, 1, MAX_COUNT - count) then
        return nil, "a positive integer is needed, and a sum below 2^53"
      end
      return { [replica] = count + n }
    end,
  },
})

-- { replica = { added, taken } }

local function is_pair(value)
  return type(value) == "table" and #value == 2
    and is_integer(value[1], 0, MAX_COUNT)
    and is_integer(value[2], 0, MAX_COUNT)
end

--- A counter that grows and falls (PN-Counter): `add(n)`; n may be negative.
M.pncounter = kinds.new({
  owned = own_entry,
  check = function(state)
    return check_replicas(state, is_pair)
  end,
  join = function(a, b)
    return join_tables(a, b, function(x, y)
      return { math.max(x[1], y[1]), math.max(x[2], y[2]) }
    end)
  end,
  value = function(state)
    local sum = 0
    for _, pair in pairs(state) do
      sum = sum + pair[1] - pair[2]
    end
    return sum
  end,
  ops = {
    add = function(state, replica, n)
      n = n or 1
      local pair = state[replica] or { 0, 0 }
      if not is_integer(n, pair[2] - MAX_COUNT, MAX_COUNT - pair[1]) then
        return nil, "an integer is needed, and sums below 2^53"
      end
      return { [replica] = { pair[1] + math.max(n, 0),
        pair[2] + math.max(-n, 0) } }
    end,
  },
})

-------------------------------------------------------------- register --

-- { time, writer, value }, or nothing

-- Tells whether write `a` wins over `b`. The order is total: neither wins only
-- if they are equal.
local function is_later(a, b)
  for i = 1, 3 do
    if a[i] ~= b[i] then
      return a[i] > b[i]
    end
  end
  return false
end

local function is_write(state)
  return #state == 3 and is_integer(state[1], 1, MAX_TIME)
    and is_text(state[2], MAX_REPLICA) and type(state[3]) == "string"
end

--- A register that the last write sets (LWW-Register): `set(bytes)`. Its value
--- is bytes, or nil. Of two writes at the same time, one wins everywhere.
M.lww = kinds.new({
  timed = true,
  owned = function(state, publisher)
    return state[2] == publisher and state or {}
  end,
  check = function(state, now)
    if not is_write(state) then
      return "a write has a time, a writer and bytes"
    elseif state[1] > now + SKEW then
      return "it is written in the future"
    end
  end,
  join = function(a, b)
    if #a == 0 or #b > 0 and is_later(b, a) then
      return b
    end
    return a
  end,
  value = function(state)
    return state[3]
  end,
  ops = {
    set = function(state, replica, value, now)
      if type(value) ~= "string" then
        return nil, "a register holds bytes"
      end
      local time = math.max(now or kad.time(), (state[1] or 0) + 1)
      return { time, replica, value }
    end,
  },
})

------------------------------------------------------------------- set --

-- { element = { replica = 2 * end, + 1 if removed } }. A replica that adds an
-- element again gives it a later end, so that its highest number is its last
-- change. An entry and its removal end at the same time: an element does not
-- reappear when the tombstone is dropped.

local function is_entry(latest)
  return function(entry)
    return is_integer(entry, 2, 2 * latest + 1)
  end
end

local function join_entries(a, b)
  return join_tables(a, b, math.max)
end

-- Returns a state with the entries for which `keep(entry, replica)` is true,
-- without elements that have none.
local function filter(state, keep)
  local kept = {}
  for element, entries in pairs(state) do
    local left = {}
    for replica, entry in pairs(entries) do
      left[replica] = keep(entry, replica) and entry or nil
    end
    kept[element] = next(left) and left
  end
  return kept
end

local function has(state, element, now)
  for _, entry in pairs(state[element] or {}) do
    if entry % 2 == 0 and entry // 2 > now then
      return true
    end
  end
  return false
end

local function check_set(state, now, limits)
  local fits = is_entry(now + limits.life + SKEW)
  for element, entries in pairs(state) do
    if not is_text(element, MAX_ELEMENT) then
      return "an element has 1 to 256 bytes"
    elseif type(entries) ~= "table" or next(entries) == nil then
      return "an element belongs to replicas"
    end
    local problem = check_replicas(entries, fits)
    if problem then
      return problem
    end
  end
end

local function add_element(state, replica, element, life, now)
  life, now = life or LIFE, now or kad.time()
  if not is_text(element, MAX_ELEMENT) then
    return nil, "an element has 1 to 256 bytes"
  elseif not is_integer(life, 1, MAX_LIFE) then
    return nil, "an element lives 1 second to 30 days"
  end
  local entry = (state[element] or {})[replica] or 0
  local ends = math.max(now + life, entry // 2 + 1)
  return { [element] = { [replica] = 2 * ends } }
end

local function remove_element(state, _, element)
  local entries = {}
  for replica, entry in pairs(state[element] or {}) do
    entries[replica] = entry | 1
  end
  return next(entries) and { [element] = entries } or {}
end

--- A set (OR-Set): `add(element[, life])`, with a life in seconds (a day), and
--- `remove(element)`. Its value is a sorted list. A removal affects only the
--- adds that its replica has seen: an element that is added and removed at the
--- same time stays. Elements expire: add them again to keep them.
M.orset = kinds.new({
  timed = true,
  options = {
    life = { default = MAX_LIFE, kind = "integer", from = 1, to = MAX_LIFE },
  },
  owned = function(state, publisher)
    return filter(state, function(entry, replica)
      return entry % 2 == 1 or replica == publisher
    end)
  end,
  check = check_set,
  join = function(a, b)
    return join_tables(a, b, join_entries)
  end,
  prune = function(state, now)
    return filter(state, function(entry)
      return entry // 2 > now
    end)
  end,
  value = function(state, now)
    local elements = {}
    for element in pairs(state) do
      if has(state, element, now) then
        elements[#elements + 1] = element
      end
    end
    table.sort(elements)
    return elements
  end,
  ops = { add = add_element, remove = remove_element },
})

--- Tells whether a set has an element.
---@param state table
---@param element string
---@param now? integer  seconds since 1970
---@return boolean has
function M.orset.has(state, element, now)
  return has(state, element, now or kad.time())
end

return M
