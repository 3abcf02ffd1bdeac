local kad = require("kadenza")
local rates = require("kadenza.rates")
local support = require("tests.spec.support")

-- Adds readings of a counter that grows by `rate` a second, every five seconds
-- from `from` to `to`.
local function grow(figures, rate, from, to, value)
  for now = from, to, rates.PERIOD do
    figures:add(now, { calls = value })
    value = value + rate * rates.PERIOD
  end
  return value - rate * rates.PERIOD
end

describe("kadenza.rates", function()
  it("has no rate before the second reading", function()
    local figures = rates.new()
    assert.is_nil(figures:rate("calls", rates.MINUTE))
    assert.same({}, figures:all(rates.QUARTER))
    figures:add(10, { calls = 7 })
    assert.is_nil(figures:rate("calls", rates.MINUTE))
    assert.same({}, figures:all(rates.MINUTE))
    figures:add(10, { calls = 9 })
    assert.is_nil(figures:rate("calls", rates.MINUTE))
  end)

  it("is over the readings while they are younger than the window", function()
    local figures = rates.new()
    grow(figures, 3, 100, 120, 1000)
    assert.same({ 3.0, 20 }, { figures:rate("calls", rates.MINUTE) })
    assert.same({ 3.0, 20 }, { figures:rate("calls", rates.QUARTER) })
  end)

  it("forgets what is older than a window", function()
    local figures = rates.new()
    local value = grow(figures, 10, 0, 1000, 0)
    grow(figures, 0, 1005, 1060, value)
    assert.same({ 0.0, 60 }, { figures:rate("calls", rates.MINUTE) })
    local rate, seconds = figures:rate("calls", rates.QUARTER)
    assert.is_true(seconds >= 900 and seconds <= 960, seconds)
    assert.near(10 * (seconds - 60) / seconds, rate, 1e-9)
  end)

  it("has the windows of a counter over hours", function()
    local figures, value = rates.new(), 0
    for hour = 0, 3 do
      value = grow(figures, hour, hour * 3600, hour * 3600 + 3595, value)
      value = value + hour * rates.PERIOD
      for _, window in ipairs({ rates.MINUTE, rates.QUARTER }) do
        local rate, seconds = figures:rate("calls", window)
        assert.near(hour, rate, 1e-9)
        assert.is_true(seconds >= window and seconds <= window + 60, seconds)
      end
    end
  end)

  it("keeps the window when timers are late or early", function()
    local figures, now = rates.new(), 0
    for i = 1, 2000 do
      figures:add(now, { calls = math.floor(now * 1000) })
      now = now + 5 + (i * 7919 % 200 - 100) / 1000
    end
    for _, window in ipairs({ rates.MINUTE, rates.QUARTER }) do
      local rate, seconds = figures:rate("calls", window)
      assert.near(1000, rate, 1)
      assert.is_true(math.abs(seconds - window) < 66, seconds)
    end
  end)

  it("counts a counter that begins again from 0", function()
    local figures = rates.new()
    figures:add(0, { calls = 1000 })
    figures:add(5, { calls = 1010 })
    figures:add(10, { calls = 4 })
    assert.same({ 1.4, 10 }, { figures:rate("calls", rates.MINUTE) })
  end)

  it("counts a counter that appears later from its first value", function()
    local figures = rates.new()
    figures:add(0, { calls = 1 })
    figures:add(5, { calls = 1, writes = 500 })
    figures:add(10, { calls = 1, writes = 510 })
    assert.same({ calls = 0.0, writes = 1.0 }, (figures:all(rates.MINUTE)))
  end)

  it("begins again after a pause, and when the clock goes back", function()
    for _, later in ipairs({ 3600, 161, -50 }) do
      local figures = rates.new()
      local value = grow(figures, 10, 0, 100, 0)
      figures:add(later, { calls = value + 5000 })
      assert.is_nil(figures:rate("calls", rates.MINUTE))
      assert.is_nil(figures:rate("calls", rates.QUARTER))
      figures:add(later + 5, { calls = value + 5010 })
      assert.same({ 2.0, 5 }, { figures:rate("calls", rates.MINUTE) })
      assert.same({ 2.0, 5 }, { figures:rate("calls", rates.QUARTER) })
    end
  end)

  it("goes on after a pause of less than a minute", function()
    local figures = rates.new()
    grow(figures, 10, 0, 100, 0)
    figures:add(150, { calls = 1000 })
    assert.same({ 100 / 60, 60 }, { figures:rate("calls", rates.MINUTE) })
  end)

  it("has no rate of an unknown counter", function()
    local figures = rates.new()
    grow(figures, 1, 0, 100, 0)
    assert.is_nil(figures:rate("contacts", rates.MINUTE))
  end)

  it("raises for another window, and names the argument", function()
    local figures = rates.new()
    for _, method in ipairs({ "rate", "all" }) do
      local succeeded, message = pcall(function()
        local _ = figures[method](figures, method == "rate" and "calls" or 30,
          30)
      end)
      assert.is_false(succeeded)
      assert.matches("rates_spec.lua:%d+: window: expected", message)
    end
  end)

  it("uses bounded memory", function()
    local figures = rates.new()
    local function fill(from, to)
      for now = from, to, rates.PERIOD do
        local counters = {}
        for i = 1, 90 do
          counters["counter " .. i] = now * i
        end
        figures:add(now, counters)
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage("count")
    end
    local full = fill(0, 2000)
    local later = fill(2005, 20000)
    assert.is_true(later - full < 4, later - full)
  end)
end)

describe("kadenza.rates.watch", function()
  it("reads the counters of a node in virtual time", support.spec(function()
    local net <close> = kad.sim({ nodes = 8, seed = 1 })
    local node = net.nodes[3]
    local figures <close> = rates.watch(node)
    assert.is_nil(figures:rate("queries", rates.MINUTE))
    local before = node:stats()
    net:run(30)
    local after = node:stats()
    local rate, seconds = figures:rate("queries", rates.MINUTE)
    assert.equal(30, seconds)
    assert.near((after.queries - before.queries) / 30, rate, 1e-9)
    assert.is_true(rate > 0)
    net:run(1800)
    rate, seconds = figures:rate("datagrams_in", rates.QUARTER)
    assert.is_true(rate > 0 and seconds >= 900, seconds)
  end))

  it("has the counters, and none of the gauges", support.spec(function()
    local net <close> = kad.sim({ nodes = 2, seed = 1 })
    local figures <close> = rates.watch(net.nodes[1])
    net:run(10)
    local all = figures:all(rates.MINUTE)
    assert.is_number(all.lookups)
    assert.is_number(all.send_eperm)
    assert.is_nil(all.contacts)
    assert.is_nil(all.records)
  end))

  it("ends when the node closes", support.spec(function()
    local net <close> = kad.sim({ nodes = 3, seed = 1 })
    local figures = rates.watch(net.nodes[2])
    net:run(20)
    local rate = figures:rate("bytes_in", rates.MINUTE)
    net.nodes[2]:close()
    net:run(60)
    assert.equal(rate, (figures:rate("bytes_in", rates.MINUTE)))
    figures:stop()
    figures:stop()
  end))

  it("stops on request", support.spec(function()
    local net <close> = kad.sim({ nodes = 3, seed = 1 })
    local figures = rates.watch(net.nodes[2])
    net:run(20)
    figures:stop()
    net:run(100)
    assert.equal(20, (select(2, figures:rate("bytes_in", rates.MINUTE))))
  end))
end)
