--- A demonstration: 32 nodes on this machine, each with the shipped policies.
--
-- The nodes use sockets and real time. The exit status is 1 if an expected
-- event does not happen.

local kad = require("kadenza")

local NODES <const> = 32
local SECONDS <const> = 60 -- time limit; it takes about ten seconds
local QUERY_MS <const> = 500 -- so short that nodes soon notice a closed node

local POLICIES <const> = {
  "scripts/policies/counter.lua",
  "scripts/policies/registry.lua",
  "scripts/policies/chat.lua",
  "scripts/examples/demo/policies/notice.lua",
}

----------------------------------------------------------------- output --

local WIDTH <const> = 76

-- Prints a paragraph, indented and wrapped.
local function say(...)
  local line = "  -"
  for word in string.format(...):gmatch("%S+") do
    if #line + #word >= WIDTH then
      print(line)
      line = "   "
    end
    line = line .. " " .. word
  end
  print(line)
end

local function title(text)
  print("\n" .. text)
end

-- Ends the demonstration unless `happened`.
local function expect(happened, ...)
  if not happened then
    error({ missing = string.format(...) }, 0)
  end
  return happened
end

-- Returns the result of an operation that must succeed.
local function done(what, result, message, ...)
  expect(result ~= nil, "%s: %s", what, message)
  return result, message, ...
end

-- Returns the reason with which other nodes refused an operation.
local function reason_of(what, result, _, _, details)
  expect(result == nil, "%s must be refused", what)
  return expect(type(details) == "table" and details.reason,
    "%s must be refused by other nodes", what)
end

-- Calls `check` until it returns a value, for at most `seconds`.
local function eventually(seconds, what, check)
  local deadline = kad.now() + seconds
  while kad.now() < deadline do
    local result = check()
    if result then
      return result
    end
    kad.sleep(0.25)
  end
  expect(false, "%s, in %d seconds", what, seconds)
end

----------------------------------------------------------------- overlay --

local function open(what, host, read_only)
  return done(what, kad.node({
    listen = host .. ":0",
    allow_local = true,
    read_only = read_only,
    policies = POLICIES,
    query_ms = QUERY_MS,
  }))
end

-- Returns a function from a number to a host. On Linux, all of 127.0.0.0/8 is
-- local; elsewhere the nodes share one address.
local function find_hosts()
  local probe = kad.node({ listen = "127.0.0.2:0" })
  if probe then
    probe:close()
  end
  return function(i)
    return probe and "127.0.0." .. i or "127.0.0.1"
  end
end

-- Calls `fn(node, i)` for all nodes at once, each in a task.
local function for_each(nodes, fn)
  local tasks = {}
  for i, node in ipairs(nodes) do
    tasks[i] = function()
      fn(node, i)
    end
  end
  kad.all(tasks)
end

local function open_overlay()
  local host_of = find_hosts()
  local nodes = {}
  for i = 1, NODES do
    nodes[i] = open("node " .. i, host_of(i))
  end
  local first = nodes[1]:addresses()[1]
  for_each(nodes, function(node, i)
    if i > 1 then
      done("node " .. i .. " joins", node:bootstrap({ first }))
    end
  end)
  -- They joined at the same moment. Now that all have joined, each looks up its
  -- own id to find its neighbours.
  for_each(nodes, function(node)
    done("a lookup of the own id", node:find_node(node:id()))
  end)
  return nodes
end

