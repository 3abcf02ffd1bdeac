local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local with_sim = sim_support.with_sim

describe("kadenza.sim.hostility", function()
  it("makes nodes hostile and honest again", with_sim({ nodes = 20, seed = 1 },
    function(net)
      local bad = net:hostile(5, "silent")
      assert.equal(5, #bad)
      net:perform(function()
        local node = net:draw_joined()
        assert.is_truthy(node:ping(bad[1]:addresses()[1]))
        assert.is_nil((node:call(bad[1]:addresses()[1], "hello")))
      end)
      for _ = 1, 50 do
        assert.is_nil(net.hostiles[net:draw_joined()])
      end
      net:hostile(bad, "honest")
      assert.is_nil(next(net.hostiles))
      net:hostile(bad[1], "flooder", { rate = 50 })
      local before = net:statistics().sent
      net:run(10)
      assert.is_true(net:statistics().sent - before >= 200)
    end))

  it("knows each kind of liar", with_sim({ nodes = 12, seed = 1 },
    function(net)
      for i, kind in ipairs({ "liar", "misplacer", "mislabeler", "lurer" }) do
        local node = net:hostile(net.nodes[i], kind)[1]
        assert.equal(kind, net.hostiles[node].kind)
      end
      net:perform(function()
        assert.is_table(net.nodes[12]:find_node(kad.key("a")))
      end)
    end))

  it("opens sybils closer to a key than any honest node",
    with_sim({ nodes = 30, seed = 1 }, function(net)
      local key = kad.key("a")
      local sybils = net:sybils(10, key)
      assert.equal(10, #sybils)
      assert.equal(40, net:alive())
      for _, node in ipairs(sybils) do
        assert.equal(key:sub(1, 4), node:id():sub(1, 4))
        assert.equal("sybil", net.hostiles[node].kind)
      end
      net:perform(function()
        local found = {}
        for _, contact in ipairs(net.nodes[1]:find_node(key)) do
          found[contact.id] = true
        end
        local count = 0
        for _, node in ipairs(sybils) do
          count = count + (found[node:id()] and 1 or 0)
        end
        assert.is_true(count > 0)
      end)
    end))

  it("names the mistake in wrong options", with_sim({ nodes = 2 },
    function(net)
      for _, case in ipairs({
        { "rude", nil, "the kind must be silent, liar, sybil" },
        { "sybil", nil, "option 'key' is needed" },
        { "sybil", { key = "short" }, "option 'key' must have 20 bytes" },
        { "flooder", { rate = 0 }, "option 'rate' must be in 1 to 1000" },
        { "flooder", { speed = 1 }, "unknown option 'speed'" },
      }) do
        support.assert_blames_caller(case[3], function()
          net:hostile(1, case[1], case[2])
        end)
      end
      support.assert_blames_caller("must be a positive integer", function()
        net:sybils(0, kad.key("a"))
      end)
    end))
end)
