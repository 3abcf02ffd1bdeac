local statistics = require("kadenza.sim.statistics")

-- Returns a distribution with `count` values of `next_value`.
local function filled(count, next_value, limit)
  local distribution = statistics.distribution(limit)
  for i = 1, count do
    distribution:add(next_value(i))
  end
  return distribution
end

describe("kadenza.sim.statistics.distribution", function()
  it("is exact with few values", function()
    local few = filled(100, function(i)
      return i
    end)

    assert.equal(50, few:quantile(0.5))
    assert.equal(99, few:quantile(0.99))
    assert.equal(1, few:quantile(0))
    assert.equal(100, few:quantile(1))
    assert.equal(50.5, few:mean())
    assert.is_true(few.exact)
  end)

  it("has no figures without values", function()
    local empty = statistics.distribution()

    assert.is_nil(empty:quantile(0.5))
    assert.is_nil(empty:mean())
    assert.same({}, empty:cumulative())
  end)

  it("ignores NaN and infinite values", function()
    local odd = filled(3, function(i)
      return ({ 0 / 0, math.huge, 7 })[i]
    end)

    assert.equal(1, odd.count)
    assert.equal(7, odd:mean())
  end)

  it("keeps few buckets for many values, and quantiles within 1 %", function()
    local many = filled(200000, function(i)
      return (i * 7919 % 200000 + 1) * 0.37
    end)

    assert.is_false(many.exact)
    assert.is_true(#many:values() < 1000)
    for _, share in ipairs({ 0.01, 0.5, 0.9, 0.99, 0.999 }) do
      local right = share * 200000 * 0.37
      assert.is_true(math.abs(many:quantile(share) - right) <= 0.0101 * right)
    end
    assert.equal(0.37 * 200000, many:quantile(1))
  end)

  it("keeps zeros and negative values apart in buckets", function()
    local signs = filled(5, function(i)
      return ({ -100, 0, 0, 50, 100 })[i]
    end, 2)

    assert.is_true(math.abs(signs:quantile(0.1) + 100) < 1)
    assert.equal(0, signs:quantile(0.5))
    assert.is_true(math.abs(signs:quantile(1) - 100) < 1)
  end)

  it("has a cumulative curve that ends with 1", function()
    local points = filled(10000, function(i)
      return i % 1000
    end):cumulative(50)

    assert.is_true(#points <= 51)
    assert.same({ 999, 1 }, points[#points])
    for i = 2, #points do
      assert.is_true(points[i][1] > points[i - 1][1])
      assert.is_true(points[i][2] > points[i - 1][2])
    end
  end)
end)

describe("kadenza.sim.statistics.time_series", function()
  it("has mean, sum and count of each interval", function()
    local series = statistics.time_series({ interval = 10, start = 100 })
    series:add(101, 1)
    series:add(109, 3)
    series:add(125, 5)

    assert.same({ { 105, 2, 4, 2 }, { 125, 5, 5, 1 } }, series:rows())
  end)

  it("weighs a value that stands for several", function()
    local series = statistics.time_series({ interval = 10 })
    series:add(1, 1, 3)
    series:add(2, 5)

    assert.same({ { 5, 2, 8, 4 } }, series:rows())
  end)

  it("doubles its interval instead of growing", function()
    local series = statistics.time_series({ interval = 1, limit = 8 })
    for second = 0, 999 do
      series:add(second, second)
    end
    local rows = series:rows()
    local sum, count = 0, 0
    for _, row in ipairs(rows) do
      sum, count = sum + row[3], count + row[4]
    end

    assert.is_true(#rows <= 8)
    assert.equal(128, series.interval)
    assert.equal(1000, count)
    assert.equal(999 * 500, sum)
  end)
end)
