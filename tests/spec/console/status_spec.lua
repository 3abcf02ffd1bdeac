local json = require("kadenza.json")
local kad = require("kadenza")
local rates = require("kadenza.rates")
local status = require("kadenza.console.status")

describe("the status of a node", function()
  -- Calls `body(of, first, second)` with two nodes that know each other;
  -- `of(more)` returns the status of the first.
  local function with_nodes(options, body)
    kad.run(function()
      local nodes = {}
      for i = 1, 2 do
        nodes[i] = assert(kad.node({ listen = "127.0.0.1:0", allow_local = true,
          policies = i == 1 and options.policies or nil }))
      end
      assert(nodes[2]:bootstrap(nodes[1]:addresses()))
      local network = nodes[1]:network()
      local running = { node = nodes[1], settings = options.settings or {},
        began = network:now() - 100, rates = rates.new() }
      body(function(more)
        for name, value in pairs(more or {}) do
          running[name] = value
        end
        return status.of(running)
      end, nodes[1], nodes[2])
    end, { timeout = 30 })
  end

  it("has who the node is, and how it is", function()
    with_nodes({ settings = { state = "/x", log = "info", max_records = 7,
      max_bytes = 8 } }, function(of, node)
      local now = of()
      assert.equal(kad.hex(node:id()), now.id)
      assert.same(node:addresses(), { table.unpack(now.addresses) })
      assert.is_true(now.uptime >= 100 and now.uptime < 130)
      assert.equal(node:state(), now.state)
      assert.equal("/x", now.folder)
      assert.equal(7, now.records.max_records)
      assert.is_nil(now.reload)
      assert.is_nil(now.rates.minute)
    end)
  end)

  it("counts contacts by bucket", function()
    with_nodes({}, function(of, node, other)
      for _ = 1, 1000 do
        if #node:contacts() == 1 then
          break
        end
        kad.sleep(0.005)
      end
      local _, shared = require("kadenza.core").distance(node:id(), other:id())
      local contacts = of().contacts
      assert.equal(1, contacts.total)
      assert.equal(1, contacts.good)
      assert.same({ { bucket = shared, contacts = 1, good = 1 } },
        { table.unpack(contacts.buckets) })
    end)
  end)

  it("counts records by type", function()
    with_nodes({}, function(of, _, other)
      assert(other:put(kad.key("a"), "1"))
      assert(other:put(kad.key("b"), "2"))
      assert(other:announce(kad.key("c"), 6881))
      local records = of().records
      assert.equal(3, records.total)
      assert.same({ value = 2, peers = 1 }, records.types)
      assert.is_true(records.bytes > 0)
    end)
  end)

  it("has the hooks of its policies, by name", function()
    with_nodes({ policies = { { name = "busy", rpc = {
      one = function()
        return {}
      end,
      two = function()
        error("no")
      end,
    } } } }, function(of, node, other)
      local address = node:addresses()[1]
      assert(other:call(address, "one"))
      assert.is_nil(other:call(address, "two"))
      local hooks = of().hooks
      assert.equal("busy: rpc.one", hooks[1].name)
      assert.equal(1, hooks[1].calls)
      assert.equal(0, hooks[1].errors)
      assert.equal("busy: rpc.two", hooks[2].name)
      assert.equal(1, hooks[2].errors)
      assert.is_true(hooks[1].seconds > 0)
      assert.is_true(hooks[1].slowest <= hooks[1].seconds)
    end)
  end)

  it("has the rates of both windows", function()
    with_nodes({}, function(of)
      local figures = rates.new()
      figures:add(0, { queries = 0, replies = 0 })
      figures:add(30, { queries = 60, replies = 1 })
      local now = of({ rates = figures })
      assert.same({ seconds = 30, rates = { queries = 2, replies = 0.033 } },
        now.rates.minute)
      assert.equal(30, now.rates.quarter.seconds)
    end)
  end)

  it("has how the last reload went", function()
    with_nodes({}, function(of, node)
      local now = of({ last_reload = { at = node:network():now() - 5, time = 9,
        succeeded = false, problems = { "why" }, changed = {},
        needs_restart = { "listen" } } })
      assert.is_true(now.reload.ago >= 5)
      assert.is_false(now.reload.succeeded)
      assert.matches('"problems":%["why"%]', json.encode(now.reload))
      assert.matches('"changed":%[%]', json.encode(now.reload))
      assert.matches('"needs_restart":%["listen"%]', json.encode(now.reload))
    end)
  end)
end)
