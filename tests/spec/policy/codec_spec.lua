-- Policies that replace the encoding of their node.
--
-- Tests bindings/policy/codec.c, bindings/policy/message.c.

local kad = require("kadenza")
local policies = require("tests.spec.support.policy")
local shape = require("kadenza.policy.shape")
local support = require("tests.spec.support")

local spec = support.spec

-- A node with the policy, and one that does not understand its messages.
local function with(text, fn)
  return policies.with(text, fn, nil, true)
end

-- A codec in bencode with names of its own. A message becomes one dictionary,
-- so every field is encoded and decoded.
local PLAIN <const> = [[
  local kad = require("kadenza")
  local function flags(message, from, to)
    for _, name in ipairs({ "want4", "want6", "implied_port", "read_only",
      "seed", "scrape", "noseed", "item" }) do
      if message[name] == from then message[name] = to end
    end
  end
  local codec = {
    encode = function(message)
      flags(message, true, 1)
      return "M" .. kad.bencode.encode(message)
    end,
    decode = function(bytes)
      if bytes:sub(1, 1) ~= "M" then return nil end
      local message = kad.bencode.decode(bytes:sub(2))
      if message then flags(message, 1, true) end
      return message
    end,
  }
]]

-- Runs `fn(net)` as a task of an overlay whose nodes use the codec PLAIN.
local function overlay(fn, more, nodes)
  return spec(function()
    local files <close> = policies.files()
    local path = files:write(PLAIN .. "return { codec = codec, " .. (more or "")
      .. " }")
    local net <close> =
      kad.sim({ nodes = nodes or 12, seed = 6, policies = { path } })
    net:perform(function()
      fn(net, files, path)
    end)
  end)
end

-- The fields of messages that a node sends, by kind and method.
local function watched(fields)
  return function(message)
    local kind = message.method or message.kind
    fields[kind] = fields[kind] or {}
    for name in pairs(message) do
      fields[kind][name] = true
    end
  end
end

