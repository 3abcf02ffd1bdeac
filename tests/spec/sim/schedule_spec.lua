local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local with_sim = sim_support.with_sim

describe("kadenza.sim.schedule", function()
  it("calls a function at a given time", with_sim({}, function(net)
    local began, called = net:now(), nil
    net:at(began + 10, function(given)
      called = given:now()
      kad.sleep(1)
    end)
    local canceled = net:at(began + 5, function()
      error("was canceled")
    end)
    canceled:cancel()
    net:run(9.9)
    assert.is_nil(called)
    net:run(1)
    assert.equal(began + 10, called)
    support.assert_blames_caller("time must not be before now", function()
      net:at(began, function() end)
    end)
    support.assert_blames_caller("a function is needed", function()
      net:at(began + 100)
    end)
    support.assert_blames_caller("seconds must be a number from 0", function()
      net:at(1 << 32, function() end)
    end)
  end))

  it("calls a function periodically", with_sim({}, function(net)
    local began, times = net:now(), {}
    local task = net:every(10, function()
      times[#times + 1] = net:now() - began
      if #times == 2 then
        kad.sleep(25) -- two periods are skipped
      end
    end)
    net:run(65)
    assert.same({ 10, 20, 50, 60 }, times)
    task:cancel()
    net:run(60)
    assert.equal(4, #times)

    local count = 0
    net:every(1, function()
      count = count + 1
      return count < 3
    end)
    net:run(10)
    assert.equal(3, count)
    support.assert_blames_caller("seconds must be at least", function()
      net:every(0, function() end)
    end)
    support.assert_blames_caller("seconds must be a number from 0", function()
      net:every(1 << 32, function() end)
    end)
  end))
end)
