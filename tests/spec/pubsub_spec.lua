local kad = require("kadenza")
local pubsub = require("kadenza.pubsub")
local pubs = require("tests.spec.support.pubsub")
local support = require("tests.spec.support")

local NEWS <const> = pubs.NEWS
local by_distance, listener = pubs.by_distance, pubs.listener
local overlay, sum = pubs.overlay, pubs.sum

local function sorted(list)
  local copy = { table.unpack(list) }
  table.sort(copy)
  return copy
end

describe("a hub", function()
  it("delivers an event once to every subscriber", overlay(function(hub, nodes)
    local lists = {}
    for i = 1, 5 do
      local note
      lists[i], note = listener()
      assert.equal(8, hub:subscribe(nodes[2 * i], NEWS, note):holders())
    end

    for i = 1, 4 do
      assert(hub:publish(nodes[1 + 3 * i], NEWS, "event " .. i))
    end
    kad.sleep(2)

    for i = 1, 5 do
      assert.same({ "event 1", "event 2", "event 3", "event 4" },
        sorted(lists[i]))
    end
  end))

  it("does so over a network that loses a fifth",
    overlay(function(hub, nodes)
      local lists, expected = {}, {}
      for i = 1, 5 do
        local note
        lists[i], note = listener()
        hub:subscribe(nodes[3 * i], NEWS, note)
      end
      for i = 1, 20 do
        assert(hub:publish(nodes[1], NEWS, ("event %02d"):format(i)))
        expected[i] = ("event %02d"):format(i)
      end

      kad.sleep(300)
      for i = 1, 5 do
        assert.same(expected, sorted(lists[i]))
      end
      kad.sleep(900)
      for i = 1, 5 do
        assert.equal(20, #lists[i])
      end
    end, { loss = 0.2 }))

  it("delivers a value twice that is published twice",
    overlay(function(hub, nodes)
      local list, note = listener()
      hub:subscribe(nodes[2], NEWS, note)

      assert(hub:publish(nodes[5], NEWS, "same"))
      assert(hub:publish(nodes[5], NEWS, "same"))
      assert(hub:publish(nodes[6], NEWS, "same"))
      kad.sleep(2)

      assert.same({ "same", "same", "same" }, list)
    end))

  it("delivers to every function of a node, and registers once",
    overlay(function(hub, nodes)
      local one, note_one = listener()
      local two, note_two = listener()
      local first = hub:subscribe(nodes[2], NEWS, note_one)
      hub:subscribe(nodes[2], NEWS, note_two)
      local before = sum(hub, nodes, "subscribers")

      assert(hub:publish(nodes[5], NEWS, "a"))
      kad.sleep(2)
      first:cancel()
      assert(hub:publish(nodes[5], NEWS, "b"))
      kad.sleep(2)

      assert.same({ "a" }, one)
      assert.same({ "a", "b" }, two)
      assert.is_true(before <= 8)
      assert.equal(before, sum(hub, nodes, "subscribers"))
    end))

  it("keeps topics apart", overlay(function(hub, nodes)
    local list, note = listener()
    hub:subscribe(nodes[2], NEWS, note)
    hub:subscribe(nodes[2], kad.key("other"), note)

    assert(hub:publish(nodes[5], NEWS, "news"))
    assert(hub:publish(nodes[5], kad.key("third"), "nothing"))
    kad.sleep(2)

    assert.same({ "news" }, list)
  end))

  it("delivers stored events only with replay",
    overlay(function(hub, nodes)
      assert(hub:publish(nodes[5], NEWS, "old"))
      kad.sleep(1)
      local plain, note_plain = listener()
      local replayed, note_replayed = listener()
      local second, note_second = listener()

      hub:subscribe(nodes[2], NEWS, note_plain)
      hub:subscribe(nodes[3], NEWS, note_replayed, { replay = true })
      hub:subscribe(nodes[2], NEWS, note_second, { replay = true })
      assert(hub:publish(nodes[5], NEWS, "new"))
      kad.sleep(300)

      assert.same({ "new" }, plain)
      assert.same({ "old", "new" }, replayed)
      assert.same({ "old", "new" }, second)
    end))

  it("reads the stored values", overlay(function(hub, nodes)
    assert.is_nil((hub:read(nodes[2], NEWS)))
    assert(hub:publish(nodes[5], NEWS, "a"))
    assert(hub:publish(nodes[6], NEWS, ""))

    local values, records = hub:read(nodes[2], NEWS)

    assert.same({ "", "a" }, sorted(values))
    assert.equal("event", records[1].type)
    kad.sleep(700)
    local _, _, code = hub:read(nodes[2], NEWS)
    assert.equal("KAD_ENOTFOUND", code)
  end))

  it("carries values of up to 892 bytes", overlay(function(hub, nodes)
    local list, note = listener()
    hub:subscribe(nodes[2], NEWS, note)
    local pair = kad.keypair(("s"):rep(32))

    assert(hub:publish(nodes[5], NEWS, ("x"):rep(892)))
    assert(hub:publish(nodes[5], NEWS, ("y"):rep(892),
      { secret = pair.secret, seq = math.maxinteger }))
    local stored, message, code = hub:publish(nodes[5], NEWS, ("x"):rep(893))
    kad.sleep(2)

    assert.same({ ("x"):rep(892), ("y"):rep(892) }, sorted(list))
    assert.same({ nil, "the value is too large", "KAD_ETOOBIG" },
      { stored, message, code })
    assert.equal(0, sum(hub, nodes, "forgotten"))
  end))

  it("returns the publisher", overlay(function(hub, nodes)
    local pair, records = kad.keypair(("s"):rep(32)), {}
    hub:subscribe(nodes[2], NEWS, function(_, record)
      records[#records + 1] = record
    end)

    assert(hub:publish(nodes[5], NEWS, "a", { secret = pair.secret }))
    assert(hub:publish(nodes[5], NEWS, "b", { secret = pair.secret }))
    kad.sleep(2)

    assert.equal(2, #records)
    assert.equal(pair.publisher, records[1].publisher)
    assert.equal(NEWS, records[1].key)
    assert.equal(2, #hub:read(nodes[3], NEWS))
  end))

  it("works in an overlay of 256 bits", overlay(function(hub, nodes)
    local list, note = listener()
    local key = kad.key("news", 256)
    hub:subscribe(nodes[2], key, note)

    assert(hub:publish(nodes[5], key, "a",
      { secret = kad.keypair(("s"):rep(32)).secret }))
    kad.sleep(2)

    assert.same({ "a" }, list)
  end, { config = { id_bits = 256 } }))

  it("works with a type of the program", overlay(function(hub, nodes)
    local list, note = listener()
    hub:subscribe(nodes[2], NEWS, note)

    assert(hub:publish(nodes[5], NEWS, "20"))
    assert(nodes[6]:put(NEWS, "21", { type = "degrees" }))
    assert.is_nil((hub:publish(nodes[5], NEWS, "warm")))
    assert(hub:publish(nodes[7], NEWS, "21")) -- it is stored already
    kad.sleep(300)

    assert.same({ "20", "21" }, sorted(list))
  end, {
    hub = {
      name = "degrees",
      type = {
        ttl = 600,
        validate = function(record)
          return record.value:find("^%-?%d+$") and true or nil, "a number"
        end,
      },
    },
  }))

  it("works over sockets", support.spec(function()
    kad.run(function()
      local hub, list = pubsub.new(), {}
      local nodes = {}
      for i = 1, 3 do
        nodes[i] = assert(kad.node(support.local_node({
          listen = "127.0.0." .. i .. ":0",
          policies = { hub:policy() },
        })))
        assert(i == 1 or nodes[i]:bootstrap(nodes[1]:addresses()))
      end
      local subscription <close> = hub:subscribe(nodes[2], NEWS, function(value)
        list[#list + 1] = value
      end)
      assert.equal(2, subscription:holders())

      assert(hub:publish(nodes[3], NEWS, "hello"))
      kad.timeout(10, function()
        while #list == 0 do
          kad.sleep(0.01)
        end
      end)

      assert.same({ "hello" }, list)
    end, { timeout = 30 })
  end))

  it("raises for a caller's mistake", overlay(function(hub, nodes)
    local node = nodes[1]
    for text, fn in pairs({
      ["unknown option 'rates'"] = function()
        pubsub.new({ rates = 1 })
      end,
      ["option 'name' must be 1 to 20 of a-z"] = function()
        pubsub.new({ name = "No Name" })
      end,
      ["max_size must be at most 900"] = function()
        pubsub.new({ type = { max_size = 1000 } })
      end,
      ["option 'rate' must be in 1 to 10000"] = function()
        pubsub.new({ rate = 0 })
      end,
      ["a node is needed, not a nil"] = function()
        hub:subscribe(nil, NEWS, print)
      end,
      ["the topic must have 20 bytes"] = function()
        hub:subscribe(node, "news", print)
      end,
      ["fn must be a function, not nil"] = function()
        hub:subscribe(node, NEWS)
      end,
      ["unknown option 'again'"] = function()
        hub:subscribe(node, NEWS, print, { again = true })
      end,
      ["the value must be a string, not number"] = function()
        hub:publish(node, NEWS, 1)
      end,
      ["unknown option 'type'"] = function()
        hub:publish(node, NEWS, "a", { type = "value" })
      end,
      ["unknown option 'tlt'"] = function()
        hub:publish(node, NEWS, "a", { tlt = 1 })
      end,
      ["a policy must be a table, not string"] = function()
        hub:policy("x")
      end,
      ["the policy has types.event already"] = function()
        hub:policy({ types = { event = {} } })
      end,
      ["the policy has rpc.event_push already"] = function()
        hub:policy({ rpc = { event_push = print } })
      end,
    }) do
      support.assert_blames_caller(text, fn)
    end
  end))
end)

describe("a subscription", function()
  it("ends when it is canceled, also at the holders",
    overlay(function(hub, nodes)
      local list, note = listener()
      local subscription = hub:subscribe(nodes[2], NEWS, note)
      assert.is_true(sum(hub, nodes, "subscribers") >= 7)

      subscription:cancel()
      subscription:cancel()
      kad.sleep(1)
      assert(hub:publish(nodes[5], NEWS, "a"))
      kad.sleep(2)

      assert.same({}, list)
      assert.equal(0, subscription:holders())
      assert.equal(0, sum(hub, nodes, "subscribers"))
      assert.equal(0, sum(hub, nodes, "topics"))
      assert.equal(0, sum(hub, nodes, "pushes"))
    end))

  it("ends with its scope", overlay(function(hub, nodes)
    local list, note = listener()
    do
      local _ <close> = hub:subscribe(nodes[2], NEWS, note)
    end
    kad.sleep(1)

    assert(hub:publish(nodes[5], NEWS, "a"))
    kad.sleep(2)

    assert.same({}, list)
    assert.equal(0, sum(hub, nodes, "subscribers"))
  end))

  it("ends when its task is canceled before it has begun",
    overlay(function(hub, nodes)
      local list, note = listener()
      local work = kad.spawn(function()
        hub:subscribe(nodes[2], NEWS, note)
      end)
      kad.sleep(0.05)

      work:cancel()
      assert(hub:publish(nodes[5], NEWS, "a"))
      kad.sleep(300)

      assert.same({}, list)
      assert.equal(0, sum(hub, nodes, "subscribers"))
    end))

  it("is dropped by holders when its node crashes", overlay(function(hub, nodes)
    hub:subscribe(nodes[2], NEWS, print)
    assert.is_true(sum(hub, nodes, "subscribers") >= 7)

    nodes[2]:close()
    kad.sleep(640)

    assert.equal(0, sum(hub, nodes, "subscribers"))
    assert.equal(0, sum(hub, nodes, "topics"))
  end))

  it("is renewed until it ends", overlay(function(hub, nodes)
    local list, note = listener()
    hub:subscribe(nodes[2], NEWS, note)
    kad.sleep(86400)

    assert(hub:publish(nodes[5], NEWS, "a"))
    kad.sleep(2)

    assert.same({ "a" }, list)
  end))

  it("misses no event when all of its holders crash",
    overlay(function(hub, nodes)
      local far = by_distance(nodes, NEWS)
      local subscriber, publisher = far[#far], far[#far - 1]
      local list, note = listener()
      local subscription = hub:subscribe(subscriber, NEWS, note)

      for i = 1, 8 do
        far[i]:close()
      end
      assert(hub:publish(publisher, NEWS, "while no node pushes"))
      kad.sleep(250)
      assert.same({ "while no node pushes" }, list)
      assert.is_true(subscription:holders() > 0)
      assert(hub:publish(publisher, NEWS, "pushed"))
      kad.sleep(2)

      assert.same({ "while no node pushes", "pushed" }, list)
    end))

  it("moves to nodes that join closer", overlay(function(hub, nodes, net)
    local list, note = listener()
    local subscription = hub:subscribe(nodes[2], NEWS, note)
    local before = by_distance(nodes, NEWS)
    for i = 1, 8 do
      local id = NEWS:sub(1, 19) .. string.char(i)
      local node = assert(net:open({ id = id }))
      assert(node:bootstrap(nodes[1]:addresses()))
    end
    kad.sleep(300)

    for i = 1, 20 do
      if before[i] ~= nodes[2] then
        before[i]:close()
      end
    end
    assert(hub:publish(nodes[25], NEWS, "a"))
    kad.sleep(2)

    assert.equal(8, subscription:holders())
    assert.same({ "a" }, list)
  end))

  it("begins later when no node accepts it yet", support.spec(function()
    local hub = pubsub.new()
    local net <close> =
      kad.sim({ nodes = 10, seed = 1, policies = { hub:policy() } })
    local list, note = listener()
    net:perform(function()
      local late = assert(net:open())
      local subscription = hub:subscribe(late, NEWS, note)
      assert.equal(0, subscription:holders())

      assert(late:bootstrap(net.nodes[1]:addresses()))
      kad.sleep(10)
      assert(hub:publish(net.nodes[5], NEWS, "a"))
      kad.sleep(2)

      assert.equal(8, subscription:holders())
      assert.same({ "a" }, list)
    end)
  end))

  it("gets events by its renewals when pushes do not arrive",
    overlay(function(hub, nodes, net)
      local node = assert(net:open({ read_only = true }))
      assert(node:bootstrap(nodes[1]:addresses()))
      local list, note = listener()
      hub:subscribe(node, NEWS, note)

      assert(hub:publish(nodes[2], NEWS, "a"))
      kad.sleep(250)

      assert.same({ "a" }, list)
    end))

  it("continues after an error of its function, which is logged",
    support.spec(function()
      local list = {}
      local events = support.logged(overlay(function(hub, nodes)
        hub:subscribe(nodes[2], NEWS, function(value)
          list[#list + 1] = value
          error(value == "a" and "no a, please" or { "table" }, 0)
        end)
        assert(hub:publish(nodes[5], NEWS, "a"))
        kad.sleep(1)
        assert(hub:publish(nodes[5], NEWS, "b"))
        kad.sleep(2)
      end))

      local said = {}
      for _, record in ipairs(events) do
        if record.message == "a subscriber failed" then
          said[#said + 1] = record.fields.error
        end
      end
      assert.same({ "a", "b" }, list)
      assert.same({ "no a, please", "an error that is no string" }, said)
    end))

  it("calls its function in turn, and drops events that are too many",
    overlay(function(hub, nodes)
      local running, most, list = 0, 0, {}
      local subscription = hub:subscribe(nodes[2], NEWS, function(value)
        running = running + 1
        most = math.max(most, running)
        kad.sleep(100)
        running = running - 1
        list[#list + 1] = value
      end)

      for i = 1, 80 do
        assert(hub:publish(nodes[3 + i % 5], NEWS, "event " .. i))
      end
      kad.sleep(2)
      assert.equal(80 - 65, subscription.dropped)
      kad.sleep(100 * 65)

      assert.equal(1, most)
      assert.equal(65, #list)
    end))

  it("may be canceled by its own function", overlay(function(hub, nodes)
    local list, subscription = {}, nil
    subscription = hub:subscribe(nodes[2], NEWS, function(value)
      list[#list + 1] = value
      subscription:cancel()
    end)

    assert(hub:publish(nodes[5], NEWS, "a"))
    assert(hub:publish(nodes[5], NEWS, "b"))
    kad.sleep(300)

    assert.equal(1, #list)
    assert.equal(0, sum(hub, nodes, "subscribers"))
  end))
end)
