--- presence: the members of a room of the policy chat.
--
--     $ lua5.4 scripts/examples/presence/presence.lua 192.0.2.1:6881 lobby ann
--     ann
--     ann, bob
--     ann
--
-- Stores your presence while it runs, and prints the names in the room when
-- they change. The nodes of the overlay need scripts/policies/chat.lua. The
-- argument `local` at the end allows nodes of this machine.

local kad = require("kadenza")

local POLICY <const> = "scripts/policies/chat.lua"
local STORE_SECONDS <const> = 20
local POLL_SECONDS <const> = 2

-- Stores our presence repeatedly: it expires after a minute.
local function keep_present(node, room, name)
  local me = kad.keypair()
  for seq = os.time(), math.maxinteger do
    local info, message = node:put(room, name,
      { type = "presence", secret = me.secret, seq = seq })
    if not info then
      kad.log.warn("cannot store our presence", { error = message })
    end
    kad.sleep(STORE_SECONDS)
  end
end

-- Returns the names in a room, sorted.
local function names_in(node, room)
  local names = {}
  for i, record in ipairs(node:get(room, { type = "presence", all = true })
    or {}) do
    names[i] = record.value
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local function print_changes(node, room)
  local before = ""
  while true do
    local now = names_in(node, room)
    if now ~= before then
      print(now)
      io.stdout:flush()
      before = now
    end
    kad.sleep(POLL_SECONDS)
  end
end

local function main(address, room_name, name, allow_local)
  local node = assert(kad.node({
    listen = "0.0.0.0:0",
    allow_local = allow_local,
    policies = { POLICY },
  }))
  assert(node:bootstrap({ address }))
  local room = kad.key("room:" .. room_name)
  kad.spawn(keep_present, node, room, name)
  print_changes(node, room)
end

local address, room, name = arg[1], arg[2], arg[3]
if not name then
  io.stderr:write("usage: presence.lua HOST:PORT ROOM NAME [local]\n")
  os.exit(2)
end
kad.run(function()
  main(address, room, name, arg[4] == "local")
end, { signals = false })
