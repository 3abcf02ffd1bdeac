-- Custom queries from one node to another.
--
-- Tests bindings/policy.

local kad = require("kadenza")
local policies = require("tests.spec.support.policy")
local support = require("tests.spec.support")

local with = policies.with
local rpc = policies.rpc

local function ask(world, args)
  return world.other:call(world.node:addresses()[1], "run", args)
end

describe("rpc.NAME", function()
  it("cannot reply with an id, which the node adds", with(rpc([[
    return { id = "not this" }
  ]]), function(world)
    local reply, message = ask(world)

    assert.is_nil(reply)
    assert.matches("the policy failed", message)
    world.after = function()
      assert.matches("reply.id is the id of this node",
        policies.failures(world.events)[1], 1, true)
    end
  end))

  it("says how large a reply can be", with(rpc([[
    return { text = ("x"):rep(1500) }
  ]]), function(world)
    local reply, message = ask(world)

    assert.is_nil(reply)
    assert.matches("the reply is too large", message)
    world.after = function()
      assert.matches("it has 1513 bytes, and with what the node adds it can "
        .. "have 1452 (max_reply)", policies.failures(world.events)[1], 1, true)
    end
  end))

  it("reads the statistics of its node's policies", with(rpc([[
    local stats = ctx.node:stats().policies
    return { calls = stats.hooks["policy: rpc.run"].calls,
      memory = stats.memory, text = tostring(stats) }
  ]]), function(world)
    local reply = assert(ask(world))

    assert.equal(1, reply.calls)
    assert.is_true(reply.memory > 0)
    assert.matches("policy: rpc.run calls=1", reply.text, 1, true)
  end))

  it("receives the source of the query", with(rpc([[
    local from = ctx.from
    return { who = from.id, address = from.address,
      host = from.host, port = from.port, proven = from.proven and 1 or 0,
      name = request.method }
  ]]), function(world)
    local reply = assert(ask(world))

    assert.equal(world.node:id(), reply.id)
    assert.equal(world.other:id(), reply.who)
    assert.equal(world.other:addresses()[1], reply.address)
    assert.equal(reply.address, reply.host .. ":" .. reply.port)
    assert.equal(1, reply.proven)
    assert.equal("run", reply.name)
  end))

  it("receives whether the source is proven", with(rpc([[
    return { proven = ctx.from.proven and 1 or 0 }
  ]]), function(world)
    local stranger = assert(world.net:open({}))
    assert.equal(0, stranger:call(world.node:addresses()[1], "run").proven)
    kad.sleep(5) -- it has been pinged, and has answered
    assert.equal(1, stranger:call(world.node:addresses()[1], "run").proven)
  end))

  it("receives and returns all types of bencode", with(rpc([[
    local args = request.args
    args.id = nil
    return { back = args }
  ]]), function(world)
    local args = {
      zero = 0,
      least = math.mininteger,
      most = math.maxinteger,
      bytes = "\0\xff\r\n",
      empty = "",
      list = { 1, "two", { 3, { four = 4 } } },
      ["a key"] = { ["\0"] = "nul" },
    }

    assert.same(args, assert(ask(world, args)).back)
  end))

  it("receives an empty table for an empty list", with(rpc([[
    return { back = request.args.list, nothing = {} }
  ]]), function(world)
    local reply = assert(ask(world, { list = {} }))
    assert.same({}, reply.back)
    assert.same({}, reply.nothing)
  end))

  it("rejects with nil, a reason and a code", with(rpc([[
    return nil, "not " .. request.args.what, request.args.code
  ]]), function(world)
    local reply, message, code, info =
      ask(world, { what = "today", code = 250 })

    assert.is_nil(reply)
    assert.equal("the other node answered with an error: 250 not today",
      message)
    assert.equal("KAD_EREMOTE", code)
    assert.equal(250, info.krpc)
    assert.equal("not today", info.reason)
    assert.equal(201, select(4, ask(world, { what = "today" })).krpc)
  end))

  it("replies after a wait, with its arguments intact", with(rpc([[
    local before = ctx.from.address
    kad.sleep(1.5)
    assert(ctx.from.address == before)
    return { text = request.args.text, address = ctx.from.address }
  ]]), function(world)
    local began = world.net:now()
    local reply = assert(ask(world, { text = "kept" }))

    assert.equal("kept", reply.text)
    assert.equal(world.other:addresses()[1], reply.address)
    assert.is_true(world.net:now() - began >= 1.5)
  end))

  it("may call the source back before it replies", with([[
    local function other_number(request, ctx)
      if request.args.depth == 0 then return { depth = 0 } end
      local reply = assert(ctx.node:call(ctx.from, "run",
        { depth = request.args.depth - 1 }))
      return { depth = reply.depth + 1 }
    end
    return { rpc = { run = other_number } }
  ]], function(world)
    local third = assert(world.net:open({ policies = { world.path } }))
    assert.equal(3,
      third:call(world.node:addresses()[1], "run", { depth = 3 }).depth)
  end))

  local too_much = {
    { "return { x = 0.5 }", "reply.x: bencode has no fractions" },
    { "return { x = true }", "reply.x: bencode has no booleans; use 0 and 1" },
    { "return { x = print }", "undefined global 'print'" },
    { "return { x = function() end }",
      "reply.x: bencode cannot carry a function" },
    { "return { x = { 1, y = 2 } }",
      "reply.x: a table has either string keys or is a list" },
    { "return { x = { 1, nil, 3 } }",
      "reply.x: a list has the keys 1 to n, without a gap" },
    { "local t = {} t.t = t return t", "nested too deep, or contains itself" },
    { "local t = {} for _ = 1, 15 do t = { t = t } end return t",
      "nested too deep" },
    { "return 7", "returned number where a reply" },
    { "return true", "returned boolean where a reply" },
    { "return { 1, 2 }", "reply: must have string keys" },
  }
  for _, case in ipairs(too_much) do
    it("fails with 202 and a reason: " .. case[1], with(rpc(case[1]),
      function(world)
        local reply, _, _, info = ask(world)
        assert.is_nil(reply)
        assert.equal(202, info.krpc)
        assert.is_falsy(info.reason:find("reply", 1, true))
        world.after = function()
          local said = policies.failures(world.events)[1]
          assert.is_truthy(said:find(case[2], 1, true), said)
        end
      end))
  end

  it("fails with 202 when the reply is too large", with(rpc([[
    return { x = ("x"):rep(1500) }
  ]]), function(world)
    local _, _, _, info = ask(world)
    assert.equal(202, info.krpc)
    assert.equal("the reply is too large: with what the node adds it can have "
      .. "1452 bytes (max_reply)", info.reason)
  end))

  local unsendable = {
    { { x = 0.5 }, "args.x: bencode has no fractions" },
    { { x = 0 / 0 }, "args.x: bencode has no fractions" },
    { { x = true }, "args.x: bencode has no booleans; use 0 and 1" },
    { { x = print }, "args.x: bencode cannot carry a function" },
    { { x = { 1, y = 2 } }, "args.x: a table has either string keys or is" },
    { { 1, 2 }, "args: must have string keys" },
    { { x = setmetatable({}, { __index = { y = 1 } }), z = { [2] = 1 } },
      "args.z: a list has the keys 1 to n, without a gap" },
  }
  for _, case in ipairs(unsendable) do
    it("is not called with unencodable values: " .. case[2], with(rpc(""),
      function(world)
        local passed, err = pcall(ask, world, case[1])
        assert.is_false(passed)
        assert.is_truthy(err:find(case[2], 1, true), err)
      end))
  end
  it("is not called with deep arguments", with(rpc("return {}"),
    function(world)
      local deep = {}
      for _ = 1, 13 do
        deep = { deep }
      end
      assert(ask(world, { x = deep }))
      support.assert_blames_caller("nested too deep", function()
        world.other:call("192.0.2.1:1", "run", { x = { deep } })
      end)
    end))

  it("is not called with circular arguments", with(rpc(""), function(world)
    local circle = {}
    circle.circle = circle
    assert.error_matches(function()
      ask(world, circle)
    end, "nested too deep, or contains itself")
  end))

  for _, name in ipairs({ "ping", "store", "get", "sample_infohashes" }) do
    it("cannot be named " .. name, function()
      local node, message =
        policies.load("return { rpc = { " .. name .. " = function() end } }")
      assert.is_nil(node)
      assert.matches("policy.lua: rpc%." .. name .. ": ", message)
    end)
  end

  it("may be called at other nodes by reserved names", with(rpc(""),
    function(world)
      local address = world.node:addresses()[1]
      local _, _, _, info = world.other:call(address, "vote", { target = "x" })
      assert.equal(204, info.krpc)
      _, _, _, info = world.other:call(address, "get", { target = "x" })
      assert.equal(203, info.krpc)
    end))
end)
