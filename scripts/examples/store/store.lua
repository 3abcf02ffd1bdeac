--- store: a key-value client that reads one command a line.
--
--     $ lua5.4 scripts/examples/store/store.lua 192.0.2.1:6881
--     > put motto less is more
--     stored at 8 nodes
--     > get motto
--     less is more
--     > quit
--
-- The argument `local` after the address allows nodes of this machine.

local kad = require("kadenza")

local commands = {}

function commands.put(node, key, value)
  local info, message = node:put(kad.key(key), value)
  return info and ("stored at %d nodes"):format(info.stored) or message
end

function commands.get(node, key)
  local value, message = node:get(kad.key(key))
  return value or message
end

-- Runs the command of a line. Returns its output, or the usage.
local function run_line(node, line)
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
    read_only = true, -- a client, which holds no records
  }))
  assert(node:bootstrap({ address }))
  -- io.lines blocks, which a client may do: it serves no queries.
  for line in io.lines() do
    if line == "quit" then
      return
    end
    print(run_line(node, line))
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
