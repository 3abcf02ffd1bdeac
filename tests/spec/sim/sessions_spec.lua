local sessions = require("kadenza.sim.sessions")

describe("kadenza.sim.sessions", function()
  for name, options in pairs({
    exponential = { median = 100 },
    weibull = { median = 100, shape = 0.5 },
    pareto = { median = 100, shape = 2 },
    measured = { median = 100 },
    fixed = { median = 100 },
  }) do
    it("has its median and grows (" .. name .. ")", function()
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

  it("ends the longest sessions after 1e9 seconds", function()
    local long = sessions.new({ session = "weibull", median = 1e9,
      shape = 0.11 })
    assert.equal(1e9, long:length(1 - 2 ^ -53))
    assert.is_true(long:remaining(0.999, 0.999) <= 1e9)
  end)

  it("has the measured quantiles: 50 % in 2 hours, 80 % in 8", function()
    local session = sessions.new({ session = "measured" })
    assert.is_true(math.abs(session:length(0.5) - 2 * 3600) < 1e-6)
    assert.is_true(math.abs(session:length(0.8) - 8 * 3600) < 1e-6)
  end)

  it("draws the rest of an exponential session like a new one",
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

  it("draws longer rests of a heavy-tailed distribution", function()
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
end)
