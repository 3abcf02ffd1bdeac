local dkjson = require("dkjson")
local process = require("support.process")
local progress = require("kadenza.cli.progress")
local support = require("support")

-- Runs `kadenza sim` with a scenario file that holds `text`.
local function run_file(text, args, options)
  local path = os.tmpname() .. ".lua"
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local done = process.run(table.move(args or {}, 1, #(args or {}), 3,
    { "sim", path }), options)
  os.remove(path)
  os.remove((path:gsub("%.lua$", "")))
  return done, path
end

local SMALL <const> = [[
return {
  name = "tiny",
  summary = "A tiny overlay.",
  nodes = 10,
  hours = 0.1,
  workload = { keys = 3, gets = 20 },
  expect = function(net, run)
    run:expect("values found", run:share("get"), ">=", 0.9)
    run:expect("seed", run.seed, "<", 100)
  end,
}
]]

describe("kadenza sim", function()
  after_each(process.end_all)

  it("lists the built-in scenarios", function()
    local done = process.run({ "sim", "--list" })
    assert.equal(0, done.status)
    assert.equal("", done.stderr)
    for _, name in ipairs({ "churn", "flash_crowd", "lossy", "mobile", "nats",
      "partition", "restart", "steady", "sybil" }) do
      assert.is_truthy(("\n" .. done.stdout):find("\n" .. name
        .. " +%u[^\n]+%.\n"), name)
    end
    local json = dkjson.decode(process.run({ "sim", "--list", "--json" })
      .stdout)
    assert.equal(9, #json.scenarios)
    assert.equal("churn", json.scenarios[1].name)
    assert.equal("number", type(json.scenarios[1].nodes))
  end)

  it("runs one by its name and prints the results", function()
    local done = process.run({ "sim", "steady", "--nodes", "20", "--hours",
      "0.2" })
    assert.equal("", done.stderr)
    assert.equal(0, done.status, done.stdout)
    for _, pattern in ipairs({
      "^steady: 20 nodes, 12 min\n\n", "\n  get: succeeded +100%.00 %%\n",
      "\n  values found +1 +≥ 0%.999 +met\n",
      "\n  seed 1, trace hash %x+\n$",
    }) do
      assert.is_truthy(done.stdout:find(pattern), done.stdout)
    end
  end)

  it("runs a file, and prints a document as JSON", function()
    local done = run_file(SMALL, { "--json", "--seed", "5", "--nodes", "12" })
    assert.equal("", done.stderr)
    assert.equal(0, done.status)
    local json = dkjson.decode(done.stdout)
    assert.equal("tiny", json.scenario)
    assert.equal(12, json.nodes)
    assert.equal(5, json.seed)
    assert.equal(0.1, json.hours)
    assert.is_true(json.passed)
    assert.is_false(json.interrupted)
    assert.matches("^%x+$", json.trace_hash)
    assert.equal("values found", json.expectations[1].name)
    assert.equal(12, json.statistics.alive)
    assert.is_true(#json.figures > 5)
  end)

  it("exits with 1 and prints the seed if an expectation fails", function()
    local done = run_file(SMALL, { "--seed", "100" })
    assert.equal(1, done.status)
    assert.equal("", done.stderr)
    assert.is_truthy(done.stdout:find("\n  seed +100 +< 100 +missed\n"),
      done.stdout)
    assert.is_truthy(done.stdout:find(
      "\nnot as expected; %-%-seed 100 repeats it\n$"))
    local json = run_file(SMALL, { "--seed", "100", "--json" })
    assert.equal(1, json.status)
    assert.is_false(dkjson.decode(json.stdout).passed)
  end)

  it("writes a report", function()
    local folder, remove = support.temporary_folder()
    local done = run_file(SMALL, { "--report", folder .. "/run" })
    assert.equal(0, done.status, done.stderr)
    assert.is_truthy(done.stdout:find("\n  report: " .. folder
      .. "/run/index.html\n", 1, true))
    for _, name in ipairs({ "index.html", "summary.txt", "summary.json",
      "success.csv", "success.svg" }) do
      local file <close> = assert(io.open(folder .. "/run/" .. name))
      assert.is_true(#file:read("a") > 50, name)
    end
    remove()
  end)

  it("prints where a scenario failed, and its seed", function()
    local done, path = run_file([[
return {
  name = "broken", summary = "It breaks.", nodes = 3, hours = 0.1,
  setup = function()
    error("here")
  end,
}
]], { "--seed", "3" })
    assert.equal(1, done.status)
    assert.equal("", done.stdout)
    assert.is_truthy(done.stderr:find("kadenza: " .. path:gsub("%p", "%%%0")
      .. ":4: here %(%-%-seed 3 repeats it%)\n$"), done.stderr)
    assert.is_truthy(done.stderr:find("stack traceback", 1, true))
  end)

  for what, case in pairs({
    ["no scenario"] = { {}, "a scenario is needed" },
    ["an unknown one"] = { { "stedy" },
      "there is no scenario 'stedy'; did you mean 'steady'?" },
    ["a file that is not there"] =
      { { "none.lua" }, "none.lua: open: No such file" },
    ["no number of nodes"] = { { "steady", "--nodes", "many" },
      "--nodes must be an integer from 1 to 1000000, not 'many'" },
    ["no hours"] = { { "steady", "--hours=-1" },
      "--hours must be a number from 0 to 100000, not '-1'" },
    ["no seed"] = { { "steady", "--seed", "x" }, "--seed must be an integer" },
  }) do
    it("refuses " .. what, function()
      local done = process.run(table.move(case[1], 1, #case[1], 2, { "sim" }))
      assert.equal(2, done.status)
      assert.equal("", done.stdout)
      assert.is_truthy(done.stderr:find(case[2], 1, true), done.stderr)
    end)
  end

  it("rejects a file that is not a scenario", function()
    local done, path = run_file("return { name = 'a', nods = 1 }")
    assert.equal(2, done.status)
    assert.equal("kadenza: scenario " .. path .. ": unknown option 'nods'\n",
      done.stderr)
  end)

  it("prints results when it is interrupted", function()
    local path = os.tmpname()
    local file <close> = assert(io.open(path .. ".lua", "w"))
    file:write([[
return {
  name = "endless", summary = "It goes on.", nodes = 5, hours = 90000,
  setup = function()
    print("it runs")
    io.stdout:flush()
  end,
  expect = function()
    error("not asked of a run that was interrupted")
  end,
}
]])
    file:close()
    local sim = process.start({ "sim", path .. ".lua" })
    sim:wait_for("it runs", "stdout")
    sim:kill("sigint")
    assert.equal(1, sim:wait())
    os.remove(path)
    os.remove(path .. ".lua")
    assert.equal("", sim.stderr)
    assert.is_truthy(sim.stdout:find("\nendless: 5 nodes, .*, interrupted\n"))
    assert.is_truthy(sim.stdout:find("\ninterrupted\n$"))
  end)

  it("is ended by a second interrupt when its scenario loops", function()
    local path = os.tmpname()
    local file <close> = assert(io.open(path .. ".lua", "w"))
    file:write([[
return {
  name = "loop", summary = "It loops.", nodes = 2,
  setup = function()
    print("it loops")
    io.stdout:flush()
    while true do
    end
  end,
}
]])
    file:close()
    local sim = process.start({ "sim", path .. ".lua" })
    sim:wait_for("it loops", "stdout")
    for _ = 1, 100 do -- two that come at once are one
      sim:kill("sigint")
      if pcall(sim.wait, sim, 0.2) then
        break
      end
    end
    os.remove(path)
    os.remove(path .. ".lua")
    assert.equal(2, sim.signal)
  end)
end)

describe("the progress of a simulation", function()
  local function line(share, clock, columns)
    local shown
    local time = 0
    local bar = progress.new(function(text)
      shown = text
    end, function()
      return time
    end, { can_redraw = function()
      return true
    end, columns = function()
      return columns or 200
    end })
    local run = { seconds = 7200, now = function()
      return 0
    end }
    bar:show({}, run)
    time = clock
    function run.now()
      return 7200 * share
    end
    bar:show({}, run)
    local text = shown
    bar:clear()
    assert.equal("\r\27[K", shown)
    return text
  end

  it("shows progress, speed and the remaining time", function()
    assert.equal("\r\27[K[############............]  50 %  1 h of 2 h, 360 "
      .. "times real time, 0:10 left", line(0.5, 10))
    assert.equal("\r\27[K[######..................]  25 %  30 min of 2 h, 0.5 "
      .. "times real time, 3:00:00 left", line(0.25, 3600))
  end)

  it("counts the nodes that have joined", function()
    local shown
    local bar = progress.new(function(text)
      shown = text
    end)
    bar:show({ nodes = { 1, 2, 3, 4 }, joining = { left = 1 } })
    assert.equal("\r\27[K[##################......] joining, 3 of 4 nodes",
      shown)
  end)
end)
