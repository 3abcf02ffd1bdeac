-- The rooms of core, and in which order they depend on each other: the lowest
-- first. A room calls and includes those below it, and no other.
--
--   local rooms = require "tests.check.room_order"
--   rooms.of("core/rpc/limiter.c")        --> "rpc"
--   rooms.may_use("rpc", "routing")       --> true
--
-- Replication is above membership: it needs the closest set, which membership
-- knows. Membership notifies replication by events.

local M = {}

local RANKS <const> = {
  base = 1, wire = 2, records = 3, ["records/peers"] = 4,
  ["records/memory"] = 5, ["records/backed"] = 5, routing = 6,
  engine = 7, rpc = 8, lookup = 9, membership = 10, replication = 11,
  operations = 12, node = 13, net = 14, ["net/udp"] = 15, ["net/disk"] = 15,
  ["net/durable"] = 16, sim = 17,
}

---@param path string
---@return string? room  nil for a file outside of core's folders
function M.of(path)
  return path:match("^core/(%a+/%a+)/") or path:match("^core/(%a+)/")
end

---@param room string
---@return boolean
function M.is_known(room)
  return RANKS[room] ~= nil
end

---@param user string  a known room
---@param used string  a known room
---@return boolean
function M.may_use(user, used)
  return RANKS[user] >= RANKS[used]
end

return M
