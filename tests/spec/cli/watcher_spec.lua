local kad = require("kadenza")
local pubsub = require("kadenza.pubsub")
local support = require("tests.spec.support")
local watcher = require("kadenza.cli.watcher")

local KEY <const> = kad.key("news")

-- Runs a watcher in a task of its own. Returns a list of "event value", and the
-- watcher.
local function follow(node, options)
  local seen = {}
  options.key = KEY
  options.type = options.type or "value"
  options.interval = options.interval or 30
  local decode = options.hub and options.hub.decode
  function options.report(event, record)
    local value = decode and decode(record.value) or record.value
    seen[#seen + 1] = event .. " " .. value
  end
  local follower = watcher.new(node, options)
  kad.spawn(function()
    follower.result = table.pack(follower:run())
  end)
  return seen, follower
end

-- Calls `fn(nodes, net)` as a task of an overlay in virtual time.
local function overlay(fn, options)
  return support.spec(function()
    local all = { nodes = 12, seed = 1 }
    for name, value in pairs(options or {}) do
      all[name] = value
    end
    local net <close> = kad.sim(all)
    net:perform(function()
      fn(net.nodes, net)
    end)
  end)
end

describe("a watcher without pushes", function()
  it("reports what is present, changes and expires", overlay(function(nodes)
    assert(nodes[2]:put(KEY, "old", { ttl = 100 }))
    local seen, follower = follow(nodes[5], {})
    kad.sleep(5)
    assert.same({ "present old" }, seen)

    assert(nodes[2]:put(KEY, "new", { ttl = 300 }))
    kad.sleep(40)
    assert.same({ "present old", "changed new" }, seen)

    kad.sleep(70)
    assert.equal("expired old", seen[3])
    kad.sleep(300)
    assert.same({ "present old", "changed new", "expired old", "expired new" },
      seen)
    follower:stop("signal")
    kad.sleep(1)
    assert.equal("signal", follower.result[1])
  end))

  it("reports an end when it comes, not at the next interval",
    overlay(function(nodes)
      assert(nodes[2]:put(KEY, "x", { ttl = 60 }))
      local seen = follow(nodes[5], { interval = 86400 })
      kad.sleep(50)
      assert.same({ "present x" }, seen)
      kad.sleep(20)
      assert.same({ "present x", "expired x" }, seen)
    end))

  it("does not report that a signed value has expired when it has changed",
    overlay(function(nodes)
      local pair = kad.keypair(("k"):rep(32))
      local seen = follow(nodes[5], { interval = 10 })
      for seq = 1, 3 do
        assert(nodes[2]:put(KEY, "v" .. seq, { seq = seq, ttl = 1000,
          secret = pair.secret }))
        kad.sleep(30)
      end
      assert.same({ "changed v1", "changed v2", "changed v3" }, seen)
    end))

  it("reports a value again that comes back", overlay(function(nodes)
    local seen = follow(nodes[5], { interval = 10 })
    for _ = 1, 2 do
      assert(nodes[2]:put(KEY, "x", { ttl = 20 }))
      kad.sleep(60)
    end
    assert.same({ "changed x", "expired x", "changed x", "expired x" }, seen)
  end))

  -- Returns a node whose gets return what `replies` has, one after the other.
  local function fake(replies)
    local at = 0
    return {
      is_open = function()
        return true
      end,
      get = function()
        at = math.min(at + 1, #replies)
        return table.unpack(replies[at], 1, 4)
      end,
    }
  end

  local FOUND <const> = { { { value = "x", ttl = 1000 } }, {} }
  local GONE <const> = { nil, "not found", "KAD_ENOTFOUND",
    { closest = { {} } } }

  it("does not take silence for an end, and says so once",
    support.spec(function()
      local net <close> = kad.sim({ join = false, seed = 1 })
      local events = support.logged(function()
        net:perform(function()
          local seen = follow(fake({ FOUND,
            { nil, "no answer in time", "KAD_ETIMEOUT" },
            { nil, "not found", "KAD_ENOTFOUND", { closest = {} } },
            { nil, "no contacts", "KAD_ENOCONTACTS" }, FOUND, GONE }), {})
          kad.sleep(125)
          assert.same({ "present x" }, seen)
          kad.sleep(100)
          assert.same({ "present x", "expired x" }, seen)
        end)
      end)
      local messages = {}
      for i, event in ipairs(events) do
        messages[i] = event.message
      end
      assert.same({ "no node answers, trying again", "nodes answer again" },
        messages)
    end))

  it("ends for a type that is not defined", support.spec(function()
    local net <close> = kad.sim({ join = false, seed = 1 })
    net:perform(function()
      local _, follower = follow(fake({
        { nil, "unknown record type", "KAD_ETYPE" } }), {})
      kad.sleep(1)
      assert.same({ message = "unknown record type", code = "KAD_ETYPE" },
        follower.result[2])
    end)
  end))

  it("ends with the error of its report", overlay(function(nodes)
    assert(nodes[2]:put(KEY, "x"))
    local follower = watcher.new(nodes[5], { key = KEY, type = "value",
      interval = 10, report = function()
        error({ "full" }, 0)
      end })
    local why, problem = follower:run()
    assert.is_nil(why)
    assert.same({ "full" }, problem)
  end))
end)

describe("a watcher with a hub", function()
  local hub = pubsub.new()

  it("reports what is pushed at once, and what has expired",
    overlay(function(nodes)
      assert(hub:publish(nodes[2], KEY, "old", { ttl = 100 }))
      local seen = follow(nodes[5], { type = "event", hub = hub,
        interval = 3600 })
      kad.sleep(5)
      assert(hub:publish(nodes[2], KEY, "new", { ttl = 200 }))
      kad.sleep(2)
      assert.same({ "present old", "changed new" }, seen)

      kad.sleep(120)
      assert.same({ "present old", "changed new", "expired old" }, seen)
      kad.sleep(120)
      assert.equal("expired new", seen[4])
      assert.equal(4, #seen)
    end, { policies = { hub:policy() } }))

  it("looks up the key while no node pushes, and says so",
    support.spec(function()
      local events = support.logged(function()
        overlay(function(_, net)
          local own = pubsub.new()
          local type_only = { types = { event = { max_size = 900,
            republish = false } } }
          for _ = 1, 3 do
            local node = assert(net:open({ policies = { type_only } }))
            assert(node:bootstrap(net.nodes[1]:addresses()))
          end
          local node = assert(net:open({ policies = { own:policy() } }))
          assert(node:bootstrap(net.nodes[1]:addresses()))
          local seen = follow(node, { type = "event", hub = own,
            interval = 10 })
          kad.sleep(5)
          assert(net.nodes[2]:put(KEY, "12345678x", { type = "event",
            ttl = 60 }))
          kad.sleep(20)
          assert.same({ "changed x" }, seen)
          kad.sleep(80)
          assert.same({ "changed x", "expired x" }, seen)
        end, { policies = { { types = { event = { max_size = 900,
          republish = false } } } } })()
      end)
      assert.matches("no node pushes records of this type", events[1].message)
      assert.equal("event", events[1].fields.type)
    end))
end)
