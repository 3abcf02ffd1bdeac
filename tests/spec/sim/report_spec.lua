local dkjson = require("dkjson")
local uv = require("luv")

local core = require("kadenza.core")
local report = require("kadenza.sim.report")
local sim_support = require("tests.spec.sim_support")

local with_folder = sim_support.with_report_folder

-- A text that must not change the format of a file of the report.
local HOSTILE <const> = "<script>alert('x')</script>\"],\n`id` $(id) \\ "
  .. "@x %s_a^b \255,=1+1 \27[2J\u{85}\u{9B}\u{202E}\u{FFFF}\237\160\128\r"

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

-- Runs `fn` where no program can be found.
local function without_programs(fn)
  local path = os.getenv("PATH")
  uv.os_setenv("PATH", "/nonexistent")
  local results = table.pack(pcall(fn))
  uv.os_setenv("PATH", path)
  assert(results[1], results[2])
  return table.unpack(results, 2, results.n)
end

describe("kadenza.sim.report", function()
  it("writes a page, a summary, and three files for each chart",
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

  it("writes charts that are XML, also with hostile names",
    with_folder(function(folder)
      for _, name in ipairs({ "churn", HOSTILE }) do
        assert(report.write(folder, sample_report(name)))
        assert.equal(0, core.spawn({ "/usr/bin/python3", "-c", PARSE,
          folder .. "/hops.svg", folder .. "/time.svg",
          folder .. "/cost.svg" }))
      end
      assert.matches("alert", read(folder .. "/hops.svg"))
    end))

  it("writes a page without scripts and without links to other files",
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

  it("writes each id of a page once", with_folder(function(folder)
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

  it("writes a summary for programs", with_folder(function(folder)
    assert(report.write(folder, sample_report(HOSTILE)))
    local document = assert(dkjson.decode(read(folder .. "/summary.json")))

    assert.equal(7, document.seed)
    assert.equal("0123456789abcdef", document.trace_hash)
    assert.equal(0.9991, document.figures[1].value)
    assert.is_true(document.figures[1].met)
    assert.is_false(document.figures[2].met)
    assert.equal(3, #document.charts)
  end))

  it("writes the numbers as CSV", with_folder(function(folder)
    assert(report.write(folder, sample_report("a,b")))

    assert.equal('hops,"a,b",put\r\n1,10,3\r\n2,0.125,\r\n',
      read(folder .. "/hops.csv"))
  end))

  it("writes scripts that draw the charts again",
    with_folder(function(folder)
      assert(report.write(folder, sample_report("churn")))
      local again = folder .. "/again.svg"

      assert.equal(0, core.spawn({ "sh", "-c", 'cd "$1" && gnuplot hops.gp',
        "sh", folder }, { output = again }))
      assert.matches("</svg>%s*$", read(again))
    end))

  it("replaces a report", with_folder(function(folder)
    local changed = sample_report("churn")
    assert(report.write(folder, changed))
    changed.title = "another title"
    assert(report.write(folder, changed))

    assert.matches("another title", read(folder .. "/index.html"))
  end))
end)

describe("kadenza.sim.report, when it fails,", function()
  it("names the package when there is no gnuplot",
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

  it("says why a chart cannot be drawn", with_folder(function(folder)
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
    assert.equal(file .. ": mkdir: Not a directory", message)
  end))

  it("names the file that cannot be written", with_folder(function(folder)
    assert(core.make_folder(folder .. "/hops.csv"))
    local written, message = report.write(folder, sample_report("churn"))

    assert.is_nil(written)
    assert.equal(folder .. "/hops.csv: rename: Is a directory", message)
    assert.is_false(exists(folder .. "/hops.csv.new"))
  end))
end)
