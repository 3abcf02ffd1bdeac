local kad = require("kadenza")
local plot = require("kadenza.sim.plot")
local report = require("kadenza.sim.report")
local run_report = require("kadenza.sim.run_report")
local scenario = require("kadenza.sim.scenario")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local spec = support.spec
local with_folder = sim_support.with_report_folder

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- Returns the rows of a CSV file: lists of cells, texts.
local function parse_csv(text)
  local rows = {}
  for line in text:gmatch("([^\r\n]*)\r\n") do
    local row = {}
    for cell in (line .. ","):gmatch('("?.-"?),') do
      row[#row + 1] = cell
    end
    rows[#rows + 1] = row
  end
  return rows
end

-- Runs a small scenario with a policy and a get that fails.
local function run_scenario()
  return scenario.run({
    name = "small",
    summary = "A few values in a small overlay.",
    nodes = 20,
    hours = 0.5,
    sample = 60,
    network = { policies = { { name = "p", on_request = function()
      return true
    end } } },
    workload = { keys = 10, gets = 4 },
    steps = { { part = 0.5, name = "half", run = function(_, run)
      run:get(kad.key("nothing is here"))
    end } },
    expect = function(_, run)
      run:expect("gets that succeed", run:share("get"), ">=", 1)
      run:expect("nodes", run.net:alive(), "==", 20)
      run:expect("nothing measured", nil, ">=", 1)
      run:expect("no number", 0 / 0, ">=", 1)
    end,
  }, { seed = 5 })
end

describe("kadenza.sim.run_report", function()
  local run, made
  local by_name, figures = {}, {}

  setup(spec(function()
    run = run_scenario()
    made = run_report.report(run)
    for _, chart in ipairs(made.charts) do
      by_name[chart.name] = chart
    end
    for _, figure in ipairs(made.summary) do
      figures[figure.name] = figure
    end
  end))

  it("has every chart that a run with a policy has", function()
    for _, name in ipairs({ "success", "time", "hops", "messages", "traffic",
      "kinds", "table", "population", "policy", "calls" })
    do
      assert.is_not_nil(by_name[name], name)
    end
  end)

  it("has the seed, the hash and the expectations", function()
    assert.equal(5, made.seed)
    assert.equal(run.trace_hash, made.hash)
    assert.same({ name = "nodes", value = 20, text = "20", goal = "= 20",
      met = true }, figures["nodes"])
    assert.is_false(figures["gets that succeed"].met)
    assert.equal("nothing measured", figures["nothing measured"].text)
    assert.equal("nan", figures["no number"].text)
  end)

  it("counts hops of the operations", function()
    local counts, gets, column = {}, 0, nil
    for _, get in ipairs(run.records.get) do
      if get.hops then
        counts[get.hops] = (counts[get.hops] or 0) + 1
        gets = gets + 1
      end
    end
    for i, name in ipairs(by_name.hops.columns) do
      column = name == "get" and i or column
    end
    for _, row in ipairs(by_name.hops.rows) do
      assert.equal(counts[row[1]] and counts[row[1]] * 100 / gets, row[column])
      counts[row[1]] = nil
    end
    assert.is_nil(next(counts))
  end)

  it("has the quantiles of the times of operations", function()
    local took = {}
    for _, get in ipairs(run.records.get) do
      took[#took + 1] = get.took * 1000
    end
    table.sort(took)

    assert.equal(took[math.ceil(#took * 0.5)],
      figures["get: median time"].value)
    assert.equal(took[math.ceil(#took * 0.99)],
      figures["get: 99 % within"].value)
    assert.equal(run:share("get"), figures["get: succeeded"].value)
  end)

  it("writes the numbers as CSV", with_folder(function(folder)
    assert(report.write(folder, made))
    for _, chart in pairs(by_name) do
      local rows = parse_csv(read(folder .. "/" .. chart.name .. ".csv"))

      assert.equal(#chart.rows + 1, #rows)
      for i, row in ipairs(chart.rows) do
        for j = 1, #chart.columns do
          local cell = rows[i + 1][j]
          if type(row[j]) == "number" then
            assert.is_true(math.abs(tonumber(cell) - row[j])
              <= 1e-9 * math.abs(row[j]))
          else
            assert.equal(row[j] or "", cell)
          end
        end
      end
    end
  end))

  it("counts what nodes send and answer", function()
    for _, row in ipairs(by_name.traffic.rows) do
      assert.is_true(row[2] >= row[3] and row[3] > 0)
    end
    assert.same({ "hours", "ping", "find_node", "find_value", "store" },
      by_name.kinds.columns)
    for _, row in ipairs(by_name.table.rows) do
      assert.is_true(row[3] <= row[2] and row[2] <= row[4])
    end
  end)

  it("counts the calls of hooks", function()
    local row = by_name.calls.rows[1]

    assert.equal("p: on_request", row[1])
    assert.equal(run.records.policy[1].calls, row[2])
    assert.is_true(row[2] > 100)
  end)

  it("marks events", function()
    assert.same({ { 0.25, "half" } }, by_name.success.marks)
    assert.matches("'half' at 0%.25", plot.script(by_name.success))
    assert.is_nil(by_name.hops.marks)
  end)

  it("is the same for the same seed, except for times of hooks", function()
    local again = run_report.report(run_scenario())
    assert.equal(made.hash, again.hash)
    for i, chart in ipairs(again.charts) do
      if chart.name ~= "policy" then
        assert.equal(plot.csv(made.charts[i]), plot.csv(chart))
      end
    end
  end)
end)
