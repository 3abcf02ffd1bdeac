-- Measures the quality of the overlay in virtual time. Runs the scenarios of
-- bench/sim/rows.lua, and prints a table of their figures and goals.
--
--     make bench-sim ARGS='--only churn24-k8,latency --nodes 1000 --hours 2'
--
-- A missed goal is not a failure: the exit status is 0 when all scenarios ran.

local argparse = require("argparse")
local dkjson = require("dkjson")

local core = require("kadenza.core")
local growth = require("bench.sim.growth")
local report = require("kadenza.sim.report")
local rows = require("bench.sim.rows")
local run_report = require("kadenza.sim.run_report")
local scenario = require("kadenza.sim.scenario")

-- Returns a function that converts the text of an option to a positive number.
---@param convert fun(value: any): number?
local function positive(convert)
  return function(text)
    local number = convert(tonumber(text))
    if number and number > 0 then
      return number
    end
    return nil, ("a number above 0 is needed, not '%s'"):format(text)
  end
end

local parser <const> = argparse("bench/sim/run.lua",
  "Measures the quality of the overlay in virtual time.")
parser:option("--only", "Run these scenarios only: NAME,..."):argname("<names>")
parser:option("--nodes", "Number of nodes instead of the scenario's.")
  :convert(positive(math.tointeger))
parser:option("--hours", "Virtual hours instead of the scenario's.")
  :convert(positive(tonumber))
parser:option("--seed", "Seed of the random numbers (1).")
  :convert(positive(math.tointeger))
parser:flag("--quick", "Smaller overlays: all scenarios in a few minutes.")
parser:flag("--smoke", "Tiny overlays: all scenarios in seconds.")
parser:option("--out", "Folder of the table and the reports "
  .. "(build/bench-sim, and folders in it for smaller runs).")
parser:flag("--list", "List the scenarios.")

-- Returns the rows that the options name.
local function select_rows(only)
  local list, wanted = {}, {}
  for name in (only or ""):gmatch("[^,]+") do
    wanted[name] = true
  end
  for _, row in ipairs(rows) do
    if not only or wanted[row.name] then
      list[#list + 1] = row
      wanted[row.name] = nil
    end
  end
  if next(wanted) then
    parser:error("no scenario is called '" .. next(wanted) .. "'")
  end
  return list
end

-- Returns the folder of the results. Smaller runs have folders of their own, so
-- that they do not replace full ones.
local function folder_of(given)
  local base = (os.getenv("BUILD") or "build"):gsub("/release$", "")
    .. "/bench-sim"
  local part = given.smoke and "/smoke" or given.quick and "/quick"
    or (given.nodes or given.hours) and "/custom" or ""
  return given.out or base .. part
end

local function run_options(row, given)
  local small = given.smoke and row.smoke or given.quick and row.quick or {}
  return { nodes = given.nodes or small.nodes, seed = given.seed,
    hours = given.hours or small.hours }
end

local function load_scenario(name)
  return assert(scenario.load("bench/sim/" .. name .. ".lua"))
end

-- Writes a report. Without gnuplot, prints a message: the report has no charts.
local function write_report(folder, made)
  local written, message, code = report.write(folder, made)
  if not written and code == "KAD_ENOTFOUND" then
    io.stderr:write("bench-sim: ", message, "\n")
  elseif not written then
    error(message, 0)
  end
end

-- Runs a scenario once. Returns its report and the run.
local function run_once(row, chosen)
  local run = scenario.run(load_scenario(row.name), chosen)
  return run_report.report(run), run
end

local function sizes_of(row, chosen)
  local sizes = {}
  for _, size in ipairs(row.sizes) do
    if size <= (chosen.nodes or math.huge) then
      sizes[#sizes + 1] = size
    end
  end
  return #sizes > 0 and sizes or { chosen.nodes }
end

-- Runs a scenario with several sizes. Returns one report of all runs, and the
-- last run.
local function run_sizes(row, chosen, folder)
  local runs = {}
  for i, size in ipairs(sizes_of(row, chosen)) do
    local made, run = run_once(row, { nodes = size, seed = chosen.seed,
      hours = chosen.hours })
    write_report(("%s/%d"):format(folder, size), made)
    runs[i] = run
  end
  return growth.report(runs), runs[#runs]
end

local function run_row(row, chosen, folder)
  if row.program then
    return require(row.program).run(sizes_of(row, chosen), chosen.seed or 1,
      folder)
  elseif row.sizes then
    return run_sizes(row, chosen, folder)
  end
  return run_once(row, chosen)
end

-- Returns the table row: the figures with goals, or all figures if none has
-- one.
local function result_of(row, made, run, seconds)
  local figures = {}
  for _, figure in ipairs(made.summary) do
    if figure.goal then
      figures[#figures + 1] = figure
    end
  end
  figures = #figures > 0 and figures or made.summary
  return { name = row.name, nodes = run.nodes, seed = run.seed,
    hours = run.lasted / 3600, cpu_seconds = seconds, hash = made.hash,
    figures = figures }
end

local function perform(row, given, folder)
  local began = os.clock()
  local chosen = run_options(row, given)
  local made, run = run_row(row, chosen, folder)
  local result = result_of(row, made, run, os.clock() - began)
  write_report(folder, made)
  assert(core.write_file(folder .. "/row.json",
    dkjson.encode(result, { indent = true }) .. "\n"))
end

------------------------------------------------------------------- table --

local VERDICTS <const> = { [true] = "met", [false] = "**missed**" }

local function read_result(path)
  local file <close> = io.open(path, "rb")
  return file and dkjson.decode(file:read("a"))
end

-- Returns the last results of every row.
local function results_in(folder)
  local results = {}
  for _, row in ipairs(rows) do
    results[#results + 1] = read_result(("%s/%s/row.json"):format(folder,
      row.name))
  end
  return results
end

local NOTHING <const> = { "", "", "", "" }

local function table_of(results)
  local lines = {
    "| scenario | nodes | hours | CPU s | figure | goal | measured | |",
    "|---|--:|--:|--:|---|--:|--:|---|",
  }
  for _, result in ipairs(results) do
    local cells = { result.name, ("%d"):format(result.nodes),
      ("%.1f"):format(result.hours), ("%.0f"):format(result.cpu_seconds) }
    for _, figure in ipairs(result.figures) do
      lines[#lines + 1] = ("| %s | %s | %s | %s |"):format(
        table.concat(cells, " | "), figure.name, figure.goal or "",
        figure.text .. " | " .. (VERDICTS[figure.met] or ""))
      cells = NOTHING
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function main()
  local given = parser:parse()
  local folder, status = folder_of(given), 0
  for _, row in ipairs(select_rows(given.only)) do
    if given.list then
      print(("%-12s %s"):format(row.name,
        row.summary or load_scenario(row.name).summary))
    else
      io.stderr:write("bench-sim: ", row.name, "\n")
      local fine, problem = xpcall(perform, debug.traceback, row, given,
        folder .. "/" .. row.name)
      if not fine then
        io.stderr:write("bench-sim: ", row.name, ": ", problem, "\n")
        status = 1
      end
    end
  end
  if given.list then
    return 0
  end
  local results = results_in(folder)
  local text = table_of(results)
  assert(core.make_folder(folder))
  assert(core.write_file(folder .. "/table.md", text))
  assert(core.write_file(folder .. "/table.json",
    dkjson.encode(results, { indent = true }) .. "\n"))
  io.write(text, "\nreports: ", folder, "/NAME/index.html\n")
  return status
end

os.exit(main(), true)
