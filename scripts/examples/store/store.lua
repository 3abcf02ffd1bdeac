--- store: a key-value client, one command a line.
--
--     $ lua5.4 scripts/examples/store/store.lua 192.0.2.1:6881
--     > put motto less is more
--     kept by 8 nodes
--     > get motto
--     less is more
--     > quit
--
-- An argument `local` behind the address admits nodes of this machine.

local kad = require("kadenza")

local commands = {}

function commands.put(node, key, value)
  local info, message = node:put(kad.key(key), value)
  return info and ("kept by %d nodes"):format(info.stored) or message
end

function commands.get(node, key)
  local value, message = node:get(kad.key(key))
  return value or message
end

-- Returns what a line asks for, or how to ask.
local function answer(node, line)
  local name, key, value = line:match("^(%a+)%s+(%S+)%s*(.*)$")
  local command = commands[name]
  if not command then
    return "put KEY VALUE, get KEY or quit"
  end
  return command(node, key, value)
end

local function main(address, allow_local)
  local node = assert(kad.node({
    listen = "0.0.0.0:0",
    allow_local = allow_local,
    read_only = true, -- a client: nobody counts on it
  }))
  assert(node:bootstrap({ address }))
  -- Reading blocks, which a client that serves nobody may do.
  for line in io.lines() do
    if line == "quit" then
      return
    end
    print(answer(node, line))
  end
end

local address = arg[1]
if not address then
  io.stderr:write("usage: store.lua HOST:PORT [local]\n")
  os.exit(2)
end
kad.run(function()
  main(address, arg[2] == "local")
end, { signals = false })
