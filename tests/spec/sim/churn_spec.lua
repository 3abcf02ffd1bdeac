local kad = require("kadenza")
local support = require("tests.spec.support")

local spec = support.spec

describe("kadenza.sim.churn", function()
  -- Returns how many nodes left within so many median sessions.
  local function count_gone(options, medians)
    options.median = 600
    local net <close> = kad.sim({ nodes = 100, seed = 5, churn = options })
    net:run(600 * medians)
    local counts = net:statistics()
    return counts.crashed + counts.left, counts, net
  end

  it("ends half of the nodes within a median session", spec(function()
    local gone, counts = count_gone({ crash = 0.25 }, 1)
    -- A Poisson process of rate ln 2 a median: 69, within 4 deviations.
    assert.is_true(gone > 36 and gone < 102, gone)
    assert.is_true(counts.crashed < counts.left)
    assert.equal(100, counts.alive)
    assert.is_true(counts.joined > 0.9 * gone)
  end))

  it("crashes the given share", spec(function()
    local _, all = count_gone({ crash = 1 }, 1)
    assert.equal(0, all.left)
    local _, none = count_gone({ crash = 0 }, 1)
    assert.equal(0, none.crashed)
  end))

  it("ends each node once in a fixed time", spec(function()
    local gone = count_gone({ session = "fixed" }, 1)
    assert.equal(100, gone)
  end))

  it("gives new nodes new ids, and keeps nodes that stay",
    spec(function()
      local net <close> = kad.sim({ nodes = 20, seed = 1 })
      local first, ids = net.nodes[1], {}
      for _, node in ipairs(net.nodes) do
        ids[node:id()] = true
      end
      net:churn({ session = "fixed", median = 100, stay = { first } })
      net:run(100)
      assert.is_true(first:is_open())
      for i = 2, 20 do
        assert.is_nil(ids[net.nodes[i]:id()])
      end
    end))

  it("brings the same nodes back", spec(function()
    local net <close> = kad.sim({ nodes = 20, seed = 1 })
    local ids = {}
    for _, node in ipairs(net.nodes) do
      ids[node:id()] = node:addresses()[1]
    end
    net:churn({ session = "fixed", median = 1000, return_after = 300,
      stay = 5 })
    net:run(900)
    local alive = net:alive()
    assert.is_true(alive < 20 and alive >= 5)
    net:churn(false)
    net:churn({ session = "fixed", median = 10000, return_after = 300 })
    net:run(1200)
    for _, node in ipairs(net.nodes) do
      assert.equal(ids[node:id()], node:addresses()[1])
    end
    assert.is_true(net:statistics().joined > 0)
  end))

  it("stops", spec(function()
    local net <close> = kad.sim({ nodes = 20, seed = 1,
      churn = { median = 60 } })
    net:run(60)
    local before = net:statistics()
    net:churn(false)
    net:run(600)
    local after = net:statistics()
    assert.equal(before.crashed + before.left, after.crashed + after.left)
    assert.is_true(before.crashed + before.left > 0)
  end))

  it("does not end a node twice", spec(function()
    local net <close> = kad.sim({ nodes = 20, seed = 1,
      churn = { session = "fixed", median = 100 } })
    net:kill(5)
    net:run(100)
    assert.equal(15, net:alive())
    assert.equal(20, net:statistics().crashed + net:statistics().left)
  end))

  it("puts a new node on the side of the node that it replaces",
    spec(function()
      local net <close> = kad.sim({ nodes = 20, seed = 1 })
      net:partition(0.5)
      net:churn({ session = "fixed", median = 100 })
      net:run(200)
      local sides = {}
      for _, node in ipairs(net.nodes) do
        local side = net.sides[node] or 0
        sides[side] = (sides[side] or 0) + 1
        assert.equal("healthy", node:state())
      end
      assert.same({ [0] = 10, [1] = 10 }, sides)
    end))

  it("takes sessions of any length", spec(function()
    local net <close> = kad.sim({ nodes = 5, seed = 2 })
    net:churn({ session = "weibull", median = 1e9, shape = 0.11 })
    net:run(3600)
    assert.equal(5, net:alive())
  end))

  it("names the mistake in wrong options", function()
    for _, case in ipairs({
      { {}, "option 'median' is needed" },
      { { session = "long", median = 1 }, "option 'session' must be" },
      { { median = 0 }, "option 'median' must be in 1 to 1e9" },
      { { median = 0 / 0 }, "option 'median' must be in 1 to 1e9" },
      { { median = 1, shape = 2 }, "'shape' has no meaning for 'exponential'" },
      { { session = "pareto", median = 1, shape = 1 }, "must be above 1" },
      { { session = "weibull", median = 1, shape = 0 }, "must be above 0.1" },
      { { median = 1, crash = 2 }, "option 'crash' must be in 0 to 1" },
      { { median = 1, return_after = -1 }, "option 'return_after'" },
      { { median = 1, colour = 2 }, "unknown option 'colour'" },
      { { median = "1" }, "option 'median' must be a number" },
      { { median = 1, stay = "all" }, "an integer or a list of nodes" },
    }) do
      support.assert_blames_caller(case[2], function()
        kad.sim({ churn = case[1] })
      end)
      local net <close> = kad.sim({})
      support.assert_blames_caller(case[2], function()
        net:churn(case[1])
      end)
    end
  end)
end)
