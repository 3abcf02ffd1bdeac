local event = require("kadenza.pubsub.event")
local kad = require("kadenza")
local pubs = require("tests.spec.support.pubsub")
local pubsub = require("kadenza.pubsub")
local support = require("tests.spec.support")

local NEWS <const> = pubs.NEWS
local listener = pubs.listener

-- Wraps a spec of a subscriber whose only holder is hostile: calls `fn(world)`
-- with `hub`, `subscriber`, `liar`, `list`, the events that were delivered,
-- `asked`, the arguments of its subscriptions, and `push(events, cookie)`.
local function liar(fn, reply, options)
  return support.spec(function()
    local hub = pubsub.new(options)
    local net <close> = kad.sim({ join = false, seed = 1 })
    local world = { hub = hub, asked = {} }
    local name = options and options.name or "event"
    local lies = { types = { [name] = {} }, rpc = {} }
    lies.rpc[name .. "_subscribe"] = function(request)
      table.insert(world.asked, request.args)
      return reply or { token = "token", ttl = 600 }
    end
    lies.rpc[name .. "_cancel"] = function()
      world.cancelled = true
      return {}
    end
    world.liar = assert(net:open({ policies = { lies } }))
    world.subscriber = assert(net:open({ policies = { hub:policy() } }))
    function world.push(events, cookie)
      return world.liar:call(world.subscriber:addresses()[1], name .. "_push",
        { topic = NEWS, events = events,
          cookie = cookie or world.asked[1].cookie })
    end
    function world.stat(which)
      return hub:stats(world.subscriber)[which]
    end
    net:perform(function()
      assert(world.subscriber:bootstrap(world.liar:addresses()))
      local note
      world.list, note = listener()
      world.subscription = hub:subscribe(world.subscriber, NEWS, note)
      fn(world)
    end)
    for which, hook in pairs(world.subscriber:stats().policies.hooks) do
      assert.equal(0, hook.errors, which)
    end
  end)
end

local function item(text, more)
  local made = { v = "12345678" .. text }
  for name, value in pairs(more or {}) do
    made[name] = value
  end
  return made
end

-- Returns an item of a signed event.
local function signed(text, seed)
  local pair = kad.keypair(seed:rep(32))
  local record = { key = NEWS, type = "event", value = "12345678" .. text }
  return { v = record.value, k = pair.publisher,
    sig = kad.sign(record, pair.secret) }
end

