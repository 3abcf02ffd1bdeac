--- counter: a number that many publishers can only raise.
--
-- For visits, votes, downloads: numbers that grow at many places at once. Each
-- publisher signs its own count; the value of the counter is the sum.
-- Publishers that count at the same time do not overwrite each other, and a
-- count that arrives twice, late or out of order does no harm: a holder keeps
-- the highest count of each publisher (a grow-only counter, or G-counter).
--
-- Rules
--   * A record is signed. Its value is the publisher's own count in decimal:
--     "0" to "999999999999999", without sign, space or leading zero.
--   * A count lower than the one held is rejected (302).
--   * A key holds the counts of 64 publishers; a 65th is rejected (201).
--   * A get returns one record, whose value is the sum. It is not signed. A
--     node without the policy returns the single counts.
--   * A count expires a week after its publisher stored it last.
--
-- From the command line
--
--     kadenza run --policy counter.lua
--     kadenza keygen me.key
--     kadenza put visits 3 --type counter --key me.key --policy counter.lua \
--       --bootstrap 127.0.0.1:6881
--     kadenza get visits --type counter --policy counter.lua \
--       --bootstrap 127.0.0.1:6881
--
-- From Lua
--
--     local visits, me = kad.key("visits"), kad.keypair()
--     node:put(visits, "3", { type = "counter", secret = me.secret })
--     print(node:get(visits, { type = "counter" }))
--
-- Limits: a publisher can make many key pairs and can claim any count. Change
-- `validate` to accept only publishers that you trust.

local MAX_PUBLISHERS <const> = 64
local MAX_DIGITS <const> = 15
local WEEK <const> = 7 * 86400

local REJECTED <const> = 201
local TOO_LOW <const> = 302

local function validate(record)
  if record.value ~= "0" and not record.value:find("^[1-9]%d*$") then
    return nil, "a count must be decimal digits"
  end
  return true
end

-- Returns the index of a publisher's record in a list, or nil.
local function find_publisher(list, publisher)
  for i, record in ipairs(list) do
    if record.publisher == publisher then
      return i
    end
  end
  return nil
end

local function merge(current, incoming)
  local index = find_publisher(current, incoming.publisher)
  if not index and #current >= MAX_PUBLISHERS then
    return nil, "this counter has too many publishers", REJECTED
  elseif not index then
    index = #current + 1
  elseif tonumber(incoming.value) < tonumber(current[index].value) then
    return nil, "a count cannot fall", TOO_LOW
  end
  current[index] = incoming
  return current
end

local function select(records)
  local total = 0
  for _, record in ipairs(records) do
    total = total + tonumber(record.value)
  end
  return { value = tostring(total) }
end

return {
  name = "counter",
  version = 1,
  types = {
    counter = {
      max_size = MAX_DIGITS,
      max_values = MAX_PUBLISHERS,
      ttl = WEEK,
      signed_only = true,
      validate = validate,
      merge = merge,
      select = select,
    },
  },
  samples = { types = { counter = { "0", "1", "20", "-1" } } },
}
