-- Tests bench/sim/growth.lua, bench/sim/size.lua, bench/sim/rows.lua.
local growth = require("bench.sim.growth")
local rows = require("bench.sim.rows")
local size = require("bench.sim.size")
local scenario = require("kadenza.sim.scenario")

-- Returns a run as growth.report needs it.
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
    it("include " .. row.name, function()
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

describe("bench.sim.growth", function()
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

  it("fails when hops grow faster", function()
    local runs = {}
    for i, nodes in ipairs({ 100, 1000, 10000, 100000 }) do
      runs[i] = fake_run(nodes, nodes ^ 0.5 / 10)
    end
    local figures = figures_of(runs)

    assert.is_false(figures["variance that c · log n explains"].met)
    assert.is_false(figures["mean hops / log2 n, worst"].met)
  end)
end)

describe("bench.sim.size", function()
  local text = [[
phase nodes clock s cpu s datagrams ticks events/s queries/min contacts resident blocks
join 100 148 0.02 14839 1402 659779 30.12 31.9 234947 9719
quiet 100 3600 0.04 30746 12654 1022925 2.56 35.7 234947 10112
trace 8649e733f6872127
]]

  it("reads the table by the names of its columns", function()
    assert.same({ nodes = 100, seconds = 0.04, rate = 1022925, queries = 2.56,
      contacts = 35.7, resident = 234947, live = 10112,
      hash = "8649e733f6872127" }, size.parse(text))
  end)

  it("refuses any other text", function()
    for _, other in ipairs({ "", "phase nodes\nquiet 1\n",
      (text:gsub("resident", "size")), (text:gsub("35.7 ", "")),
      (text:gsub("trace", "hash ")) })
    do
      assert.error_matches(function()
        size.parse(other)
      end, "something else")
    end
  end)
end)
