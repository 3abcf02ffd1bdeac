local dkjson = require("dkjson")
local uv = require("luv")

local core = require("kadenza.core")
local kad = require("kadenza")
local charts = require("kadenza.sim.charts")
local plot = require("kadenza.sim.plot")
local recorder = require("kadenza.sim.recorder")
local report = require("kadenza.sim.report")
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

-- A small run with a recorder: puts and gets, one that fails, and a policy.
local function record()
  local net <close> = kad.sim({ nodes = 20, seed = 5, policies = {
    { name = "p", on_request = function()
      return true
    end },
  } })
  local start = net:now()
  local made = recorder.new({ start = start, interval = 30 })
  local infos = {}
  net:perform(function()
    for i = 1, 20 do
      made:sample(net:now(), net.nodes)
      assert(net.nodes[i]:put(kad.key("a" .. i), "1"))
      local value, info = net.nodes[21 - i]:get(kad.key("a" .. i))
      made:operation(net:now(), "get", value == "1", info)
      made:holders(net:now(), info.holders / 8)
      infos[i] = info
      kad.sleep(60)
    end
    made:operation(net:now(), "get", false)
  end)
  return made, start, infos
end

describe("a recorder", function()
  local made, start, infos
  local by_name = {}

  setup(spec(function()
    made, start, infos = record()
    for _, chart in ipairs(charts.charts(made, start)) do
      by_name[chart.name] = chart
    end
  end))

  it("makes every chart that a run with a policy has", function()
    for _, name in ipairs({ "success", "time", "hops", "messages", "traffic",
      "kinds", "table", "population", "policy", "calls" })
    do
      assert.is_not_nil(by_name[name], name)
    end
  end)

  it("counts hops as they were", function()
    local counts = {}
    for _, info in ipairs(infos) do
      counts[info.hops] = (counts[info.hops] or 0) + 1
    end
    for _, row in ipairs(by_name.hops.rows) do
      assert.equal(counts[row[1]] * 100 / #infos, row[2])
      counts[row[1]] = nil
    end
    assert.is_nil(next(counts))
  end)

  it("gives times whose median is that of the operations", function()
    local took = {}
    for i, info in ipairs(infos) do
      took[i] = info.took * 1000
    end
    table.sort(took)
    local figures = {}
    for _, figure in ipairs(charts.figures(made)) do
      figures[figure.name] = figure.value
    end

    assert.equal(took[10], figures["get: median time"])
    assert.equal(took[20], figures["get: 99 % within"])
    assert.equal(20 / 21, figures["get: succeeded"])
    local rows = by_name.time.rows
    assert.same({ took[20], 1 }, rows[#rows])
  end)

  it("writes as CSV what it has counted", with_folder(function(folder)
    for _, chart in pairs(by_name) do
      assert(core.make_folder(folder))
      assert(plot.write(folder, chart))
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
    local rows = by_name.traffic.rows

    assert.is_true(#rows >= 18)
    for _, row in ipairs(rows) do
      assert.is_true(row[2] >= row[3] and row[3] > 0)
    end
    assert.same({ "hours", "ping", "find_node", "find_value", "store" },
      by_name.kinds.columns)
  end)

  it("counts the calls of hooks", function()
    local row = by_name.calls.rows[1]

    assert.equal("p: on_request", row[1])
    assert.is_true(row[2] > 100)
  end)

  it("looks at no more nodes than its panel has, and at those that live",
    spec(function()
      local net <close> = kad.sim({ nodes = 30, seed = 5 })
      local small = recorder.new({ start = net:now(), panel = 10 })
      for round = 1, 5 do
        small:sample(net:now(), net.nodes)
        local looked = 0
        for node in pairs(small.panel) do
          assert.is_true(node:is_open())
          looked = looked + 1
        end
        assert.equal(10, looked)
        net.nodes[1]:close()
        table.remove(net.nodes, 1)
        net:run(60 * round)
      end
    end))

  it("keeps to six kinds of operations", function()
    local many = recorder.new()
    for i = 1, 100 do
      many:operation(i, "kind " .. i, true)
    end

    assert.equal(7, #many.kinds)
    assert.equal(94, many.kinds[7].count)
  end)
end)
