local uv = require("luv")

local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

local SMALL <const> = { "sim", "steady", "--nodes", "20", "--hours", "0.05",
  "--quiet", "--report" }

-- Runs a small simulation with a report to a folder.
local function simulate(folder, env)
  local args = table.move(SMALL, 1, #SMALL, 1, {})
  args[#args + 1] = folder
  return process.run(args, { env = env })
end

describe("kadenza sim --report", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  it("prints the place of the report", function()
    local done = simulate(folder .. "/new/report")

    assert.equal(0, done.status)
    assert.matches("report: " .. folder .. "/new/report/index%.html",
      done.stdout)
    assert.is_table(uv.fs_stat(folder .. "/new/report/index.html"))
    assert.is_table(uv.fs_stat(folder .. "/new/report/hops.svg"))
  end)

  it("fails without gnuplot, names its package and writes the rest", function()
    local done = simulate(folder, { PATH = "/nonexistent" })

    assert.equal(1, done.status)
    assert.matches("^kadenza: gnuplot was not found.*gnuplot%-nox",
      done.stderr)
    assert.matches("trace hash", done.stdout)
    assert.is_table(uv.fs_stat(folder .. "/hops.csv"))
    assert.is_table(uv.fs_stat(folder .. "/hops.gp"))
    assert.is_nil(uv.fs_stat(folder .. "/hops.svg"))
  end)

  it("rejects an invalid folder before the run", function()
    local file = assert(io.open(folder .. "/file", "w"))
    file:close()
    local done = simulate(folder .. "/file")

    assert.equal(1, done.status)
    assert.equal("kadenza: " .. folder .. "/file: mkdir: Not a directory\n",
      done.stderr)
    assert.equal("", done.stdout)
  end)

  it("prints the results when a file cannot be written", function()
    assert(uv.fs_mkdir(folder .. "/index.html", 448))
    local done = simulate(folder)

    assert.equal(1, done.status)
    assert.matches("^kadenza: .*index%.html: ", done.stderr)
    assert.matches("trace hash", done.stdout)
  end)
end)
