local growth = require("bench.sim.growth")
local rows = require("bench.sim.rows")
local scenario = require("kadenza.sim.scenario")

-- What growth.report asks of a run.
local function fake_run(nodes, hops)
  return {
    nodes = nodes,
    seed = 1,
    trace_hash = ("%016x"):format(nodes),
    mean = function()
      return hops
    end,
    percentile = function()
      return hops + 1
    end,
  }
end

local function figures_of(runs)
  local figures = {}
  for _, figure in ipairs(growth.report(runs).summary) do
    figures[figure.name] = figure
  end
  return figures
end

describe("the scenarios of make bench-sim", function()
  for _, row in ipairs(rows) do
    it("have one called " .. row.name, function()
      local about = row.program and row
        or assert(scenario.load("bench/sim/" .. row.name .. ".lua"))

      assert.is_string(about.summary)
      assert.is_number(row.smoke.nodes)
      assert.is_number(row.quick.nodes)
      if row.program then
        assert.is_function(require(row.program).run)
      else
        assert.equal(row.name, about.name)
        assert.is_function(about.expect)
        assert.is_true(row.quick.nodes < about.nodes)
      end
    end)
  end
end)

describe("the growth of hops", function()
  it("fits c to hops that grow as log n", function()
    local runs = {}
    for i, nodes in ipairs({ 128, 1024, 8192, 65536 }) do
      runs[i] = fake_run(nodes, 0.25 * math.log(nodes, 2))
    end
    local figures = figures_of(runs)

    assert.is_true(math.abs(figures["c of c · log2 n"].value - 0.25) < 1e-9)
    assert.is_true(
      figures["variance that c · log n explains"].value > 0.999)
    assert.is_true(figures["variance that c · log n explains"].met)
    assert.is_true(figures["mean hops / log2 n, worst"].met)
  end)

  it("sees hops that grow otherwise", function()
    local runs = {}
    for i, nodes in ipairs({ 100, 1000, 10000, 100000 }) do
      runs[i] = fake_run(nodes, nodes ^ 0.5 / 10)
    end
    local figures = figures_of(runs)

    assert.is_false(figures["variance that c · log n explains"].met)
    assert.is_false(figures["mean hops / log2 n, worst"].met)
  end)
end)
