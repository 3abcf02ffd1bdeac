local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local spec = support.spec
local reaches = sim_support.reaches
local with_sim = sim_support.with_sim

describe("kadenza.sim.faults", function()
  it("kills nodes without calling their hooks", spec(function()
    local stopped, closed = 0, 0
    local net <close> = kad.sim({ nodes = 10, seed = 1, policies = { {
      on_stop = function()
        stopped = stopped + 1
      end,
      every = { { seconds = 1, run = function(node)
        assert(node:is_open())
      end } },
    } } })
    local third = net.nodes[3]
    third:on_close(function()
      closed = closed + 1
    end)
    assert.same({ third }, net:kill(third))
    assert.is_false(third:is_open())
    assert.equal(9, #net.nodes)
    assert.is_nil(net:place_of(third))
    assert.same({}, net:kill(third))
    net:run(10)
    assert.equal(0, stopped + closed)
    assert.equal(1, net:statistics().crashed)
  end))

  it("ends the operations of a killed node", with_sim({ nodes = 5, loss = 1,
    join = false }, function(net)
    local results
    net:spawn(function()
      results =
        table.pack(net.nodes[1]:bootstrap(net.nodes[2]:addresses()))
    end)
    net:kill(net.nodes[1])
    net:run(1)
    assert.equal("KAD_ECLOSED", results[3])
  end))

  it("closes nodes that leave", spec(function()
    local stopped = 0
    local net <close> = kad.sim({ nodes = 10, seed = 1, policies = { {
      on_stop = function()
        stopped = stopped + 1
      end,
    } } })
    net:leave(0.3)
    assert.equal(3, stopped)
    assert.equal(7, net:alive())
    assert.equal(3, net:statistics().left)
  end))

  it("cuts nodes off from all others, and heals", with_sim({ nodes = 20,
    seed = 1 }, function(net)
    local away = net:partition({ net.nodes[1], net.nodes[2] })[1]
    assert.equal(2, #away)
    assert.is_true(reaches(net, net.nodes[1], net.nodes[2]))
    assert.is_false(reaches(net, net.nodes[1], net.nodes[3]))
    assert.is_true(reaches(net, net.nodes[3], net.nodes[4]))
    net:heal()
    assert.is_true(reaches(net, net.nodes[1], net.nodes[3]))
    assert.equal(10, #net:partition(0.5)[1])
    assert.is_true(net:statistics().partitioned > 0)
  end))

  it("cuts several groups off", with_sim({ nodes = 9 }, function(net)
    local nodes = net.nodes
    net:partition({ { nodes[1], nodes[2] }, { nodes[3], nodes[4] } })
    assert.is_true(reaches(net, nodes[3], nodes[4]))
    assert.is_false(reaches(net, nodes[1], nodes[3]))
    assert.is_false(reaches(net, nodes[3], nodes[5]))
  end))

  it("joins new nodes on one side", with_sim({ nodes = 20, seed = 4 },
    function(net)
      local sides = net:partition(net:choose(20))
      assert.equal(20, #sides[1])
      local late = net:join()
      assert.is_true(reaches(net, late, net.nodes[1]))
    end))

  it("restarts nodes with their ids", with_sim({ nodes = 12, seed = 1 },
    function(net)
      local before, id = net.nodes[4], net.nodes[4]:id()
      local address = before:addresses()[1]
      net:perform(function()
        assert(before:put(kad.key("a"), "1"))
      end)
      local began = net:now()
      local after = net:restart(before, 60)[1]
      assert.is_true(net:now() - began >= 60)
      assert.is_false(before:is_open())
      assert.equal(id, after:id())
      assert.equal(address, after:addresses()[1])
      assert.equal("healthy", after:state())
      assert.equal(12, net:alive())
      assert.same({}, after:held(kad.key("a")))
    end))

  it("restarts all nodes together", with_sim({ nodes = 12, seed = 1 },
    function(net)
      assert.equal(12, #net:restart(net.nodes))
      assert.equal(12, net:alive())
      for _, node in ipairs(net.nodes) do
        assert.is_true(#node:contacts() > 0)
      end
    end))

  it("suspends and resumes nodes", with_sim({ nodes = 5 }, function(net)
    local sleeper = net.nodes[2]
    net:suspend(sleeper, 100)
    assert.is_false(reaches(net, net.nodes[1], sleeper))
    net:run(100)
    assert.is_true(reaches(net, net.nodes[1], sleeper))
    net:suspend(sleeper)
    net:resume()
    assert.is_true(reaches(net, net.nodes[1], sleeper))
  end))

  it("moves nodes to other addresses", with_sim({ nodes = 5 }, function(net)
    local before = net.nodes[2]:addresses()[1]
    net:move(net.nodes[2])
    local after = net.nodes[2]:addresses()[1]
    assert.not_equal(before, after)
    local first = net.nodes[1]
    net:perform(function()
      assert.is_truthy(first:ping(after))
      assert.is_nil(first:ping(before))
    end)
  end))

  it("makes clocks wrong", with_sim({ nodes = 2 }, function(net)
    net:skew(1, { drift = 1000, ahead = -3600 })
    support.assert_blames_caller("'drift' must be in", function()
      net:skew(1, { drift = 1000000 })
    end)
    support.assert_blames_caller("'ahead' must be in", function()
      net:skew(1, { ahead = 1 << 40 })
    end)
    support.assert_blames_caller("unknown option 'late'", function()
      net:skew(1, { late = 1 })
    end)
  end))
end)
