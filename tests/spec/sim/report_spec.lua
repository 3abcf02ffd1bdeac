local dkjson = require("dkjson")
local uv = require("luv")

local core = require("kadenza.core")
local kad = require("kadenza")
local run_report = require("kadenza.sim.run_report")
local plot = require("kadenza.sim.plot")
local recorder = require("kadenza.sim.recorder")
local report = require("kadenza.sim.report")
local scenario = require("kadenza.sim.scenario")
local support = require("tests.spec.support")

local spec = support.spec

-- What may not come out of a report as anything but a text.
local HOSTILE <const> = "<script>alert('x')</script>\"],\n`id` $(id) \\ "
  .. "@x %s_a^b \255,=1+1"

local PARSE <const> = [[
import sys, xml.dom.minidom
for path in sys.argv[1:]:
    xml.dom.minidom.parse(path)
]]

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function exists(path)
  return uv.fs_stat(path) ~= nil
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

local function sample_report(name)
  return {
    title = name, about = name, scenario = name, seed = 7,
    hash = "0123456789abcdef",
    options = { { name = "nodes", value = "10" },
      { name = name, value = name } },
    summary = {
      { name = "gets that succeed", value = 0.9991, text = "99.91 %",
        goal = "≥ 99.9 %", met = true },
      { name = name, value = 2, text = name, goal = name, met = false },
    },
    charts = {
      { name = "hops", title = name, note = name, kind = "bars", x = name,
        y = name, columns = { "hops", name, "put" },
        rows = { { 1, 10, 3 }, { 2, 0.125, nil } } },
      { name = "time", title = name, kind = "steps", x = name, y = name,
        columns = { "ms", name }, rows = { { 1, 0.5 }, { 90, 1 } } },
      { name = "cost", title = name, kind = "labels", x = name, y = name,
        columns = { "hook", "calls" }, rows = { { name, 5 }, { "b", 6 } },
        logarithmic = "y" },
      { name = "empty", title = name, kind = "lines", x = name, y = name,
        columns = { "hours", "nodes" }, rows = {} },
    },
  }
end

-- Runs `fn` with a folder that is removed afterwards.
local function with_folder(fn)
  return spec(function()
    local folder, remove = support.temporary_folder()
    local passed, problem = pcall(fn, folder .. "/report")
    remove()
    if not passed then
      error(problem, 0)
    end
  end)
end

-- Runs `fn` where no program can be found.
local function without_programs(fn)
  local path = os.getenv("PATH")
  uv.os_setenv("PATH", "/nonexistent")
  local results = table.pack(pcall(fn))
  uv.os_setenv("PATH", path)
  assert(results[1], results[2])
  return table.unpack(results, 2, results.n)
end

