--- A demonstration: 32 nodes on this machine, each with the policies that ship.
--
-- Everything goes over sockets, in real time. The program ends with 1 if
-- something does not happen as it says.

local kad = require("kadenza")

local NODES <const> = 32
local SECONDS <const> = 60 -- it takes about ten; on a busy machine, more
local QUERY_MS <const> = 500 -- so that a node that was switched off is noticed

local POLICIES <const> = {
  "scripts/policies/counter.lua",
  "scripts/policies/registry.lua",
  "scripts/policies/chat.lua",
  "scripts/examples/demo/policies/notice.lua",
}

-------------------------------------------------------------- telling it --

local WIDTH <const> = 76

-- Prints a paragraph, indented and broken into lines.
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

-- Returns the result of an operation that has to succeed.
local function done(what, result, message, ...)
  expect(result ~= nil, "%s: %s", what, message)
  return result, message, ...
end

-- Returns the words in which other nodes refused an operation.
local function reason_of(what, result, _, _, details)
  expect(result == nil, "%s was to be refused", what)
  return expect(type(details) == "table" and details.reason,
    "%s was to be refused by other nodes", what)
end

-- Calls `check` until it returns something, for so many seconds at most.
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

-- Linux has all of 127.0.0.0/8; elsewhere the nodes share one address.
local function hosts()
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
  local host_of = hosts()
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
  -- They joined at the same moment: now that all are there, each has a look at
  -- its neighbourhood.
  for_each(nodes, function(node)
    done("a look around", node:find_node(node:id()))
  end)
  return nodes
end

-- Returns the nodes, the farthest from a key first: users who hold nothing of
-- what they store and read.
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
  say("%d nodes have met through the first one; each knows %d others or more.",
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
  expect(found.publisher == ann.publisher, "the name was to stay ann's")
  say("Whoever looks it up still gets Ann's %s.", value)
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
  expect(value == tostring(total), "the sum was to be %d, not %s", total, value)
  say("The nodes merge them, nothing is overwritten: %d nodes make it %s.",
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

-- Switches off the nodes at these addresses, and takes them out of the list.
local function switch_off(nodes, addresses)
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

-- A reader who holds nothing, so that it counts all that do.
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
  switch_off(nodes, lost)
  local left = #holders_of(reader, key)
  expect(left < #holders, "some holders were to be gone")
  say("%d of them are switched off, so that %d are left.", #lost, left)
  local now = eventually(30, "the notice is republished", function()
    local count = #holders_of(reader, key)
    return count >= #holders and count
  end)
  say("Those have noticed and republished it: now %d nodes hold it.", now)
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
  expect(#present == #people, "%d people were to be there", #people)
  say("%d people are in the lobby, says their presence: %s.", #present,
    table.concat(people, ", "))
  local host = nodes[1]:addresses()[1]
  done("a message", at_ann:call(host, "chat_say",
    { room = "lobby", name = "ann", text = "Good evening!" }))
  local reply = done("the messages", at_bob:call(host, "chat_read",
    { room = "lobby" }))
  local message = expect(reply.messages[1], "there was to be a message")
  expect(message.text == "Good evening!", "the message was to be ann's")
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
