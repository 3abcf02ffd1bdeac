local kad = require("kadenza")
local pubs = require("tests.spec.support.pubsub")
local pubsub = require("kadenza.pubsub")
local support = require("tests.spec.support")

local NEWS <const>, COOKIE <const> = pubs.NEWS, pubs.COOKIE

-- Closer to the key than other nodes, and not so close that it is implausible.
local CLOSE <const> = NEWS:sub(1, 1) .. string.char(NEWS:byte(2) ~ 2)
  .. NEWS:sub(3)
local by_hand = pubs.subscribe_by_hand

-- Wraps a spec of one holder: calls `fn(world)` with `hub`, `holder`, its
-- `address`, `writer`, another node with the hub, `open()`, which adds a node
-- that rejects pushes unless it gets policies, and `stat(name)`, a counter of
-- the holder.
local function holder(fn, options)
  return support.spec(function()
    local hub = pubsub.new(options)
    local net <close> = kad.sim({ join = false, seed = 1,
      config = { secure_ids = "off" } }) -- the holder's id is chosen
    local world = { hub = hub }
    world.holder =
      assert(net:open({ policies = { hub:policy() }, id = CLOSE }))
    world.writer = assert(net:open({ policies = { hub:policy() } }))
    world.address = world.holder:addresses()[1]
    function world.open(more)
      return assert(net:open(more))
    end
    function world.stat(name)
      return hub:stats(world.holder)[name]
    end
    net:perform(function()
      assert(world.writer:bootstrap(world.holder:addresses()))
      fn(world)
    end)
    local hooks = world.holder:is_open()
      and world.holder:stats().policies.hooks or {}
    for name, hook in pairs(hooks) do
      assert.equal(0, hook.errors, name)
    end
  end)
end

