local kad = require("kadenza")
local sessions = require("kadenza.sim.sessions")
local support = require("tests.spec.support")

local spec = support.spec

describe("session lengths", function()
  for name, options in pairs({
    exponential = { median = 100 },
    weibull = { median = 100, shape = 0.5 },
    pareto = { median = 100, shape = 2 },
    measured = { median = 100 },
    fixed = { median = 100 },
  }) do
    it("have their median and grow (" .. name .. ")", function()
      options.session = name
      local session = sessions.new(options)
      assert.is_true(math.abs(session:length(0.5) - 100) < 1e-9)
      local before = session:length(0)
      for i = 1, 999 do
        local length = session:length(i / 1000)
        assert.is_true(length >= before and length < math.huge)
        before = length
      end
    end)
  end

  it("are those measured: half within 2 hours, four fifths within 8", function()
    local session = sessions.new({ session = "measured" })
    assert.is_true(math.abs(session:length(0.5) - 2 * 3600) < 1e-6)
    assert.is_true(math.abs(session:length(0.8) - 8 * 3600) < 1e-6)
  end)

  it("are exponential: the rest of a session is as long as a new one",
    function()
      local session = sessions.new({ median = 100 })
      local shorter, count = 0, 0
      for i = 0, 99 do
        for j = 0, 99 do
          local rest = session:remaining((i + 0.5) / 100, (j + 0.5) / 100)
          shorter = shorter + (rest <= 100 and 1 or 0)
          count = count + 1
        end
      end
      assert.is_true(math.abs(shorter / count - 0.5) < 0.01)
    end)

  it("are longer when met in their midst, if some are very long", function()
    local function mean_rest(options)
      local session, sum = sessions.new(options), 0
      for i = 0, 99 do
        sum = sum + session:remaining((i + 0.5) / 100, 0.5)
      end
      return sum / 100
    end
    assert.is_true(math.abs(mean_rest({ session = "fixed", median = 100 })
      - 50) < 1e-9)
    assert.is_true(mean_rest({ session = "weibull", median = 100 })
      > 2 * mean_rest({ median = 100 }))
  end)

  it("name what is wrong with them", function()
    for _, case in ipairs({
      { {}, "option 'median' is needed" },
      { { session = "long", median = 1 }, "option 'session' must be" },
      { { median = 0 }, "option 'median' must be in 1 to 1e9" },
      { { median = 0 / 0 }, "option 'median' must be in 1 to 1e9" },
      { { median = 1, shape = 2 }, "'shape' has no meaning for 'exponential'" },
      { { session = "pareto", median = 1, shape = 1 }, "must be above 1" },
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

describe("churn", function()
  -- Returns how many nodes went in so many median sessions.
  local function count_gone(options, medians)
    options.median = 600
    local net <close> = kad.sim({ nodes = 100, seed = 5, churn = options })
    net:run(600 * medians)
    local counts = net:statistics()
    return counts.crashed + counts.left, counts, net
  end

  it("ends half of the nodes within a median", spec(function()
    local gone, counts = count_gone({ crash = 0.25 }, 1)
    -- as a Poisson process of rate ln 2 a median: 69, and 4 deviations
    assert.is_true(gone > 36 and gone < 102, gone)
    assert.is_true(counts.crashed < counts.left)
    assert.equal(100, counts.alive)
    assert.is_true(counts.joined > 0.9 * gone)
  end))

  it("crashes the share that it is told to", spec(function()
    local _, all = count_gone({ crash = 1 }, 1)
    assert.equal(0, all.left)
    local _, none = count_gone({ crash = 0 }, 1)
    assert.equal(0, none.crashed)
  end))

  it("ends each node once in a fixed time", spec(function()
    local gone = count_gone({ session = "fixed" }, 1)
    assert.equal(100, gone)
  end))

  it("gives those who come other ids, and spares those who stay",
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

  it("brings the same nodes back after a while", spec(function()
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

  it("ends when it is told to", spec(function()
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

  it("leaves alone who was ended otherwise", spec(function()
    local net <close> = kad.sim({ nodes = 20, seed = 1,
      churn = { session = "fixed", median = 100 } })
    net:kill(5)
    net:run(100)
    assert.equal(15, net:alive())
    assert.equal(20, net:statistics().crashed + net:statistics().left)
  end))

  it("keeps newcomers on the side of those whose place they take",
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
end)
