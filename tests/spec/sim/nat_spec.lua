local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local spec = support.spec
local reaches = sim_support.reaches
local with_sim = sim_support.with_sim

describe("kadenza.sim.nat", function()
  it("puts nodes behind NATs", with_sim({ nodes = 100, seed = 1, nat = {
    symmetric = 0.2, port_restricted = 0.3 } }, function(net)
    local counts = { open = 0 }
    for _, node in ipairs(net.nodes) do
      local kind = net.nats[node] or "open"
      counts[kind] = (counts[kind] or 0) + 1
    end
    assert.is_nil(net.nats[net.nodes[1]])
    assert.is_true(math.abs(counts.symmetric - 20) <= 16, counts.symmetric)
    assert.is_true(math.abs(counts.port_restricted - 30) <= 18)
    assert.is_true(counts.open > 20)

    local inside = net:join()
    net:run(600) -- mappings of the join end
    net:nat(inside, "port_restricted", { idle = 5 })
    local outside = net.nodes[1]
    assert.is_false(reaches(net, outside, inside))
    assert.is_true(reaches(net, inside, outside))
    assert.is_true(reaches(net, outside, inside))
    local again = net:restart(inside)[1]
    assert.equal("port_restricted", net.nats[again])
    net:nat(again, "open")
    assert.is_true(reaches(net, net.nodes[2], again))
    assert.is_nil(net.nats[again])
  end))

  it("names the mistake in wrong options", spec(function()
    for _, case in ipairs({
      { { open = 0.5 }, "unknown option 'open'" },
      { { symmetric = 2 }, "option 'symmetric' must be in 0 to 1" },
      { { symmetric = 0.6, restricted = 0.6 }, "shares is more than 1" },
      { { idle = 0 }, "option 'idle' must be in 1 to 86400" },
    }) do
      support.assert_blames_caller(case[2], function()
        kad.sim({ nat = case[1] })
      end)
    end
    local net <close> = kad.sim({ nodes = 2 })
    support.assert_blames_caller("the kind must be one of open, full_cone",
      function()
        net:nat(1, "strict")
      end)
    support.assert_blames_caller("option 'idle' must be in", function()
      net:nat(1, "symmetric", { idle = 100000 })
    end)
  end))
end)