describe("a report", function()
  it("has a page, a summary, and three files a chart",
    with_folder(function(folder)
      assert(report.write(folder, sample_report("churn")))

      for _, name in ipairs({ "index.html", "summary.txt", "summary.json",
        "hops.csv", "hops.gp", "hops.svg", "time.svg", "cost.svg" })
      do
        assert.is_true(exists(folder .. "/" .. name), name)
      end
      assert.is_false(exists(folder .. "/empty.svg"))
      for name in uv.fs_scandir_next, uv.fs_scandir(folder) do
        assert.is_nil(name:match("%.new$") or name:match("%.log$"), name)
      end
    end))

  it("has charts that are XML, also with names that are not",
    with_folder(function(folder)
      for _, name in ipairs({ "churn", HOSTILE }) do
        assert(report.write(folder, sample_report(name)))
        assert.equal(0, core.spawn({ "/usr/bin/python3", "-c", PARSE,
          folder .. "/hops.svg", folder .. "/time.svg",
          folder .. "/cost.svg" }))
      end
      assert.matches("alert", read(folder .. "/hops.svg"))
    end))

  it("has a page that runs nothing and asks nobody",
    with_folder(function(folder)
      assert(report.write(folder, sample_report(HOSTILE)))
      local html = read(folder .. "/index.html")

      assert.is_nil(html:find("<script", 1, true))
      assert.is_nil(html:find("<%?xml"))
      for link in html:gmatch("https?://[^\"' >]+") do
        assert.matches("^http://www%.w3%.org/", link) -- names of namespaces
      end
      for _, word in ipairs({ "src=", "@import", "<link", "url%([^#]" }) do
        assert.is_nil(html:find(word), word)
      end
      for target in html:gmatch("href=[\"']([^\"']*)") do
        assert.matches("^#", target)
      end
      assert.matches("&lt;script&gt;", html)
      assert.matches("prefers%-color%-scheme: ?dark", html)
    end))

  it("names every part of a page once", with_folder(function(folder)
    assert(report.write(folder, sample_report("churn")))
    local seen = {}
    for id in read(folder .. "/index.html"):gmatch(" id=[\"']([^\"']*)") do
      assert.is_nil(seen[id], id)
      seen[id] = true
    end
    assert.is_not_nil(next(seen))
  end))

  it("shows options, seed, hash, figures and goals",
    with_folder(function(folder)
      assert(report.write(folder, sample_report("churn")))
      for _, name in ipairs({ "index.html", "summary.txt" }) do
        local text = read(folder .. "/" .. name)
        for _, part in ipairs({ "0123456789abcdef", "churn", "99.91 %", "met",
          "missed", "≥ 99.9 %" })
        do
          assert.is_not_nil(text:find(part, 1, true), name .. ": " .. part)
        end
      end
      assert.matches("nodes</td><td><code>10", read(folder .. "/index.html"))
    end))

  it("has a summary for programs", with_folder(function(folder)
    assert(report.write(folder, sample_report(HOSTILE)))
    local document = assert(dkjson.decode(read(folder .. "/summary.json")))

    assert.equal(7, document.seed)
    assert.equal("0123456789abcdef", document.trace_hash)
    assert.equal(0.9991, document.figures[1].value)
    assert.is_true(document.figures[1].met)
    assert.is_false(document.figures[2].met)
    assert.equal(3, #document.charts)
  end))

  it("has the numbers as CSV", with_folder(function(folder)
    assert(report.write(folder, sample_report("a,b")))

    assert.equal('hops,"a,b",put\r\n1,10,3\r\n2,0.125,\r\n',
      read(folder .. "/hops.csv"))
  end))

  it("is drawn by scripts that work by themselves",
    with_folder(function(folder)
      assert(report.write(folder, sample_report("churn")))
      local again = folder .. "/again.svg"

      assert.equal(0, core.spawn({ "sh", "-c", 'cd "$1" && gnuplot hops.gp',
        "sh", folder }, { output = again }))
      assert.matches("</svg>%s*$", read(again))
    end))

  it("can be written again", with_folder(function(folder)
    local changed = sample_report("churn")
    assert(report.write(folder, changed))
    changed.title = "another title"
    assert(report.write(folder, changed))

    assert.matches("another title", read(folder .. "/index.html"))
  end))
end)

describe("a report that cannot be finished", function()
  it("names the package when nobody can draw",
    with_folder(function(folder)
      assert(report.write(folder, sample_report("churn")))
      local written, message, code = without_programs(function()
        return report.write(folder, sample_report("churn"))
      end)

      assert.is_nil(written)
      assert.matches("gnuplot%-nox", message)
      assert.equal("KAD_ENOTFOUND", code)
      assert.is_true(exists(folder .. "/hops.csv"))
      assert.is_true(exists(folder .. "/hops.gp"))
      assert.is_false(exists(folder .. "/hops.svg"))
      assert.matches("gnuplot%-nox", read(folder .. "/index.html"))
    end))

  it("says why a chart could not be drawn", with_folder(function(folder)
    local broken = sample_report("churn")
    broken.charts[1].name = "time2"
    broken.charts[1].columns[2] = nil
    broken.charts[1].columns = { "hops", "missing" }
    broken.charts[1].rows = { { 1 }, { 2 } }
    local written, message = report.write(folder, broken)

    assert.is_nil(written)
    assert.matches("^gnuplot could not draw time2: ", message)
    assert.is_true(exists(folder .. "/time.svg"))
  end))

  it("names the folder that cannot be made", with_folder(function(folder)
    local file = folder:gsub("/report$", "/file")
    assert(core.write_file(file, "x"))
    local written, message = report.write(file, sample_report("churn"))

    assert.is_nil(written)
    assert.equal(file .. ": Not a directory", message)
  end))

  it("names the file that cannot be written", with_folder(function(folder)
    assert(core.make_folder(folder .. "/hops.csv"))
    local written, message = report.write(folder, sample_report("churn"))

    assert.is_nil(written)
    assert.equal(folder .. "/hops.csv: Is a directory", message)
    assert.is_false(exists(folder .. "/hops.csv.new"))
  end))
end)

-- A small run of a scenario with a policy and a get that fails.
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
    end,
  }, { seed = 5 })
