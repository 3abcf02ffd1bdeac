local event = require("kadenza.pubsub.event")
local kad = require("kadenza")
local lives = require("kadenza.pubsub.lives")
local pubs = require("tests.spec.support.pubsub")
local support = require("tests.spec.support")

local NEWS <const> = pubs.NEWS

-- Returns two lists, and a subscription that fills them with `{ value, time }`:
-- events, and events that are gone.
local function follow(hub, node, options)
  local heard, gone = {}, {}
  options = options or {}
  options.gone = function(value, record)
    gone[#gone + 1] = { value = value, at = kad.now(), record = record }
  end
  local subscription = hub:subscribe(node, NEWS, function(value, record)
    heard[#heard + 1] = { value = value, at = kad.now(), record = record }
  end, options)
  return heard, gone, subscription
end

describe("a subscriber that follows lives", function()
  it("gets the ttl of an event, and is told when it is gone, once",
    pubs.overlay(function(hub, nodes)
      local heard, gone = follow(hub, nodes[3])
      assert(hub:publish(nodes[9], NEWS, "short", { ttl = 60 }))
      local start = kad.now()
      kad.sleep(30)

      assert.equal(1, #heard)
      assert.is_true(heard[1].record.ttl > 55 and heard[1].record.ttl <= 60)
      assert.equal(0, #gone)
      kad.sleep(600)
      assert.equal(1, #gone)
      assert.equal("short", gone[1].value)
      assert.is_true(gone[1].at - start >= 60)
      assert.is_true(gone[1].at - start <= 75)
      assert.equal(1, hub:stats(nodes[3]).gone)
    end))

  it("is told of the events that were there before it came",
    pubs.overlay(function(hub, nodes)
      assert(hub:publish(nodes[9], NEWS, "before", { ttl = 60 }))
      local _, gone = follow(hub, nodes[3])
      local heard, replayed = follow(hub, nodes[4], { replay = true })
      kad.sleep(100)

      assert.equal("before", heard[1].value)
      assert.equal(1, #gone)
      assert.equal(1, #replayed)
    end))

  it("hears the same value again after it was gone",
    pubs.overlay(function(hub, nodes)
      local heard, gone = follow(hub, nodes[3])
      for i = 1, 2 do
        assert(hub:publish(nodes[9], NEWS, "x", { ttl = 40 }))
        kad.sleep(100)
        assert.equal(i, #heard)
        assert.equal(i, #gone)
      end
    end, { hub = { name = "state", type = { max_size = 100, ttl = 40,
      republish = false } } }))

  it("is not told that an event is gone while a node holds it",
    pubs.overlay(function(hub, nodes)
      local _, gone = follow(hub, nodes[3])
      for _ = 1, 5 do
        assert(nodes[9]:put(NEWS, "x", { type = "state", ttl = 60 }))
        kad.sleep(50)
      end

      assert.equal(0, #gone)
      kad.sleep(100)
      assert.equal(1, #gone)
    end, { hub = { name = "state", type = { max_size = 100, ttl = 60,
      republish = false } } }))

  it("is not told that an event is gone when another takes its place",
    pubs.overlay(function(hub, nodes)
      local pair = kad.keypair(("k"):rep(32))
      local heard, gone = follow(hub, nodes[3])
      for seq = 1, 4 do
        assert(nodes[9]:put(NEWS, "v" .. seq, { type = "state", seq = seq,
          secret = pair.secret, ttl = 60 }))
        kad.sleep(20)
      end

      assert.equal(4, #heard)
      assert.equal(0, #gone)
      kad.sleep(200)
      assert.equal(1, #gone)
      assert.equal("v4", gone[1].value)
    end, { hub = { name = "state", type = { max_size = 100, ttl = 60,
      signed_only = true, republish = false } } }))

  it("is told although its holders have left",
    pubs.overlay(function(hub, nodes)
      local heard, gone = follow(hub, nodes[3])
      assert(hub:publish(nodes[9], NEWS, "x", { ttl = 60 }))
      kad.sleep(5)
      for _, node in ipairs(pubs.by_distance(nodes, NEWS)) do
        if node ~= nodes[3] and node:is_open() and #heard == 1 then
          node:close()
          break
        end
      end
      kad.sleep(120)

      assert.equal(1, #gone)
    end))

  it("is told nothing after its end", pubs.overlay(function(hub, nodes)
    local _, gone, subscription = follow(hub, nodes[3])
    assert(hub:publish(nodes[9], NEWS, "x", { ttl = 40 }))
    kad.sleep(10)
    subscription:cancel()
    kad.sleep(100)

    assert.equal(0, #gone)
  end))

  it("works in policy files", support.spec(function()
    local policies = require("tests.spec.support.policy")
    local files <close> = policies.files()
    local path = files:write([[
      local kad = require("kadenza")
      local hub = require("kadenza.pubsub").new()
      local news, gone = kad.key("news"), {}
      return hub:policy({
        on_start = function(node)
          hub:subscribe(node, news, function() end, {
            gone = function(value)
              gone[#gone + 1] = value
            end,
          })
        end,
        rpc = {
          say = function(request, ctx)
            local info, reason = hub:publish(ctx.node, news,
              request.args.text, { ttl = 60 })
            return info and { stored = info.stored }, reason
          end,
          gone = function()
            return { list = gone }
          end,
        },
      })
    ]])
    local events = support.logged(function()
      local net <close> = kad.sim({ nodes = 6, seed = 1, policies = { path } })
      net:perform(function()
        local nodes = net.nodes
        local to = nodes[2]:addresses()[1]
        kad.sleep(30)
        assert(nodes[5]:call(to, "say", { text = "one" }))
        kad.sleep(100)
        assert.same({ "one" }, assert(nodes[5]:call(to, "gone")).list)
      end)
    end)
    assert.same({}, policies.failures(events))
  end))
end)

describe("the lives of events", function()
  -- Calls `fn(set, world)` as a task in virtual time.
  local function with_lives(fn, rules)
    return support.spec(function()
      local net <close> = kad.sim({ nodes = 1, seed = 1 })
      net:perform(function()
        local world = { contacts = { {} }, found = {}, gone = {}, lookups = 0 }
        local set = lives.new(rules or {}, function()
          world.lookups = world.lookups + 1
          return world.contacts, world.found
        end, function(record)
          world.gone[#world.gone + 1] = record.value
        end)
        function world.add(value, ttl)
          local record = { value = value, ttl = ttl }
          set:add(record, event.identify(record))
          return event.identify(record)
        end
        fn(set, world)
        set:close()
      end)
    end)
  end

  it("do not end on the word of a holder", with_lives(function(set, world)
    local id = world.add("x", 1000)
    world.found = { { value = "x", ttl = 900 } }
    set:suspect({ id, "another", 1, {} })
    kad.sleep(10)

    assert.same({}, world.gone)
    assert.equal(1, world.lookups)
    world.found = {}
    set:suspect({ id })
    kad.sleep(10)
    assert.same({ "x" }, world.gone)
  end))

  it("do not end while no node answers", with_lives(function(_, world)
    world.add("x", 10)
    world.contacts = {}
    kad.sleep(100)
    assert.same({}, world.gone)

    world.contacts = { {} }
    kad.sleep(60)
    assert.same({ "x" }, world.gone)
  end))

  it("of unknown length end on the word of a holder",
    with_lives(function(set, world)
      local id = world.add("x", nil)
      kad.sleep(1000)
      assert.same({}, world.gone)
      assert.equal(0, world.lookups)

      set:suspect({ id })
      kad.sleep(10)
      assert.same({ "x" }, world.gone)
    end))

  it("are checked when the first is due, with one look-up for many",
    with_lives(function(_, world)
      world.add("late", 1000)
      for i = 1, 100 do
        world.add("early" .. i, 10)
      end
      kad.sleep(20)

      assert.equal(100, #world.gone)
      assert.equal(1, world.lookups)
      kad.sleep(2000)
      assert.equal(101, #world.gone)
    end))

  it("are bounded", with_lives(function(_, world)
    for i = 1, 1000 do
      world.add("x" .. i, 10)
    end
    kad.sleep(20)

    assert.equal(512, #world.gone)
  end))
end)