-- Returns a policy that accepts pushes, and the list of their events.
local function taker(seconds)
  local taken = {}
  local function push(request, ctx)
    local args = request.args
    args.at = ctx.now
    kad.sleep(seconds or 0)
    taken[#taken + 1] = args
    return {}
  end
  return {
    types = { event = {} },
    rpc = { event_push = push },
    deadline = 10,
  }, taken
end

local function publish(world, value)
  assert(world.hub:publish(world.writer, NEWS, value))
end

describe("a holder of topics", function()
  it("adds no subscriber that has not repeated its token",
    holder(function(world)
      local node = world.open()
      local args = { topic = NEWS, cookie = COOKIE }

      local first = assert(node:call(world.address, "event_subscribe", args))
      assert.equal(8, #first.token)
      assert.is_nil(first.ttl)
      for _, wrong in ipairs({ "", "12345678", first.token .. "x", 12345678,
        { first.token } })
      do
        args.token = wrong
        local reply = assert(node:call(world.address, "event_subscribe", args))
        assert.is_nil(reply.ttl)
      end
      assert.equal(0, world.stat("subscribers"))
      args.token = first.token
      assert.equal(600,
        assert(node:call(world.address, "event_subscribe", args)).ttl)
      assert.equal(1, world.stat("subscribers"))
    end))

  it("rejects the token of another address or port",
    holder(function(world)
      local node, other = world.open(), world.open()
      local neighbour = world.open({ listen = "20.0.3.1:9999" })
      local args = { topic = NEWS, cookie = COOKIE }
      args.token =
        assert(other:call(world.address, "event_subscribe", args)).token

      for _, thief in ipairs({ node, neighbour }) do
        local reply = assert(thief:call(world.address, "event_subscribe", args))
        assert.is_nil(reply.ttl)
        assert.not_equal(args.token, reply.token)
      end

      assert.equal(0, world.stat("subscribers"))
    end))

  it("rejects a token after ten minutes", holder(function(world)
    local node = world.open()
    local args = { topic = NEWS, cookie = COOKIE }
    args.token =
      assert(node:call(world.address, "event_subscribe", args)).token

    kad.sleep(299)
    assert.equal(600,
      assert(node:call(world.address, "event_subscribe", args)).ttl)
    kad.sleep(301)
    assert.is_nil(assert(node:call(world.address, "event_subscribe", args)).ttl)
  end))

  it("pushes new events once, with the cookie", holder(function(world)
    local policy, taken = taker()
    assert(by_hand(world.open({ policies = { policy } }), world.holder, NEWS))

    publish(world, "a")
    kad.sleep(1)

    assert.equal(1, #taken)
    assert.equal(NEWS, taken[1].topic)
    assert.equal(COOKIE, taken[1].cookie)
    assert.equal(1, #taken[1].events)
    assert.equal("a", taken[1].events[1].v:sub(9))
    assert(world.writer:put(NEWS, taken[1].events[1].v, { type = "event" }))
    kad.sleep(1)
    assert.equal(1, #taken)
  end))

  it("stops at once when a push is rejected", holder(function(world)
    assert(by_hand(world.open(), world.holder, NEWS)) -- answers 204

    publish(world, "a")
    kad.sleep(1)
    publish(world, "b")
    kad.sleep(60)

    assert.equal(1, world.stat("pushes"))
    assert.equal(0, world.stat("subscribers"))
    assert.equal(1, world.stat("forgotten"))
  end))

  it("stops after three pushes without a reply", holder(function(world)
    local policy = taker()
    local node = world.open({ policies = { policy } })
    assert(by_hand(node, world.holder, NEWS))
    node:close()

    for i = 1, 10 do
      publish(world, "event " .. i)
      kad.sleep(10)
    end

    assert.equal(3, world.stat("pushes"))
    assert.equal(0, world.stat("subscribers"))
    assert.equal(0, world.stat("topics"))
  end))

  it("sends queued events together, and drops the oldest",
    holder(function(world)
      local policy, taken = taker(3)
      local puts, values = {}, {}
      assert(by_hand(world.open({ policies = { policy } }), world.holder, NEWS))

      for i = 1, 30 do
        puts[i] = function()
          publish(world, "event " .. i)
        end
      end
      kad.all(puts)
      kad.sleep(20)

      for _, args in ipairs(taken) do
        for _, item in ipairs(args.events) do
          values[#values + 1] = item.v
        end
      end
      assert.equal(30, #values + world.stat("dropped"))
      assert.is_true(world.stat("dropped") >= 30 - 16 - 8)
      assert.equal(world.stat("pushes"), #taken)
      assert.is_true(#taken <= 3)
    end))

  it("pushes at most at its rate", holder(function(world)
    local policy, taken = taker()
    for _ = 1, 60 do
      assert(by_hand(world.open({ policies = { policy } }), world.holder, NEWS))
    end
    kad.sleep(5)

    publish(world, "a")
    publish(world, "b")
    kad.sleep(30)

    assert.equal(60, world.stat("subscribers"))
    assert.is_true(#taken >= 60)
    for i, args in ipairs(taken) do
      local later = taken[i + 21] -- after the unused second, and another one
      assert.is_true(not later or later.at - args.at > 0.8)
    end
  end, { rate = 10 }))

  it("keeps a bounded number of subscribers", holder(function(world)
    for i = 1, 14 do
      local reply, _, _, info =
        by_hand(world.open(), world.holder, kad.key("topic " .. i))
      assert.equal(i <= 10, reply ~= nil)
      assert.is_true(reply ~= nil or info.krpc == 201)
      assert.is_true(reply ~= nil
        or info.reason == "full: too many subscribers")
    end

    assert.equal(10, world.stat("subscribers"))
    assert.equal(4, world.stat("refused"))
  end, { max_subscribers = 10 }))

  it("keeps a bounded number of each topic", holder(function(world)
    for i = 1, 5 do
      local reply, _, _, info = by_hand(world.open(), world.holder, NEWS)
      assert.equal(i <= 3, reply ~= nil)
      assert.is_true(reply ~= nil
        or info.reason == "full: too many subscribers of this topic")
    end
    assert(by_hand(world.open(), world.holder, kad.key("other")))
  end, { max_topic = 3 }))

  it("keeps a bounded number of each subnet, and accepts others",
    holder(function(world)
      local greedy = world.open({ listen = "30.0.0.1:1" })
      local beside = world.open({ listen = "30.0.0.2:1" })
      for i = 1, 3 do
        assert(by_hand(greedy, world.holder, kad.key("topic " .. i)))
      end

      for _, node in ipairs({ greedy, beside }) do
        local reply, _, _, info = by_hand(node, world.holder, kad.key("more"))
        assert.is_nil(reply)
        assert.equal("full: too many subscribers of your network", info.reason)
      end
      assert(by_hand(greedy, world.holder, kad.key("topic 1"))) -- a renewal
      assert(by_hand(world.open(), world.holder, kad.key("more")))
      local args = { topic = kad.key("topic 1"), cookie = COOKIE }
      assert(greedy:call(world.address, "event_cancel", args))
      assert(by_hand(beside, world.holder, kad.key("more")))
    end, { max_subnet = 3 }))

  it("lets no node cancel for another", holder(function(world)
    local node, other = world.open(), world.open()
    assert(by_hand(node, world.holder, NEWS))

    local args = { topic = NEWS, cookie = COOKIE }
    assert(other:call(world.address, "event_cancel", args))
    args.cookie = "87654321"
    assert(node:call(world.address, "event_cancel", args))
    assert.equal(1, world.stat("subscribers"))
    args.cookie = COOKIE
    assert(node:call(world.address, "event_cancel", args))
    assert.equal(0, world.stat("subscribers"))
  end))

  it("removes a subscriber that does not renew", holder(function(world)
    local policy, taken = taker()
    local node = world.open({ policies = { policy } })
    assert(by_hand(node, world.holder, NEWS))
    kad.sleep(20)
    assert(by_hand(node, world.holder, NEWS))
    kad.sleep(28)
    publish(world, "a")
    kad.sleep(1)
    assert.equal(1, #taken)

    kad.sleep(2)
    publish(world, "late")
    kad.sleep(1)
    assert.equal(1, #taken)
    kad.sleep(40)

    assert.equal(0, world.stat("subscribers"))
    assert.equal(0, world.stat("topics"))
  end, { ttl = 30 }))

  it("rejects malformed queries", holder(function(world)
    local node = world.open()
    local key32 = kad.key("news", 256)
    for _, args in ipairs({
      {}, { topic = NEWS }, { cookie = COOKIE }, { topic = 1, cookie = COOKIE },
      { topic = key32, cookie = COOKIE }, { topic = NEWS, cookie = "short" },
      { topic = NEWS, cookie = { COOKIE } }, { topic = { NEWS }, cookie = 1 },
    }) do
      for _, name in ipairs({ "event_subscribe", "event_cancel" }) do
        local reply, _, code, info = node:call(world.address, name, args)
        assert.is_nil(reply)
        assert.equal("KAD_EREMOTE", code)
        assert.equal(203, info.krpc)
      end
    end
  end))

  it("survives random queries", holder(function(world)
    local node = world.open()
    local token = assert(node:call(world.address, "event_subscribe",
      { topic = NEWS, cookie = COOKIE })).token
    local values = { NEWS, COOKIE, token, "", 0, -1, math.mininteger, {},
      { {} }, { NEWS }, { v = "x" }, { { v = "12345678x" } },
      { { v = {}, k = 1, sig = {} } }, ("x"):rep(500) }
    local names = { "topic", "cookie", "token", "events", "ttl" }
    math.randomseed(11)

    for i = 1, 600 do
      local args = {}
      for _, name in ipairs(names) do
        args[name] = values[math.random(#values + 4)]
      end
      local query = ({ "subscribe", "cancel", "push" })[i % 3 + 1]
      node:call(world.address, "event_" .. query, args)
      kad.sleep(0.05)
    end

    assert.is_true(world.stat("subscribers") <= 1)
    assert.equal(0, world.stat("delivered"))
  end))

  it("ends its pushes when its node closes", holder(function(world)
    local policy, taken = taker()
    for _ = 1, 50 do
      assert(by_hand(world.open({ policies = { policy } }), world.holder, NEWS))
    end
    kad.sleep(5)

    publish(world, "a")
    publish(world, "b")
    kad.sleep(1)
    local before = #taken
    world.holder:close()
    kad.sleep(60)

    assert.is_true(before > 5 and before < 50)
    assert.is_true(#taken <= before + 5)
  end, { rate = 10 }))
end)
