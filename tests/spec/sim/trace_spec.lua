local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")

local with_sim = sim_support.with_sim

describe("kadenza.sim.trace", function()
  it("reports outcomes", with_sim({ nodes = 10, loss = 0.2, seed = 2 },
    function(net)
      local counts = { delivered = 0, lost = 0 }
      local before = net:statistics()
      net:trace(function(outcome, from, to, bytes)
        counts[outcome] = counts[outcome] + 1
        assert.matches("^%d+%.%d+%.%d+%.%d+:6881$", from)
        assert.matches("^%d+%.%d+%.%d+%.%d+:6881$", to)
        assert.is_true(#bytes > 20)
      end)
      net:perform(function()
        net.nodes[1]:find_node(net.nodes[1]:id())
        kad.sleep(10)
      end)
      net:trace()
      local after = net:statistics()
      assert.is_true(counts.delivered > 10 and counts.lost > 0)
      assert.equal(after.delivered - before.delivered, counts.delivered)
      assert.equal(after.lost - before.lost, counts.lost)
      net:run(1000)
      assert.equal(after.lost - before.lost, counts.lost)
    end))

  it("writes a file", with_sim({ nodes = 5 }, function(net)
    local path = os.tmpname()
    assert(net:trace(path))
    net:perform(function()
      net.nodes[1]:ping(net.nodes[2]:addresses()[1])
    end)
    net:trace()
    local file <close> = assert(io.open(path))
    local text = "\n" .. file:read("a")
    os.remove(path)
    assert.matches("\n%d+%.%d%d%d delivered 20%.0%.1%.1:6881 20%.0%.2%.1:6881 "
      .. "%d+ ping\n", text)
    assert.matches(" delivered 20%.0%.2%.1:6881 20%.0%.1%.1:6881 %d+ reply\n",
      text)
    local traced, message, code = net:trace("/nonexistent/trace")
    assert.is_nil(traced)
    assert.matches("/nonexistent/trace", message)
    assert.equal("KAD_ESYSTEM", code)
  end))

  it("fails when the file cannot be written completely", with_sim({ nodes = 5 },
    function(net)
      local device = io.open("/dev/full", "wb")
      if not device then
        return -- not every system has one
      end
      device:close()
      assert(net:trace("/dev/full"))
      net:perform(function()
        net.nodes[1]:ping(net.nodes[2]:addresses()[1])
      end)
      local ended, message, code = net:trace()
      assert.is_nil(ended)
      assert.equal("string", type(message))
      assert.equal("KAD_ESYSTEM", code)
      assert.is_true(net:trace())
    end))
end)
