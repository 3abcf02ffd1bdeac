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
  base = 1, wire = 2, records = 3, ["records/memory"] = 4,
  ["records/backed"] = 4, routing = 5,
  engine = 6, rpc = 7, lookup = 8, membership = 9, replication = 10,
  operations = 11, node = 12, net = 13, ["net/udp"] = 14, ["net/disk"] = 14,
  ["net/durable"] = 15, sim = 16,
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
