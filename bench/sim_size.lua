-- Measures an overlay of kad.sim, which has nodes for scripts, as sim_size
-- measures one of the core.
--
--     lua5.4 bench/sim_size.lua [NODES] [SECONDS]
--
-- Requires Linux, and LUA_PATH and LUA_CPATH with scripts and
-- build/release/lua.

local kad = require("kadenza")

local SETTLE <const> = 1200

-- Returns a field of /proc/self/status in bytes.
local function of_process(name)
  for line in io.lines("/proc/self/status") do
    local kilobytes = line:match("^" .. name .. ":%s*(%d+) kB")
    if kilobytes then
      return tonumber(kilobytes) * 1024
    end
  end
  error("no " .. name .. " in /proc/self/status")
end

local function number_of(text, least)
  local number = math.tointeger(tonumber(text))
  if not number or number < least then
    io.stderr:write("usage: sim_size.lua [NODES] [SECONDS]\n")
    os.exit(2)
  end
  return number
end

-- Runs `step` and prints its costs.
local function measure(name, nodes, net, step)
  local before = net and net:statistics() or {}
  local began, clock = os.clock(), net and net:now() or 0
  net = step() or net
  local after, took = net:statistics(), os.clock() - began
  local events = after.delivered - (before.delivered or 0) + after.ticks
    - (before.ticks or 0)
  collectgarbage()
  print(("%-6s %7d %8.0f %7.2f %9.0f %9.0f %8.0f"):format(name, nodes,
    net:now() - clock, took, events / took, of_process("VmHWM") / nodes,
    collectgarbage("count") * 1024 / nodes))
  return net
end

local nodes = number_of(arg[1] or "1000", 2)
local seconds = number_of(arg[2] or "3600", 1)

print(("%-6s %7s %8s %7s %9s %9s %8s"):format("phase", "nodes", "clock s",
  "cpu s", "events/s", "resident", "Lua"))
local net <close> = measure("join", nodes, nil, function()
  return kad.sim { nodes = nodes, seed = 1 }
end)
measure("settle", nodes, net, function()
  net:run(SETTLE)
end)
measure("quiet", nodes, net, function()
  net:run(seconds)
end)
print("trace " .. net:trace_hash())
