--- counter: a number that many may raise and nobody may lower.
--
-- For visits, votes, downloads: what grows at many places at once. Every
-- publisher signs how much *it* has counted; the counter's value is the sum.
-- So two who count at once never overwrite each other, and a contribution that
-- arrives twice, late or out of order does no harm: of each publisher the
-- highest count is held, wherever it comes from (a grow-only counter, G-counter
-- in the literature).
--
-- Rules
--   * A record is signed. Its value is the publisher's own count in decimal:
--     "0" to "999999999999999", without sign, space or leading zero.
--   * A count may not fall: a lower one than is held is refused (302).
--   * A key holds the counts of 64 publishers; a 65th is refused (201).
--   * A reader gets one record, whose value is the sum. It is not signed. The
--     single counts are in it for nobody to see: ask a node without the policy.
--   * A count that its publisher does not store again is forgotten in a week.
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
-- Limits: nothing keeps somebody from making many keys or counting too much. It
-- counts what its publishers claim; let `validate` know whom you believe.

local MAX_PUBLISHERS <const> = 64
local MAX_DIGITS <const> = 15
local WEEK <const> = 7 * 86400

local REFUSED <const> = 201
local TOO_LOW <const> = 302

local function validate(record)
  if record.value ~= "0" and not record.value:find("^[1-9]%d*$") then
    return nil, "a count is decimal digits"
  end
  return true
end

-- Returns the place of the publisher's contribution in a list, or nil.
local function find(list, publisher)
  for i, record in ipairs(list) do
    if record.publisher == publisher then
      return i
    end
  end
  return nil
end

local function merge(current, incoming)
  local place = find(current, incoming.publisher)
  if not place and #current >= MAX_PUBLISHERS then
    return nil, "this counter has all the publishers it can have", REFUSED
  elseif not place then
    place = #current + 1
  elseif tonumber(incoming.value) < tonumber(current[place].value) then
    return nil, "a count cannot fall", TOO_LOW
  end
  current[place] = incoming
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
