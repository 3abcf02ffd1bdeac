--- kadenza sim: runs a scenario in virtual time.

local check = require("kadenza.cli.check")
local config = require("kadenza.cli.config")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")
local outcome = require("kadenza.sim.outcome")
local output = require("kadenza.cli.output")
local progress = require("kadenza.cli.progress")
local report = require("kadenza.sim.report")
local scenario = require("kadenza.sim.scenario")
local suggest = require("kadenza.cli.suggest")

local STDERR <const> = 2

local M = {
  summary = "Simulate an overlay.",
  description = "Runs a scenario in virtual time: one that ships, by its name "
    .. "(--list tells which there are), or a Lua file. Prints what it came to "
    .. "and a hash of all datagrams, which is the same for the same seed. "
    .. "Ctrl-C ends it before its time, a second one at once.\n\nThe status is "
    .. "1 if the run did not show what it was to show.",
  usage = "SCENARIO | --list",
  example = "sim churn --nodes 500 --hours 6 --report var/churn",
  settings = { flags = { "log", "json" }, variables = { "log", "json" },
    defaults = { log = "warn" } },
}

-- The options of its own, checked as those of nodes are.
local OPTIONS <const> = {
  { name = "nodes", kind = "number", min = 1, max = 1000000, argname = "N",
    text = "Nodes at the beginning. Default: the scenario's." },
  { name = "seed", kind = "number", min = 0, max = math.maxinteger,
    argname = "N", text = "Another seed is another run. Default: the "
      .. "scenario's, or 1." },
}

function M.arguments(command)
  command:argument("scenario", "A scenario: its name, or a file."):args("?")
  local options = {}
  for i, option in ipairs(OPTIONS) do
    options[i] = command:option("--" .. option.name, option.text)
      :argname(option.argname)
  end
  for _, option in ipairs({
    command:option("--hours", "Virtual time, such as 0.5. Default: the "
      .. "scenario's."):argname("H"),
    command:option("--report", "Write a report to this folder: tables and "
      .. "charts."):argname("DIR"),
    command:flag("--list", "List the scenarios that ship."),
    command:flag("--quiet", "Show no progress."),
  }) do
    options[#options + 1] = option
  end
  return options
end

----------------------------------------------------------------- scenarios --

-- Returns the names of the scenarios that ship.
local function names()
  local list = {}
  for _, name in ipairs(host.scripts()) do
    list[#list + 1] = name:match("^scenarios/([%w_]+)%.lua$")
  end
  table.sort(list)
  return list
end

local function shipped(name)
  local path = "scenarios/" .. name .. ".lua"
  return assert(scenario.load(path, host.source(path)))
end

-- A name has neither a slash nor a dot; everything else is a file.
local function find(text)
  if text:find("[/.]") then
    local loaded, message = scenario.load(text)
    if not loaded then
      fault.misuse("scenario %s", message)
    end
    return loaded
  end
  for _, name in ipairs(names()) do
    if name == text then
      return shipped(name)
    end
  end
  fault.misuse("there is no scenario %s%s (kadenza sim --list)",
    check.shown(text), suggest.of(text, names()))
end

local function list()
  local rows, lines, width = {}, {}, 0
  for i, name in ipairs(names()) do
    local about = shipped(name)
    rows[i] = { name = name, summary = about.summary, nodes = about.nodes,
      hours = about.hours }
    width = math.max(width, #name)
  end
  for i, row in ipairs(rows) do
    lines[i] = ("%-" .. width .. "s  %s\n"):format(row.name, row.summary)
  end
  return { scenarios = output.array(rows) }, table.concat(lines)
end

------------------------------------------------------------------- options --

local function read_hours(text)
  local hours = tonumber(text)
  if not (hours and hours >= 0 and hours <= 100000) then
    fault.misuse("--hours must be a number from 0 to 100000, not %s",
      check.shown(text))
  end
  return hours
end

local function read_options(args)
  local options = config.own(OPTIONS, args)
  options.hours = args.hours and read_hours(args.hours)
  return options
end

------------------------------------------------------------------- running --

-- Returns what is called now and then while the simulation runs.
local function watcher(line)
  return function(net, run)
    if core.was_interrupted() then
      error(scenario.INTERRUPTED, 0)
    end
    if line then
      line:show(net, run)
    end
  end
end

-- Says where a scenario has failed, and how to see that again.
local function fail(problem, seed)
  if problem == scenario.INTERRUPTED then
    fault.failed("interrupted before the nodes had joined")
  end
  local text, trace = tostring(problem):match("^(.-)\n(stack traceback:.*)$")
  if trace then
    io.stderr:write(trace, "\n")
  end
  fault.failed(("%s (--seed %d repeats it)"):format(text or problem, seed))
end

local function run_scenario(chosen, options, is_quiet)
  local line = not is_quiet and host.is_terminal(STDERR)
    and progress.new(function(text)
      io.stderr:write(text)
    end)
  options.watch = watcher(line)
  core.catch_interrupt(true)
  local fine, run = pcall(scenario.run, chosen, options)
  core.catch_interrupt(false)
  if line then
    line:clear()
  end
  if not fine then
    fail(run, options.seed or chosen.seed or 1)
  end
  return run
end

-- What came of it, for programs.
local function document(run, about)
  local made = report.document(about)
  made.nodes, made.hours = run.nodes, outcome.hours(run)
  made.interrupted = run.interrupted
  made.passed = scenario.passed(run)
  made.statistics = run.statistics
  made.expectations = output.array(run.expectations)
  return made
end

-- Makes the folder of a report before a run that may take hours.
local function make_folder(folder)
  local made, message, code = core.make_folder(folder)
  if not made then
    fault.failed(message, code)
  end
end

-- Writes the report. What keeps it from being whole is said, and what the run
-- came to is printed nevertheless. Returns what is to be printed of it, and
-- whether all was written.
local function write_report(folder, about, made)
  local written, message, code = report.write(folder, about)
  if not written then
    io.stderr:write("kadenza: ", fault.line(message), "\n")
    made.error, made.code = message, code
    return "", false
  end
  return ("  report: %s/index.html\n"):format(folder), true
end

local function closing_words(run)
  if run.interrupted then
    return "interrupted\n"
  elseif scenario.passed(run) then
    return ""
  end
  return ("not as expected; --seed %d repeats it\n"):format(run.seed)
end

function M.run(args, settings)
  if args.list then
    return list()
  elseif not args.scenario then
    fault.usage("kadenza sim", "a scenario is needed; --list tells which "
      .. "there are")
  end
  local options = read_options(args)
  local chosen = find(args.scenario)
  if args.report then
    make_folder(args.report)
  end
  local run = run_scenario(chosen, options, args.quiet or settings.json)
  local about = outcome.report(run)
  local made, text = document(run, about), report.summary(about)
  local fine = scenario.passed(run)
  if args.report then
    local line, written = write_report(args.report, about, made)
    text, fine = text .. line, fine and written
  end
  return made, text .. closing_words(run), not fine and fault.FAILED or nil
end

return M
