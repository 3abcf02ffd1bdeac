--- registry: names that belong to whoever signs them first.
--
-- For names of services, users or pages that only their owner may change. The
-- first Ed25519 key whose record for a name arrives holds that name; records of
-- other keys are refused for as long as it does.
--
-- Rules
--   * A record is signed and has a sequence number, and no salt. Its value is
--     what the name stands for: 1 to 512 bytes, whatever you like.
--   * Another key than the holder's is refused (201).
--   * A change needs a higher `seq` than the one held (302). The same record
--     again is no change: it renews the name.
--   * A name that its holder does not renew is free again after a week.
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
-- Limits: "first" is what each node saw first. Two keys that claim a name in
-- the same second may each hold it at some of the nodes, and a reader then gets
-- the one that answers first: look the name up before you rely on it, and keep
-- the publisher of those you know. Nothing stops one from claiming many names.

local MAX_SIZE <const> = 512
local WEEK <const> = 7 * 86400

local REFUSED <const> = 201
local TOO_LOW <const> = 302

local function validate(record)
  if not record.seq then
    return nil, "a sequence number is required"
  elseif record.salt then
    return nil, "a name has no salt"
  elseif record.value == "" then
    return nil, "a name stands for something"
  end
  return true
end

local function merge(current, incoming)
  local holder = current[1]
  if not holder then
    return { incoming }
  elseif incoming.publisher ~= holder.publisher then
    return nil, "the name belongs to another key", REFUSED
  elseif incoming.seq < holder.seq
    or incoming.seq == holder.seq and incoming.value ~= holder.value
  then
    return nil, "a change needs a higher seq than " .. holder.seq, TOO_LOW
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
