--- pipes: a DHT over unix sockets, without any network, in luv's loop.
--
--     $ lua5.4 scripts/examples/pipes/pipes.lua var/pipes 1 &
--     $ lua5.4 scripts/examples/pipes/pipes.lua var/pipes 2 &
--     $ lua5.4 scripts/examples/pipes/pipes.lua var/pipes 3 put tea oolong
--     stored at 2 nodes
--     $ lua5.4 scripts/examples/pipes/pipes.lua var/pipes 4 get tea
--     oolong
--
-- Node 7 listens on the socket var/pipes/7, and its address is 10.0.0.7:1. Each
-- datagram has a connection of its own: the number of its sender in two bytes,
-- then its bytes. All nodes join by node 1. A user with write access to the
-- folder can send as any node.

local kad = require("kadenza")

local uv = require("luv")

local LONGEST <const> = 1502 -- bytes of a datagram with the number before it

-- Returns the address of a node for the transport.
local function address_of(number)
  return string.format("10.0.%d.%d:1", number >> 8, number & 255)
end

local function number_of(address)
  local high, low = address:match("^10%.0%.(%d+)%.(%d+):1$")
  return high and tonumber(high) << 8 | tonumber(low)
end

-- Sends a datagram. It is lost if its receiver does not listen.
local function send(folder, from, bytes, address)
  local to = number_of(address)
  if not to then
    return
  end
  local pipe = assert(uv.new_pipe(false))
  pipe:connect(folder .. "/" .. to, function(problem)
    if problem then
      pipe:close()
      return
    end
    pipe:write(string.pack(">I2", from) .. bytes, function()
      pipe:close()
    end)
  end)
end

-- Reads one datagram of a connection, and calls on_datagram(bytes, address).
local function read_datagram(pipe, on_datagram)
  local got = ""
  pipe:read_start(function(problem, chunk)
    got = got .. (chunk or "")
    if chunk and not problem and #got <= LONGEST then
      return
    end
    pipe:close()
    if not problem and #got > 2 and #got <= LONGEST then
      on_datagram(got:sub(3), address_of(string.unpack(">I2", got)))
    end
  end)
end

local function listen(path, on_datagram)
  os.remove(path)
  local server = assert(uv.new_pipe(false))
  assert(server:bind(path))
  assert(server:listen(64, function()
    local pipe = assert(uv.new_pipe(false))
    assert(server:accept(pipe))
    read_datagram(pipe, on_datagram)
  end))
  return server
end

-- Runs kadenza's loop in luv's. Returns a function to call after each call into
-- kadenza from a callback of luv.
local function integrate_loops()
  local poll = assert(uv.new_poll(kad.loop.fd()))
  local timer = assert(uv.new_timer())
  local function reschedule()
    local seconds = kad.loop.timeout()
    timer:stop()
    if seconds then
      timer:start(math.ceil(seconds * 1000), 0, function()
        kad.loop.step()
        reschedule()
      end)
    end
  end
  poll:start("r", function()
    kad.loop.step()
    reschedule()
  end)
  reschedule()
  return reschedule
end

local COMMANDS <const> = {
  put = function(node, key, value)
    local info, message = node:put(kad.key(key), value or "")
    return info and "stored at " .. info.stored .. " nodes", message
  end,
  get = function(node, key)
    return node:get(kad.key(key))
  end,
}

-- Joins and runs the command. Returns its output, or nil and a message.
local function run_command(node, number, command, ...)
  if number ~= 1 then
    local joined, message = node:bootstrap({ address_of(1) })
    if not joined then
      return nil, message
    end
  end
  if not command then
    return "node " .. number .. " has joined"
  end
  return COMMANDS[command](node, ...)
end

local function open_node(folder, number)
  return assert(kad.node({
    listen = address_of(number),
    transport = {
      send = function(bytes, address)
        send(folder, number, bytes, address)
      end,
    },
  }))
end

-- Runs a node: until its command has ended, or without one forever.
local function run(folder, number, command, ...)
  local node = open_node(folder, number)
  local path, status = folder .. "/" .. number, 0
  local reschedule = integrate_loops()
  listen(path, function(bytes, address)
    if node:is_open() then
      node:receive(bytes, address)
      reschedule()
    end
  end)
  kad.spawn(function(...)
    local output, problem = run_command(node, number, command, ...)
    print(output or "pipes: " .. problem)
    io.stdout:flush()
    if command or not output then
      status = output and 0 or 1
      node:close()
      uv.stop()
    end
  end, ...)
  reschedule()
  uv.run()
  os.remove(path)
  return status
end

local function main(folder, number, command, key, ...)
  number = math.tointeger(tonumber(number))
  if not number or number < 1 or number > 65535
    or command and not (COMMANDS[command] and key) then
    io.stderr:write(
      "usage: pipes.lua FOLDER NUMBER [put KEY VALUE | get KEY]\n")
    return 2
  end
  uv.fs_mkdir(folder, tonumber("700", 8))
  return run(folder, number, command, key, ...)
end

os.exit(main(table.unpack(arg, 1, #arg)), true)