describe("a subscriber", function()
  it("accepts pushes with its cookie, each event once",
    liar(function(world)
      assert(world.push({ item("a"), item("b"), item("a") }))
      assert(world.push({ item("b") }))
      kad.sleep(1)

      assert.same({ "a", "b" }, world.list)
      assert.equal(2, world.stat("delivered"))
      assert.equal(2, world.stat("duplicates"))
    end))

  it("rejects pushes without it, or after its end",
    liar(function(world)
      local function refused(...)
        local reply, _, _, info = world.push(...)
        return reply == nil and info.krpc == 201
      end

      assert.is_true(refused({ item("a") }, "87654321"))
      assert.is_true(refused({ item("a") }, ""))
      assert.is_true(refused({ item("a") }, 1))
      assert.is_true(refused("a"))
      world.subscription:cancel()
      assert.is_true(refused({ item("a") }))
      kad.sleep(1)

      assert.same({}, world.list)
      assert.is_true(world.cancelled)
    end))

  it("leaves out malformed events", liar(function(world)
    assert(world.push({
      "a", 1, {}, { v = 1 }, { v = "short" }, item("a", { seq = "1" }),
      item("a", { salt = "" }), item("a", { salt = ("s"):rep(65) }),
      item("a", { k = ("k"):rep(32) }), item("a", { sig = ("s"):rep(64) }),
      item("a", { k = "k", sig = "s" }), { { item("a") } },
    }))
    kad.sleep(1)

    assert.same({}, world.list)
    assert.equal(12, world.stat("invalid"))
    assert(world.push({ v = item("a") })) -- not a list
    assert(world.push({ item("good") }))
    kad.sleep(1)
    assert.same({ "good" }, world.list)
  end))

  it("accepts at most 32 events of a push", liar(function(world)
    local events = {}
    for i = 1, 50 do
      events[i] = { v = ("%08d"):format(i) }
    end

    assert(world.push(events))

    assert.equal(32, world.stat("delivered"))
  end))

  it("verifies signatures", liar(function(world)
    local good, bad, moved = signed("good", "a"), signed("bad", "a"),
      signed("moved", "a")
    bad.k = kad.keypair(("b"):rep(32)).publisher
    moved.v = "12345678other"

    assert(world.push({ bad, moved, good }))
    kad.sleep(1)

    assert.same({ "good" }, world.list)
    assert.equal(2, world.stat("invalid"))
    bad.k = kad.keypair(("a"):rep(32)).publisher
    assert(world.push({ bad })) -- the forgery does not block the valid event
    kad.sleep(1)
    assert.same({ "good", "bad" }, world.list)
  end))

  it("checks events by the rules of its type", liar(function(world)
    assert(world.push({ { v = "no number" }, { v = "42" }, signed("1", "a"),
      { v = ("1"):rep(11) } }))
    kad.sleep(1)

    assert.same({ "42" }, world.list)
    assert.equal(3, world.stat("invalid"))
  end, nil, {
    name = "digits",
    type = {
      max_size = 10,
      validate = function(record, ctx)
        assert(ctx.reason == "get" and ctx.from.address and ctx.node)
        kad.sleep(0.1)
        return record.value:find("^%d+$") and true or nil
      end,
    },
  }))

  it("leaves out unsigned events of a signed type",
    liar(function(world)
      local pair = kad.keypair(("a"):rep(32))
      local record = { key = NEWS, type = "decree", value = "signed" }

      assert(world.push({ { v = "unsigned" }, { v = "signed",
        k = pair.publisher, sig = kad.sign(record, pair.secret) } }))
      kad.sleep(1)

      assert.same({ "signed" }, world.list)
    end, nil, { name = "decree", type = { signed_only = true } }))

  it("has a different cookie for every holder", support.spec(function()
    local hub, cookies = pubsub.new(), {}
    local net <close> = kad.sim({ join = false, seed = 1 })
    local subscriber = assert(net:open({ policies = { hub:policy() } }))
    local list, note = listener()
    local nodes = {}
    for i = 1, 3 do
      nodes[i] = assert(net:open({ policies = { {
        types = { event = {} },
        rpc = {
          event_subscribe = function(request)
            cookies[i] = request.args.cookie
            return { token = "token", ttl = 600 }
          end,
        },
      } } }))
    end
    net:perform(function()
      for i = 1, 3 do
        assert(subscriber:bootstrap(nodes[i]:addresses()))
      end
      kad.sleep(5)
      assert.equal(3, hub:subscribe(subscriber, NEWS, note):holders())

      for i = 1, 3 do
        assert(nodes[i]:call(subscriber:addresses()[1], "event_push",
          { topic = NEWS, cookie = cookies[i], events = { item("" .. i) } }))
      end
      kad.sleep(1)
    end)

    assert.same({ "1", "2", "3" }, list)
    assert.is_true(cookies[1] ~= cookies[2] and cookies[2] ~= cookies[3])
  end))

  it("sends the token that it got", liar(function(world)
    assert.is_nil(world.asked[1].token)
    assert.equal(8, #world.asked[1].cookie)

    kad.sleep(250)

    assert.equal(2, #world.asked)
    assert.equal("token", world.asked[2].token)
    assert.equal(world.asked[1].cookie, world.asked[2].cookie)
  end))

  it("renews in time for a holder with a short ttl", liar(function(world)
    kad.sleep(100)

    assert.is_true(#world.asked >= 9 and #world.asked <= 12)
  end, { token = "token", ttl = 30 }))

  for name, reply in pairs({
    ["grants no time"] = { token = "token", ttl = -5 },
    ["grants without end"] = { token = "token", ttl = math.maxinteger },
    ["has tokens alone"] = { token = "again" },
    ["has tokens that are none"] = { token = { 1 }, ttl = "x" },
    ["has large tokens"] = { token = ("x"):rep(1000) },
    ["has nothing"] = {},
  }) do
    it("is not made busy by a holder that " .. name, liar(function(world)
      local first = #world.asked
      assert.is_true(first <= 4)

      kad.sleep(60)

      assert.is_true(#world.asked <= first + 7)
      kad.sleep(600)
      assert.is_true(#world.asked > first)
    end, reply))
  end
end)

describe("a set of seen events", function()
  it("keeps the last ids", function()
    local seen = event.new_seen(3)

    for _, id in ipairs({ "a", "b", "c" }) do
      assert.is_true(seen:add(id))
    end
    assert.is_false(seen:add("a"))
    assert.is_true(seen:add("d"))

    assert.is_false(seen:has("a"))
    assert.is_true(seen:has("b"))
    assert.is_true(seen:add("a"))
    assert.is_false(seen:has("b"))
  end)

  it("identifies records by all of their fields", function()
    local ids, count = {}, 0
    for _, record in ipairs({
      { value = "a" }, { value = "b" }, { value = "a", salt = "s" },
      { value = "as" }, { value = "a", seq = 0 }, { value = "a", seq = -1 },
      { value = "a", publisher = ("p"):rep(32) },
    }) do
      ids[event.identify(record)] = true
      assert.equal(event.identify(record),
        event.identify(event.copy(record)))
    end
    for _ in pairs(ids) do
      count = count + 1
    end
    assert.equal(7, count)
  end)
end)
