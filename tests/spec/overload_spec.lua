--- A program that drives an overlay of real sockets over the limits of its
--- nodes. Tests core/rpc/pacer.c; tests/sim/overload_test.c is the same in
--- virtual time.

local kad = require("kadenza")
local support = require("tests.spec.support")

local spec, local_node = support.spec, support.local_node

local NODES <const>, PUTS <const>, AT_ONCE <const> = 10, 2000, 64

-- Opens nodes that know each other, each with an address of its own. No other
-- spec that runs at the same time has these, and shares their limits.
local function open_overlay()
  local second, third = kad.random(2):byte(1, 2)
  local nodes = {}
  for i = 1, NODES do
    local listen = ("127.%d.%d.%d:0"):format(second % 200 + 20, third, i)
    nodes[i] = assert(kad.node(local_node({ listen = listen })))
    if i > 1 then
      assert(nodes[i]:bootstrap({ nodes[1]:addresses()[1] }))
    end
  end
  return nodes
end

-- Calls `fn(i)` for each number up to `count`, AT_ONCE at a time.
local function for_each(count, fn)
  local last, tasks = 0, {}
  for worker = 1, AT_ONCE do
    tasks[worker] = kad.spawn(function()
      while last < count do
        last = last + 1
        fn(last)
      end
    end)
  end
  for _, worker in ipairs(tasks) do
    worker:await()
  end
end

local function assert_all_healthy(nodes)
  for _, node in ipairs(nodes) do
    local stats = node:stats()
    assert.equal("healthy", node:state())
    assert.equal(stats.contacts, stats.contacts_good)
    assert.equal(0, stats.dropped_limited)
  end
end

describe("a program that is faster than its contacts", function()
  it("stores 2,000 values at k holders each, and loses no contact", spec(
    function()
      kad.run(function()
        local nodes = open_overlay()
        local began = kad.now()

        for_each(PUTS, function(i)
          local info = assert(nodes[NODES]:put(kad.key("k" .. i), "v" .. i))
          assert.equal(8, info.stored)
        end)

        print(("# %d puts in %.1f s"):format(PUTS, kad.now() - began))
        assert_all_healthy(nodes)
        assert.is_true(nodes[NODES]:stats().paced > 0)
      end, { timeout = 120 })
    end))

  it("stores from all nodes of a program in turn", spec(function()
    kad.run(function()
      local nodes = open_overlay()

      for_each(PUTS, function(i)
        local node = nodes[i % NODES + 1]
        assert.equal(8, assert(node:put(kad.key("k" .. i), "v")).stored)
      end)

      assert_all_healthy(nodes)
    end, { timeout = 120 })
  end))

  it("is told when too many queries wait", spec(function()
    kad.run(function()
      local node = assert(kad.node(local_node({ max_waiting = 5 })))
      local refused, tasks = 0, {}
      for i = 1, 100 do -- no node is there; 64 are in flight
        tasks[i] = kad.spawn(function()
          local _, message, code = node:call("127.0.0.9:9", "hello")
          if code == "KAD_EBUSY" then
            refused = refused + 1
            assert.equal("too much waits already: try again later", message)
          else
            assert.equal("KAD_ETIMEOUT", code)
          end
        end)
      end
      for _, waiting in ipairs(tasks) do
        waiting:await()
      end

      assert.equal(100 - 64 - 5, refused)
      assert.equal(refused, node:stats().overcrowded)
    end, { timeout = 60 })
  end))

  it("is told when too many operations wait", spec(function()
    kad.run(function()
      local node = assert(kad.node(local_node()))
      local codes = {}
      for _ = 1, 4100 do
        node:find_node(kad.key("a"), function(_, _, code)
          codes[code] = (codes[code] or 0) + 1
        end)
      end
      kad.sleep(0.5)

      assert.equal(4, codes.KAD_EBUSY)
      assert.equal(4096, codes.KAD_ENOCONTACTS)
    end, { timeout = 60 })
  end))

  it("gives up what waits when its time is over", spec(function()
    kad.run(function()
      local node = assert(kad.node(local_node({ pace_per_s = 1 })))
      for _ = 1, 50 do
        node:call("127.0.0.9:9", "hello", function() end)
      end

      local done = kad.timeout(0.3, function()
        return node:call("127.0.0.9:9", "hello")
      end)

      assert.is_falsy(done)
      assert.is_true(node:stats().waiting <= 46)
      node:close()
    end, { timeout = 60 })
  end))
end)
