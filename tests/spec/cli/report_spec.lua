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

  -- Each of these would take hours if the run came first.
  local function refuses(text, path, env)
    local args = { "sim", "steady", "--nodes", "1000000", "--hours", "10000",
      "--quiet", "--report", path or folder }
    local done = process.run(args, { env = env })

    assert.equal(1, done.status)
    assert.equal("kadenza: --report: " .. text .. "\n", done.stderr)
    assert.equal("", done.stdout)
  end

  it("asks for gnuplot before the run, and names its package", function()
    refuses("gnuplot was not found: install it (Debian: gnuplot-nox)", nil,
      { PATH = "/nonexistent" })
  end)

  it("rejects a path that is no folder before the run", function()
    local file = assert(io.open(folder .. "/file", "w"))
    file:close()
    refuses(folder .. "/file: mkdir: Not a directory", folder .. "/file")
    refuses(folder .. "/file/x: mkdir: Not a directory", folder .. "/file/x")
  end)

  it("rejects a folder where a file cannot be written before the run",
    function()
      assert(uv.fs_mkdir(folder .. "/index.html", 448))
      refuses(folder .. "/index.html: a folder, where the report writes a file")
    end)

  it("prints the results when a file cannot be written after the run",
    function()
      local scenario = folder .. "/scenario.lua"
      local file <close> = assert(io.open(scenario, "w"))
      file:write(([[
        return { name = "x", summary = "x", nodes = 5, hours = 0.01, setup = function()
          assert(os.execute("mkdir %s/index.html"))
        end }
      ]]):format(folder))
      file:close()
      local done = process.run({ "sim", scenario, "--quiet", "--report",
        folder })

      assert.equal(1, done.status)
      assert.matches("^kadenza: [^\n]*index%.html: rename: Is a directory\n$",
        done.stderr)
      assert.matches("trace hash", done.stdout)
    end)
end)