end

describe("the report of a run", function()
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

  it("says seed, hash, and what the run was to show", function()
    assert.equal(5, made.seed)
    assert.equal(run.trace_hash, made.hash)
    assert.same({ name = "nodes", value = 20, text = "20", goal = "= 20",
      met = true }, figures["nodes"])
    assert.is_false(figures["gets that succeed"].met)
    assert.equal("nothing measured", figures["nothing measured"].text)
  end)

  it("counts hops as they were", function()
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

  it("gives times whose quantiles are those of the operations", function()
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

  it("writes as CSV what it has counted", with_folder(function(folder)
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

  it("tells what nodes send and answer", function()
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

  it("marks what has happened", function()
    assert.same({ { 0.25, "half" } }, by_name.success.marks)
    assert.matches("'half' at 0%.25", plot.script(by_name.success))
    assert.is_nil(by_name.hops.marks)
  end)

  it("is the same for the same seed, but for the time of hooks", function()
    local again = run_report.report(run_scenario())
    assert.equal(made.hash, again.hash)
    for i, chart in ipairs(again.charts) do
      if chart.name ~= "policy" then
        assert.equal(plot.csv(made.charts[i]), plot.csv(chart))
      end
    end
  end)
end)

describe("a recorder", function()
  it("keeps to six kinds of operations", function()
    local many = recorder.new()
    for i = 1, 100 do
      many:record("kind " .. i, { time = i, ok = true })
    end

    assert.equal(7, #many.kinds)
    assert.equal(94, many.kinds[7].count)
  end)

  it("marks no more than a chart can show", function()
    local many = recorder.new()
    for i = 1, 1000 do
      many:record("mark", { time = i, text = "x" })
    end

    assert.equal(32, #many.marks)
  end)
end)

describe("a sampler that looks at some nodes only", function()
  it("counts what they sent meanwhile, and not in all their life",
    spec(function()
      local sampler = require("kadenza.sim.sampler")
      local open = {}
      -- Nodes that have sent a million queries, and send ten more a minute.
      local function node()
        local queries = 1000000
        return {
          is_open = function()
            return true
          end,
          state = function()
            return "healthy"
          end,
          core = { stats = function()
            queries = queries + 10
            return setmetatable({ queries = queries }, { __index = function()
              return 0
            end })
          end },
        }
      end
      for i = 1, 5000 do
        open[i] = node()
      end
      local now, records = 0, {}
      local fake = {
        records = {},
        values = {},
        net = { nodes = open, counts = { joined = 0, crashed = 0, left = 0 },
          alive = function()
            return #open
          end },
        now = function()
          return now
        end,
        select = function()
          return {}
        end,
        record = function(_, _, fields)
          records[#records + 1] = fields
        end,
      }
      local made = sampler.new(fake)
      for _ = 1, 3 do
        now = now + 60
        table.remove(open, 1) -- others are looked at than before
        made:sample()
        now = now + 60
        made:sample()
      end

      for i = 2, #records, 2 do
        assert.equal(10, records[i].queries)
        assert.equal(10, records[i].queries_max)
      end
      assert.is_nil(records[1].queries)
      assert.equal(6, #records)
    end))
end)
