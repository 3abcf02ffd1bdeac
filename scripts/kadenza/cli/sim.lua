--- kadenza sim: runs a scenario in virtual time.
--- Tested by tests/spec/cli/sim_spec.lua, tests/spec/cli/report_spec.lua.

local config = require("kadenza.cli.config")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")
local input = require("kadenza.cli.input")
local output = require("kadenza.cli.output")
local progress = require("kadenza.cli.progress")
local report = require("kadenza.sim.report")
local run_report = require("kadenza.sim.run_report")
local scenario = require("kadenza.sim.scenario")
local schema = require("kadenza.cli.schema")

local M = {
  summary = "Simulate an overlay.",
  description = "Runs a scenario in virtual time: a built-in one by its name "
    .. "(--list prints them), or a Lua file. Prints the results and a hash of "
    .. "all datagrams, which is the same for the same seed. Ctrl-C ends the "
    .. "run early and prints results; a second one ends the program.\n\nThe "
    .. "exit status is 1 if the results are not as the scenario expects.",
  usage = "SCENARIO | --list",
  example = "sim churn --nodes 500 --hours 6 --report var/churn",
  settings = { flags = { "log", "json" }, variables = { "log", "json" },
    defaults = { log = "warn" } },
}

-- Options of this command only.
local OPTIONS <const> = {
  { name = "nodes", kind = "number", flag = "--nodes", min = 1, max = 1000000,
    argname = "N", text = "Nodes at the start. Default: the scenario's." },
  { name = "seed", kind = "number", flag = "--seed", min = 0,
    max = math.maxinteger, argname = "N",
    text = "Seed of the run. Default: the scenario's, or 1." },
}

function M.arguments(command)
  command:argument("scenario", "A scenario: its name, or a file."):args("?")
  local options = schema.add_options(command, OPTIONS)
  return table.move({
    command:option("--hours", "Virtual time, such as 0.5. Default: the "
      .. "scenario's."):argname("H"),
    command:option("--report", "Write a report with tables and charts to this "
      .. "folder. Needs gnuplot."):argname("DIR"),
    command:flag("--list", "List the built-in scenarios."),
    command:flag("--quiet", "Show no progress."),
  }, 1, 4, #options + 1, options)
end

local function scenario_names()
  local list = {}
  for _, name in ipairs(host.scripts()) do
    list[#list + 1] = name:match("^scenarios/([%w_]+)%.lua$")
  end
  table.sort(list)
  return list
end

local function load_built_in(name)
  local path = "scenarios/" .. name .. ".lua"
  return assert(scenario.load(path, host.source(path)))
end

-- Returns the scenario of a name or file. A name has neither slash nor dot.
local function find_scenario(text)
  if text:find("[/.]") then
    return fault.read("scenario", scenario.load(text))
  end
  for _, name in ipairs(scenario_names()) do
    if name == text then
      return load_built_in(name)
    end
  end
  fault.misuse("there is no scenario %s%s (kadenza sim --list)",
    input.shown(text), input.suggestion(text, scenario_names()))
end

local function list_scenarios()
  local rows, lines, width = {}, {}, 0
  for i, name in ipairs(scenario_names()) do
    local about = load_built_in(name)
    rows[i] = { name = name, summary = about.summary, nodes = about.nodes,
      hours = about.hours }
    width = math.max(width, #name)
  end
  for i, row in ipairs(rows) do
    lines[i] = ("%-" .. width .. "s  %s\n"):format(row.name, row.summary)
  end
  return { scenarios = output.array(rows) }, table.concat(lines)
end

local function read_hours(text)
  local hours = tonumber(text)
  if not (hours and hours >= 0 and hours <= 100000) then
    fault.misuse("--hours must be a number from 0 to 100000, not %s",
      input.shown(text))
  end
  return hours
end

-- Returns the function that the simulation calls at intervals.
local function make_watcher(line)
  return function(net, run)
    if core.was_interrupted() then
      error(scenario.INTERRUPTED, 0)
    end
    if line then
      line:show(net, run)
    end
  end
end

-- Raises a fault for a scenario that failed; says how to repeat the run.
local function report_failure(problem, seed)
  if problem == scenario.INTERRUPTED then
    fault.failed("interrupted before the nodes had joined")
  end
  local text, trace = tostring(problem):match("^(.-)\n(stack traceback:.*)$")
  if trace then
    output.notice(trace .. "\n")
  end
  fault.failed(("%s (--seed %d repeats it)"):format(text or problem, seed))
end

local function run_scenario(chosen, options, is_quiet)
  local line = not is_quiet and progress.on_errors() or nil
  options.watch = make_watcher(line)
  core.catch_interrupt(true)
  local succeeded, run = pcall(scenario.run, chosen, options)
  core.catch_interrupt(false)
  if line then
    line:clear()
  end
  if not succeeded then
    report_failure(run, options.seed or chosen.seed or 1)
  end
  return run
end

-- Returns the results as a document.
local function make_document(run, about)
  local made = report.document(about)
  made.nodes, made.hours = run.nodes, run_report.hours(run)
  made.interrupted = run.interrupted
  made.passed = scenario.passed(run)
  made.statistics = run.statistics
  made.expectations = output.array(run.expectations)
  return made
end

-- Writes the report. A failure is printed and added to the document; the
-- results are still printed. Returns the line to print, and whether the report
-- is complete.
local function write_report(folder, about, made)
  local written, message, code = report.write(folder, about)
  if not written then
    output.notice("kadenza: " .. fault.line(message) .. "\n")
    made.error, made.code = message, code
    return "", false
  end
  return ("  report: %s/index.html\n"):format(folder), true
end

-- Raises a fault if there can be no report: the run may take hours.
local function check_report(folder)
  fault.checked("--report", input.path(folder))
  local ready, message, code = report.check(folder)
  if not ready then
    fault.failed("--report: " .. message, code)
  end
end

local function closing_line(run)
  if run.interrupted then
    return "interrupted\n"
  elseif scenario.passed(run) then
    return ""
  end
  return ("not as expected; --seed %d repeats it\n"):format(run.seed)
end

function M.run(args, settings)
  if args.list then
    return list_scenarios()
  elseif not args.scenario then
    fault.usage("kadenza sim", "a scenario is needed; --list prints their "
      .. "names")
  end
  local options = config.read_own(OPTIONS, args)
  options.hours = args.hours and read_hours(args.hours)
  local chosen = find_scenario(args.scenario)
  if args.report then
    check_report(args.report)
  end
  local run = run_scenario(chosen, options, args.quiet or settings.json)
  local about = run_report.report(run)
  local made, text = make_document(run, about), report.summary(about)
  local passed = scenario.passed(run)
  if args.report then
    local line, written = write_report(args.report, about, made)
    text, passed = text .. line, passed and written
  end
  return made, text .. closing_line(run), not passed and fault.FAILED or nil
end

return M