describe("a codec", function()
  it("carries every operation", overlay(function(net)
    local a, b = net.nodes[3], net.nodes[9]
    local key = kad.key("k")
    local secret = kad.keypair().secret

    local info = assert(a:put(key, "\0\xff", { seq = 5, salt = "s",
      secret = secret, ttl = 600 }))
    assert.is_true(info.stored >= 8)
    local value, found = b:get(key)
    assert.equal("\0\xff", value)
    assert.equal(5, found.seq)
    assert.equal("s", found.salt)
    assert.equal(64, #found.signature)
    assert.is_true(found.ttl <= 600)

    assert(a:announce(key, 7000))
    local peers = assert(b:get_peers(key))
    assert.same({ (a:addresses()[1]:gsub(":%d+$", ":7000")) }, peers)

    local contact = assert(a:ping(b:addresses()[1]))
    assert.equal(b:id(), contact.id)

    for _, node in ipairs(net.nodes) do
      assert.equal(0, node:stats().dropped_malformed)
      assert.equal(0, node:stats().unsent)
    end
  end))

  it("carries custom queries, also along a path", overlay(function(net)
    local a, b = net.nodes[3], net.nodes[9]
    local reply = assert(a:call(b:addresses()[1], "sing", { a = { 1, "\0" } }))
    assert.same({ 1, "\0" }, reply.back)
    assert.equal(b:id(), reply.id)
    assert.equal(a:id(), reply.asker)

    local replies, info = assert(a:query(kad.key("s"), "sing", {}))
    assert.equal(kad.key("s"), replies[1].reply.target)
    assert.equal(#info.path, #replies)
    assert.equal(#info.path, info.messages)

    local _, _, _, refused = a:call(b:addresses()[1], "sing", { bad = 1 })
    assert.equal(250, refused.krpc)
    assert.equal("out of tune", refused.reason)
  end, [[
    rpc = { sing = function(request)
      local args = request.args
      if args.bad then return nil, "out of tune", 250 end
      kad.sleep(0.01)
      return { back = args.a, target = args.target, asker = args.id }
    end }
  ]]))

  it("receives these fields and no others", spec(function()
    local fields = {}
    local watch = watched(fields)
    local files <close> = policies.files()
    local path = files:write(PLAIN .. "return function() return codec end")
    local codec = dofile(path)()
    local policy = {
      codec = {
        encode = function(message)
          watch(message)
          return codec.encode(message)
        end,
        decode = codec.decode,
      },
      rpc = { sing = function() return { la = 1 } end },
    }
    local net <close> =
      kad.sim({ nodes = 6, seed = 1, policies = { policy } })
    net:perform(function()
      local a = net.nodes[2]
      a:put(kad.key("k"), "v")
      a:get(kad.key("k"))
      a:announce(kad.key("k"))
      net.nodes[4]:get_peers(kad.key("k"))
      a:query(kad.key("k"), "sing")
      a:call(net.nodes[3]:addresses()[1], "dance")
      a:put(kad.key("k"), ("v"):rep(900), { ttl = 60 })
    end)
    local function names(kind)
      local list = {}
      for name in pairs(fields[kind]) do
        list[#list + 1] = name
      end
      table.sort(list)
      return table.concat(list, " ")
    end
    local all = "id kind method transaction version"
    assert.equal(all, names("ping"))
    assert.equal("id kind method target transaction version",
      names("find_node"))
    assert.equal("id implied_port kind method port target token transaction "
      .. "version", names("announce_peer"))
    assert.equal("id kind method skip target transaction type version",
      names("find_value"))
    assert.equal("id kind method read_only records target token transaction "
      .. "type version why", names("store"))
    assert.equal("id kind method target transaction version",
      names("sing"))
    assert.equal("code kind observed text transaction version", names("error"))
    assert.equal("id kind next nodes nodes6 observed peers records reply "
      .. "stored token total transaction version", names("reply"))
  end))

  it("is used as long as its policy is loaded", with(PLAIN
    .. "return { codec = codec }", function(world)
    local address = world.node:addresses()[1]
    assert.is_nil((world.other:ping(address)))
    assert.is_true(world.node:stats().dropped_malformed > 0)

    world.files:write("return {}")
    assert(world.node:reload())
    assert(world.other:ping(address))

    world.files:write(PLAIN .. "return { codec = codec }")
    assert(world.node:reload())
    assert.is_nil((world.other:ping(address)))
  end))

  local function failing(encode, decode)
    return PLAIN .. "local sound = codec.encode\nlocal function work(bytes)\n"
      .. (decode or "return nil") .. "\nend\nreturn { codec = { decode = work,"
      .. " encode = function(message) " .. (encode or "return nil")
      .. " end } }"
  end

  for _, case in ipairs({
    { "error('broken')", "broken" },
    { "return nil, 'not today'", "not today" },
    { "return 7", "returned number where a string" },
    { "kad.sleep(1)", "task" },
    { "while true do end", "ran too long" },
    { "while true do pcall(function() while true do end end) end",
      "ran too long" },
  }) do
    it("fails the send if encode fails: " .. case[1],
      with(failing(case[1]), function(world)
        local address = world.other:addresses()[1]
        local reply, message, code = world.node:ping(address)
        assert.is_nil(reply)
        assert.equal("the codec failed", message)
        assert.equal("KAD_ECODEC", code)
        local found, _, kind = world.node:find_node(kad.key("x"))
        assert.is_nil(found)
        assert.equal("KAD_ENOCONTACTS", kind) -- it has never met anyone
        assert.is_true(world.node:stats().unsent > 0)
        local hook = world.hooks()["policy: codec.encode"]
        assert.is_true(hook.errors > 0)
        assert.equal(hook.calls, hook.errors)
        world.after = function()
          local said = policies.failures(world.events)[1]
          assert.is_truthy(said:find(case[2], 1, true), said)
        end
      end))
  end

  it("does not send messages that are too large", with(failing([[
    return ("x"):rep(message.transaction and 1453)
  ]]), function(world)
    local _, _, code = world.node:ping(world.other:addresses()[1])
    assert.equal("KAD_ETOOBIG", code)
    assert.equal(0, world.hooks()["policy: codec.encode"].errors)
  end))

  for _, case in ipairs({
    { "error('broken')", "broken" },
    { "return 7", "returned number where a message" },
    { "return {}", "field 'kind' must be query, reply or error" },
    { "return { kind = 'query' }", "field 'transaction' is missing" },
    { "return { kind = 'query', transaction = ('x'):rep(33) }",
      "field 'transaction' must have 1 to 32 bytes, not 33" },
    { "return { kind = 'query', transaction = 'x' }", "field 'id' is missing" },
    { "return { kind = 'query', transaction = 'x', id = 'short' }",
      "field 'id' must have 20 bytes, not 5" },
    { "return { kind = 'query', transaction = 'x', id = ('i'):rep(20) }",
      "field 'method' is missing" },
    { "return { kind = 'query', transaction = 'x', id = ('i'):rep(20), "
      .. "method = 'sing', args = { x = 0.5 } }", "args.x: bencode has no" },
    { "return { kind = 'reply', transaction = 'x', id = ('i'):rep(20), "
      .. "nodes = { { id = ('i'):rep(20), address = '::' } } }",
      "field 'nodes' has no address" },
    { "return { kind = 'reply', transaction = 'x', id = ('i'):rep(20), "
      .. "nodes = { { id = ('i'):rep(20), address = '[2001:db8::1]:1' } } }",
      "field 'nodes' has an address of another family" },
    { "return { kind = 'reply', transaction = 'x', id = ('i'):rep(20), "
      .. "peers = 1 }", "field 'peers' must be a list, not number" },
    { "local t = {} for i = 1, 161 do t[i] = '1.1.1.1:1' end "
      .. "return { kind = 'reply', transaction = 'x', id = ('i'):rep(20), "
      .. "peers = t }", "field 'peers' has more than 160 items" },
    { "return { kind = 'reply', transaction = 'x', id = ('i'):rep(20), "
      .. "records = { {} } }", "field 'value' is missing" },
    { "return { kind = 'error', transaction = 'x' }",
      "field 'code' is missing" },
    { "kad.sleep(1)", "task" },
    { "while true do end", "ran too long" },
  }) do
    it("drops the datagram if decode fails: " .. case[1],
      with(failing(nil, case[1]), function(world)
        for _ = 1, 12 do
          world.other:ping(world.node:addresses()[1], function() end)
        end
        kad.sleep(8)
        local hook = world.hooks()["policy: codec.decode"]
        assert.is_true(hook.errors >= 12)
        assert.equal(hook.calls, hook.errors)
        assert.equal(hook.errors, world.node:stats().dropped_malformed)
        assert.is_false(hook.breaker_open) -- no breaker: it would be deaf
        world.after = function()
          local said = policies.failures(world.events)
          assert.is_truthy(said[1]:find(case[2], 1, true), said[1])
          assert.is_true(#said < 6)
        end
      end))
  end

  it("drops datagrams that decode rejects, without a log event", with(failing(),
    function(world)
      world.other:ping(world.node:addresses()[1])
      local hook = world.hooks()["policy: codec.decode"]
      assert.is_true(hook.calls > 0)
      assert.equal(0, hook.errors)
      assert.equal(hook.calls, world.node:stats().dropped_malformed)
      world.after = function()
        assert.same({}, policies.failures(world.events))
      end
    end))

  it("drops messages without the fields of their method", with(failing(nil, [[
    return { kind = "query", transaction = "x", id = ("i"):rep(20),
      method = "find_node" }
  ]]), function(world)
    world.other:ping(world.node:addresses()[1])
    assert.is_true(world.node:stats().dropped_malformed > 0)
    assert.equal(0, world.node:stats().served_find_node)
  end))

  it("drops messages that do not fit into memory", with(failing(nil, [[
    return { kind = "query", transaction = "x", id = ("i"):rep(20),
      method = "sing", args = { x = ("x"):rep(5000) } }
  ]]), function(world)
    world.other:ping(world.node:addresses()[1])
    assert.is_true(world.node:stats().dropped_malformed > 0)
  end))

  it("can be claimed by one policy only", spec(function()
    local files <close> = policies.files()
    local text = PLAIN .. "return { codec = codec }"
    local one, two = files:write(text, "one.lua"), files:write(text, "two.lua")
    local net <close> = kad.sim({ join = false })
    local node, message = net:open({ policies = { one, two } })
    assert.is_nil(node)
    assert.is_truthy(message:find(two .. ": the codec is claimed by " .. one
      .. " already", 1, true), message)
  end))

  it("needs both functions", function()
    local function nothing() end
    assert.is_true(shape.check({
      codec = { encode = nothing, decode = nothing },
    }))
    for _, case in ipairs({
      { { codec = 1 }, "codec must be a table, not a number" },
      { { codec = { encode = nothing } },
        "codec.decode must be a function, not a nil" },
      { { codec = { encode = nothing, decode = 1 } },
        "codec.decode must be a function, not a number" },
      { { codec = { encode = nothing, decoed = nothing } },
        "unknown key 'decoed' in codec (did you mean 'decode'?)" },
    }) do
      local fine, problem = shape.check(case[1])
      assert.is_nil(fine)
      assert.equal(case[2], problem)
    end
  end)

  it("may be a table in the program's own state", spec(function()
    local spoken = 0
    local files <close> = policies.files()
    local codec = dofile(files:write(PLAIN .. "return codec"))
    local net <close> = kad.sim({ nodes = 4, seed = 2, policies = { {
      codec = {
        encode = function(message)
          spoken = spoken + 1
          return codec.encode(message)
        end,
        decode = codec.decode,
      },
    } } })
    net:perform(function()
      assert(net.nodes[1]:put(kad.key("a"), "b"))
      assert.equal("b", net.nodes[4]:get(kad.key("a")))
    end)
    assert.is_true(spoken > 20)
  end))

  it("is counted and timed like hooks", overlay(function(net)
    net.nodes[2]:put(kad.key("a"), "b")
    local hooks = net.nodes[2]:stats().policies.hooks
    for _, name in ipairs({ "encode", "decode" }) do
      local hook = hooks["policy: codec." .. name]
      assert.is_true(hook.calls > 10)
      assert.equal(0, hook.errors)
      assert.is_true(hook.instructions > 10 * hook.calls)
      assert.is_true(hook.seconds > 0)
      assert.is_true(hook.slowest > 0)
    end
  end))

  it("replies after a reload to queries from before it", overlay(
    function(net)
      local a, b = net.nodes[3], net.nodes[9]
      local asked = kad.spawn(function()
        return a:call(b:addresses()[1], "sing", { a = "kept" })
      end)
      kad.sleep(0.5)
      assert(b:reload())
      assert.equal("kept", assert(asked:await()).back)
    end, [[ rpc = { sing = function(request)
      local back = request.args.a
      kad.sleep(1)
      return { back = back }
    end } ]]))

  it("survives reloads under traffic", overlay(function(net)
    local a, b = net.nodes[3], net.nodes[9]
    local lost, sung = 0, 0
    for _ = 1, 100 do
      for _ = 1, 3 do
        a:call(b:addresses()[1], "sing", { a = 1 }, function(reply)
          lost, sung = lost + (reply and 0 or 1), sung + (reply and 1 or 0)
        end)
      end
      kad.sleep(0.05)
      assert(b:reload())
    end
    kad.sleep(10)
    assert.equal(0, lost)
    assert.equal(300, sung)
    assert.equal(0, b:stats().dropped_malformed)
  end, [[ rpc = { sing = function(request)
    kad.sleep(0.07)
    return { back = request.args.a }
  end } ]], 10))

  it("gives the same datagrams for the same seed", spec(function()
    local function run()
      local files <close> = policies.files()
      local path = files:write(PLAIN .. "return { codec = codec }")
      local net <close> =
        kad.sim({ nodes = 8, seed = 3, policies = { path } })
      net:perform(function()
        net.nodes[2]:put(kad.key("a"), "b")
      end)
      return net:trace_hash()
    end
    assert.equal(run(), run())
  end))

  describe("in JSON, of the examples", function()
    local json = dofile("scripts/examples/json/codec.lua").codec

    it("encodes and decodes every field", function()
      local message = {
        kind = "query",
        transaction = "\0\xff\"\\",
        text = "hex:00 is no byte",
        other = "int:7",
        printable = "a plain text, with \"quotes\"",
        most = math.maxinteger,
        least = math.mininteger,
        large = 10 ^ 14 // 1 | 0,
        small = -7,
        list = { 1, "two", { three = 3 } },
        ["\1"] = { ["hex:"] = "" },
        flag = true,
      }
      assert.same(message, json.decode(json.encode(message)))
    end)

    it("rejects malformed datagrams", function()
      for _, bytes in ipairs({ "", "{", "7", "null", "\0", "d1:ae",
        ("["):rep(1000), '{"kind":', "[1,2" }) do
        assert.is_nil(json.decode(bytes))
      end
      assert.same({}, json.decode("{}"))
    end)
  end)
end)
