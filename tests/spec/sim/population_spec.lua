local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local spec = support.spec
local with_sim = sim_support.with_sim

describe("kadenza.sim.population", function()
  it("joins a thousand nodes to one overlay", spec(function()
    local net <close> = kad.sim({ nodes = 1000, seed = 3 })
    assert.is_true(net:now() < 60)
    net:run(60)
    for i = 1, 1000, 50 do
      assert.is_true(#net.nodes[i]:contacts() > 20)
    end
    net:perform(function()
      assert(net.nodes[1]:put(kad.key("a"), "1"))
      for i = 100, 1000, 100 do
        assert.equal("1", (net.nodes[i]:get(kad.key("a"))))
      end
    end)
  end))

  it("gives each node a subnet of its own", with_sim({ nodes = 300,
    join = false }, function(net)
    local subnets = {}
    for _, node in ipairs(net.nodes) do
      local subnet = node:addresses()[1]:match("^%d+%.%d+%.%d+")
      assert.is_nil(subnets[subnet])
      subnets[subnet] = true
    end
  end))

  it("chooses open nodes, the same for the same seed", spec(function()
    local function draw(seed)
      local net <close> = kad.sim({ nodes = 20, seed = seed, join = false })
      local chosen, seen = net:choose(5), {}
      for i, node in ipairs(chosen) do
        assert.is_nil(seen[node])
        seen[node] = true
        chosen[i] = node:addresses()[1]
      end
      assert.equal(10, #net:choose(0.5))
      assert.equal(20, #net:choose(100))
      assert.equal(1, #net:choose())
      net.nodes[1]:close()
      assert.equal(19, #net:choose(20))
      assert.equal(19, net:alive())
      return table.concat(chosen, " ")
    end
    assert.equal(draw(1), draw(1))
    assert.not_equal(draw(1), draw(2))
  end))

  it("refuses to choose what is not its node", with_sim({ nodes = 2 },
    function(net)
      local other <close> = kad.sim({ nodes = 1 })
      for _, case in ipairs({
        { -1, "neither a number of nodes nor a share" },
        { 1.5, "neither a number of nodes nor a share" },
        { "a", "a node is needed, not string" },
        { { 5 }, "a node is needed, not number" },
        { other.nodes[1], "the node is of another network" },
      }) do
        for _, method in ipairs({ "choose", "kill", "leave", "suspend" }) do
          assert.error_matches(function()
            net[method](net, case[1])
          end, case[2], 1, true)
        end
      end
      assert.equal(2, net:alive())
    end))

  it("raises errors at the line of the caller",
    with_sim({ nodes = 2 }, function(net)
      support.assert_blames_caller("a node is needed", function()
        net:choose("a")
      end)
      support.assert_blames_caller("a node is needed", function()
        net:kill("a")
      end)
      support.assert_blames_caller("options must be a table", function()
        net:hostile(1, "liar", 5)
      end)
      support.assert_blames_caller("options must be a table", function()
        net:join("a")
      end)
      support.assert_blames_caller("unknown option 'kk'", function()
        kad.sim({ nodes = 1, config = { kk = 1 } })
      end)
    end))

  it("joins nodes, inside of a task and outside", with_sim({ nodes = 10 },
    function(net)
      local one = net:join()
      assert.equal("healthy", one:state())
      local three = net:join(3, { read_only = true })
      assert.equal(3, #three)
      net:perform(function()
        assert.equal("healthy", net:join({ id = ("a"):rep(40) }):state())
      end)
      assert.equal(15, net:alive())
      support.assert_blames_caller("unknown option 'colour'", function()
        net:join({ colour = 1 })
      end)
      support.assert_blames_caller("the number of nodes", function()
        net:join(1.5)
      end)
    end))

  it("waits ten minutes where no node answers, and the joins go on",
    spec(function()
      for _, act in ipairs({
        function(net) return net:join() end,
        function(net) return net:restart(1)[1] end,
        function(net) return net:sybils(1, ("k"):rep(20))[1] end,
      }) do
        local net <close> = kad.sim({ nodes = 3 })
        local warnings = {}
        net:suspend(3)
        local before = kad.log.configure({ level = "warn",
          sink = function(event)
            table.insert(warnings, event.fields.left)
          end })
        local node = act(net)
        kad.log.restore(before)
        assert.same({ 1 }, warnings)
        assert.is_true(net:now() > 600 and net:now() < 620)
        assert.not_equal("healthy", node:state())
        net:resume()
        net:run(60)
        assert.equal("healthy", node:state())
      end
    end))

  it("joins the first node without waiting", with_sim({}, function(net)
    net:join()
    assert.equal("healthy", net:join():state())
  end))
end)
