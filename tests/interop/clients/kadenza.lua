--- A node of kadenza's Lua library, which serves requests: JSON documents, one
--- a line, on the standard input; replies on the standard output. The requests
--- are in tests/interop/README.md.

local dkjson = require("dkjson")
local kad = require("kadenza")
local uv = require("luv")

-- Returns the value behind a flag of the command line.
local function flag(name)
  for i = 1, #arg do
    if arg[i] == name then
      return arg[i + 1]
    end
  end
  return nil
end

local function list_of(text)
  local list = {}
  for item in text:gmatch("[^,]+") do
    list[#list + 1] = item
  end
  return list
end

local known = list_of(flag("--known") or "")
local node

local M = {}

function M.join()
  if #known + #node.saved_contacts > 0 then
    assert(node:bootstrap(known))
  end
  return { nodes = #node:contacts() }
end

function M.announce(request)
  local info = assert(node:announce(kad.unhex(request.info_hash), request.port))
  return { stored = info.stored }
end

function M.get_peers(request)
  local peers = node:get_peers(kad.unhex(request.info_hash)) or {}
  return { peers = setmetatable(peers, { __jsontype = "array" }) }
end

function M.put_immutable(request)
  local target = assert(node:put_immutable(kad.unhex(request.value)))
  return { target = kad.hex(target) }
end

function M.get_immutable(request)
  local value = node:get_immutable(kad.unhex(request.target))
  return { value = value and kad.hex(value) }
end

function M.put_mutable(request)
  local _, info = assert(node:put_mutable {
    key = kad.keypair(kad.unhex(request.seed)),
    value = kad.unhex(request.value),
    salt = kad.unhex(request.salt),
    seq = request.seq,
    cas = request.cas,
  })
  return { stored = info.stored }
end

function M.get_mutable(request)
  local value, info = node:get_mutable(kad.unhex(request.public),
    { salt = kad.unhex(request.salt) })
  return value and { value = kad.hex(value), seq = info.seq } or {}
end

-- Runs kadenza's network in the loop of luv. Returns a function to call after
-- each call into kadenza.
local function run_network()
  local poll, timer = uv.new_poll(kad.loop.fd()), uv.new_timer()
  local function turn()
    kad.loop.step()
    local seconds = kad.loop.timeout()
    timer:stop()
    if seconds then
      timer:start(math.ceil(seconds * 1000), 0, turn)
    end
  end
  poll:start("r", turn)
  return turn
end

local function write(document)
  io.stdout:write(dkjson.encode(document), "\n")
  io.stdout:flush()
end

local function serve(request)
  local succeeded, result = pcall(M[request["do"]], request)
  if succeeded then
    write({ id = request.id, result = result })
  else
    write({ id = request.id, error = tostring(result) })
  end
end

-- Calls `act` with each line of the standard input, then closes the node.
local function read_lines(act, turn)
  local input, rest = uv.new_pipe(false), ""
  input:open(0)
  input:read_start(function(_, data)
    if not data then
      node:close()
      uv.stop()
      return
    end
    rest = rest .. data
    for line in rest:gmatch("([^\n]*)\n") do
      act(line)
    end
    rest = rest:match("[^\n]*$")
    turn()
  end)
end

local turn = run_network()
node = assert(kad.node({ listen = flag("--listen"), state = flag("--state"),
  allow_local = true }))
write({ ready = true })
read_lines(function(line)
  kad.spawn(serve, dkjson.decode(line))
end, turn)
turn()
uv.run()
