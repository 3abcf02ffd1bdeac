--- registry: names that belong to the key that signs them first.
--
-- For names of services, users or pages that only their owner may change. The
-- first Ed25519 key whose record for a name arrives owns that name; records of
-- other keys are rejected as long as it owns it.
--
-- Rules
--   * A record is signed and has a sequence number, and no salt. Its value is
--     the meaning of the name: any 1 to 512 bytes.
--   * A record of another key than the owner's is rejected (201).
--   * A change needs a higher `seq` than the one held (302). The same record
--     again is not a change: it renews the name.
--   * A name that its owner does not renew is free again after a week.
--
-- From the command line
--
--     kadenza run --policy registry.lua
--     kadenza keygen me.key
--     kadenza put printer 192.0.2.7:631 --type registry --key me.key --seq 1 \
--       --policy registry.lua --bootstrap 127.0.0.1:6881
--     kadenza get printer --type registry --policy registry.lua \
--       --bootstrap 127.0.0.1:6881
--
-- From Lua
--
--     local me = kad.keypair()
--     local name = kad.key("printer")
--     node:put(name, "192.0.2.7:631",
--       { type = "registry", secret = me.secret, seq = 1 })
--     local value, info = node:get(name, { type = "registry" })
--     print(value, kad.hex(info.publisher))
--
-- Limits: each node decides which record came first. Two keys that claim a name
-- in the same second may each own it at some of the nodes, and a reader gets
-- the one whose node replies first. Look the name up before you rely on it, and
-- remember the publisher of names that you know. Nothing stops a key from
-- claiming many names.

local MAX_SIZE <const> = 512
local WEEK <const> = 7 * 86400

local REJECTED <const> = 201
local TOO_LOW <const> = 302

local function validate(record)
  if not record.seq then
    return nil, "a sequence number is required"
  elseif record.salt then
    return nil, "a name has no salt"
  elseif record.value == "" then
    return nil, "a name needs a value"
  end
  return true
end

local function merge(current, incoming)
  local owner = current[1]
  if not owner then
    return { incoming }
  elseif incoming.publisher ~= owner.publisher then
    return nil, "the name belongs to another key", REJECTED
  elseif incoming.seq < owner.seq
    or incoming.seq == owner.seq and incoming.value ~= owner.value
  then
    return nil, "a change needs a higher seq than " .. owner.seq, TOO_LOW
  end
  return { incoming }
end

return {
  name = "registry",
  version = 1,
  types = {
    registry = {
      max_size = MAX_SIZE,
      max_values = 1,
      ttl = WEEK,
      signed_only = true,
      validate = validate,
      merge = merge,
    },
  },
  samples = { types = { registry = {
    { value = "192.0.2.7:631", seq = 1 }, { value = "192.0.2.8:80", seq = 9 },
    "no seq",
  } } },
}