-- Returns the five nodes farthest from a key: they do not hold the records that
-- they store and read.
local function farthest(nodes, key)
  local sorted = table.move(nodes, 1, #nodes, 1, {})
  table.sort(sorted, function(a, b)
    return kad.compare(key, a:id(), b:id()) > 0
  end)
  return table.unpack(sorted, 1, 5)
end

local function show_overlay(nodes)
  local least = NODES
  for _, node in ipairs(nodes) do
    least = math.min(least, #node:contacts())
  end
  local _, info = done("a lookup", nodes[NODES]:find_node(kad.key("anywhere")))
  say("%d nodes have joined through the first; each has %d contacts or more.",
    NODES, least)
  say("A lookup of the closest nodes to a key took %d queries and %d ms.",
    info.messages, math.floor(info.took * 1000 + 0.5))
end

------------------------------------------------------- a rejected store --

local function show_registry(nodes)
  local name = kad.key("printer")
  local ann, bob = kad.keypair(), kad.keypair()
  local at_ann, at_bob, at_cyd = farthest(nodes, name)
  local info = done("ann's claim", at_ann:put(name, "192.0.2.7:631",
    { type = "registry", secret = ann.secret, seq = 1 }))
  say("Ann signs the name 'printer': %d of %d nodes hold it.", info.stored,
    info.asked)
  local reason = reason_of("bob's store", at_bob:put(name,
    "203.0.113.66:631", { type = "registry", secret = bob.secret, seq = 2 }))
  say("Bob signs it, too, and is rejected: %s.", reason)
  local value, found = done("a look at the name", at_cyd:get(name,
    { type = "registry" }))
  expect(found.publisher == ann.publisher, "the name must stay ann's")
  say("A get of the name still returns Ann's %s.", value)
end

---------------------------------------------- a merge of concurrent writes --

local function show_counter(nodes)
  local key = kad.key("visits")
  local total = 0
  for_each({ farthest(nodes, key) }, function(node, i)
    local count = i * 10
    total = total + count
    done("a count", node:put(key, tostring(count),
      { type = "counter", secret = kad.keypair().secret }))
  end)
  say("Five publishers count visits at the same time: 10, 20, 30, 40 and 50.")
  local reader = farthest(nodes, key)
  local value, info = done("the counter", reader:get(key,
    { type = "counter" }))
  expect(value == tostring(total), "the sum must be %d, not %s", total, value)
  say("The nodes merge them and overwrite nothing: at %d nodes the sum is %s.",
    info.holders, value)
end

------------------------------------------------------------- a republish --

-- Returns the addresses of the nodes that had the value.
local function holders_of(node, key)
  local _, info = done("the notice", node:get(key, { type = "notice" }))
  local addresses = {}
  for _, step in ipairs(info.path) do
    if step.had_value then
      addresses[#addresses + 1] = step.address
    end
  end
  return addresses
end

-- Closes the nodes at these addresses, and removes them from the list.
local function close_nodes(nodes, addresses)
  local off = {}
  for _, address in ipairs(addresses) do
    off[address] = true
  end
  for i = #nodes, 1, -1 do
    if off[nodes[i]:addresses()[1]] then
      table.remove(nodes, i):close()
    end
  end
end

-- Opens a read-only node, which holds no records and so counts all holders.
local function open_reader(nodes)
  local reader = open("the reader", "127.0.0.1", true)
  done("the reader joins", reader:bootstrap({ nodes[1]:addresses()[1] }))
  return reader
end

local function show_republish(nodes)
  local key = kad.key("closing time")
  local reader = open_reader(nodes)
  local info = done("a notice", reader:put(key, "We close at six.",
    { type = "notice" }))
  say("%d nodes hold a notice, which its type lets them republish every two "
    .. "seconds.", info.stored)
  local holders = holders_of(reader, key)
  local lost = table.move(holders, 1, #holders - 2, 1, {})
  close_nodes(nodes, lost)
  local left = #holders_of(reader, key)
  expect(left < #holders, "some holders must be gone")
  say("%d of them are closed, so that %d are left.", #lost, left)
  local now = eventually(30, "the notice is republished", function()
    local count = #holders_of(reader, key)
    return count >= #holders and count
  end)
  say("They have republished it: now %d nodes hold it.", now)
end

------------------------------------------------------------------ an RPC --

local function show_chat(nodes)
  local lobby = kad.key("room:lobby")
  local people = { "ann", "bob", "cyd" }
  local at_ann, at_bob, at_cyd = farthest(nodes, lobby)
  for_each({ at_ann, at_bob, at_cyd }, function(node, i)
    done(people[i] .. "'s presence", node:put(lobby, people[i],
      { type = "presence", secret = kad.keypair().secret, seq = os.time() }))
  end)
  local present = done("who is there", at_ann:get(lobby,
    { type = "presence", all = true }))
  expect(#present == #people, "%d people must be there", #people)
  say("%d people have stored their presence in the lobby: %s.", #present,
    table.concat(people, ", "))
  local host = nodes[1]:addresses()[1]
  done("a message", at_ann:call(host, "chat_say",
    { room = "lobby", name = "ann", text = "Good evening!" }))
  local reply = done("the messages", at_bob:call(host, "chat_read",
    { room = "lobby" }))
  local message = expect(reply.messages[1], "there must be a message")
  expect(message.text == "Good evening!", "the message must be ann's")
  say("Ann calls chat_say at the first node, a query that the policy adds. Bob "
    .. "calls chat_read there and gets \"%s: %s\"", message.name, message.text)
  local reason = reason_of("a message without words",
    at_cyd:call(host, "chat_say", { room = "lobby" }))
  say("Cyd says nothing, and the policy refuses that: %s.", reason)
end

local function main()
  local nodes = open_overlay()
  title("An overlay")
  show_overlay(nodes)
  title("A store that is rejected (policy registry)")
  show_registry(nodes)
  title("A merge of concurrent writes (policy counter)")
  show_counter(nodes)
  title("A query of a policy's own (policy chat)")
  show_chat(nodes)
  title("A republish (policies/notice.lua of this demonstration)")
  show_republish(nodes)
  return true
end

local started = os.time()
local ran, result, message = pcall(kad.run, main, { timeout = SECONDS })
if ran and result then
  title(("All of this has happened, in %d seconds."):format(
    os.time() - started))
else
  local missing = type(result) == "table" and result.missing
  io.stderr:write("demo: this did not happen: ",
    missing or tostring(result or message), "\n")
  os.exit(1)
end
