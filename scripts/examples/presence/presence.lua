--- presence: who else is here, in a room of the policy chat.
--
--     $ lua5.4 scripts/examples/presence/presence.lua 192.0.2.1:6881 lobby ann
--     ann
--     ann, bob
--     ann
--
-- Says that you are there for as long as it runs, and prints who is, whenever
-- that changes. The nodes of the overlay need scripts/policies/chat.lua. An
-- argument `local` at the end admits nodes of this machine.

local kad = require("kadenza")

local POLICY <const> = "scripts/policies/chat.lua"
local SAY_SECONDS <const> = 20
local LOOK_SECONDS <const> = 2

-- Stores our presence over and over: it lives a minute.
local function keep_saying(node, room, name)
  local me = kad.keypair()
  for seq = os.time(), math.maxinteger do
    local said, message = node:put(room, name,
      { type = "presence", secret = me.secret, seq = seq })
    if not said then
      kad.log.warn("nobody heard of us", { error = message })
    end
    kad.sleep(SAY_SECONDS)
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

local function keep_looking(node, room)
  local before = ""
  while true do
    local now = names_in(node, room)
    if now ~= before then
      print(now)
      io.stdout:flush()
      before = now
    end
    kad.sleep(LOOK_SECONDS)
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
  kad.spawn(keep_saying, node, room, name)
  keep_looking(node, room)
end

local address, room, name = arg[1], arg[2], arg[3]
if not name then
  io.stderr:write("usage: presence.lua HOST:PORT ROOM NAME [local]\n")
  os.exit(2)
end
kad.run(function()
  main(address, room, name, arg[4] == "local")
end, { signals = false })
