--- kadenza check: finds errors in policies and measures their hooks.
--- Tested by tests/spec/cli/check_spec.lua.

local config = require("kadenza.cli.config")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local layout = require("kadenza.cli.layout")
local output = require("kadenza.cli.output")
local policy_files = require("kadenza.cli.policy_files")
local schema = require("kadenza.cli.schema")
local terminal = require("kadenza.cli.terminal")
local trial = require("kadenza.policy.trial")

local MICROSECONDS <const> = 1e6

local M = {
  summary = "Check policies and measure their hooks.",
  description = "Loads the files as the policies of one node, looks for "
    .. "misspelt fields and globals, runs them in an overlay in virtual time, "
    .. "and prints the cost of each hook. Stores and queries the `samples` of "
    .. "the policies; without samples, some plain values.\n\nThe exit status "
    .. "is 0 on success, 1 for an error in a policy that loads, 2 if a policy "
    .. "does not load.",
  usage = "FILE...",
  example = "check counter.lua registry.lua",
  settings = { flags = { "json" }, variables = { "json" } },
}

-- Options of this command only.
local OPTIONS <const> = {
  { name = "nodes", kind = "number", flag = "--nodes", min = 2, max = 10000,
    default = trial.DEFAULTS.nodes, argname = "N",
    text = "Nodes of the overlay." },
  { name = "seconds", kind = "number", flag = "--seconds", min = 0,
    max = 100000000, default = trial.DEFAULTS.seconds, argname = "SECONDS",
    text = "Virtual time of the run." },
  { name = "seed", kind = "number", flag = "--seed", min = 0,
    max = math.maxinteger, default = trial.DEFAULTS.seed, argname = "N",
    text = "Seed of the run." },
}

function M.arguments(command)
  command:argument("file", "A policy, a Lua file."):args("+")
  local options = schema.add_options(command, OPTIONS)
  table.insert(options, command:option("--trust", "Trust this file, one of the "
    .. "policies, like `kadenza run --trust`. May be repeated.")
    :argname("FILE"):count("*"):target("trusted"))
  return options
end

-- Reads the policies. Returns them as an option of kad.node.
local function policies_of(args)
  local policies, places = {}, {}
  for i, path in ipairs(args.file) do
    policies[i], places[path] = { file = path }, i
  end
  for _, path in ipairs(args.trusted) do
    if not places[path] then
      fault.misuse("--trust: %s is not one of the files", input.shown(path))
    end
    policies[places[path]].trusted = true
  end
  local texts = policy_files.read(args.file)
  for _, policy in ipairs(policies) do
    policy.text = texts[policy.file]
  end
  return policies
end

local function microseconds(seconds)
  return ("%.1f"):format(seconds * MICROSECONDS)
end

local function cost_row(cost)
  local calls = math.max(cost.calls, 1)
  local row = { fault.line(cost.name) }
  for i, name in ipairs({ "calls", "errors", "overruns", "yields" }) do
    row[i + 1] = ("%d"):format(cost[name])
  end
  row[#row + 1] = ("%d"):format(cost.instructions // calls)
  row[#row + 1] = microseconds(cost.seconds / calls)
  row[#row + 1] = microseconds(cost.slowest)
  return row
end

local function cost_table(report)
  local rows = { { "hook", "calls", "errors", "overruns", "waits",
    "instructions", "mean us", "slowest us" } }
  for _, cost in ipairs(report.hooks) do
    rows[#rows + 1] = cost_row(cost)
  end
  return #rows > 1 and layout.table(rows, terminal.columns(terminal.OUTPUT))
    or "no hooks\n"
end

-- Returns the reasons of rejections, the most frequent first.
local function list_reasons(reasons)
  local list = {}
  for reason, count in pairs(reasons) do
    list[#list + 1] = { reason = reason, count = count }
  end
  table.sort(list, function(a, b)
    if a.count ~= b.count then
      return a.count > b.count
    end
    return a.reason < b.reason
  end)
  return list
end

local function sample_lines(report)
  local lines = {}
  for _, entry in ipairs(report.samples) do
    lines[#lines + 1] = ("%s: %d of %d %s accepted\n"):format(
      fault.line(entry.name), entry.accepted, entry.tried,
      entry.has_samples and "samples" or "plain values")
    for _, rejection in ipairs(list_reasons(entry.reasons)) do
      lines[#lines + 1] = ("  %d %s: %s\n"):format(rejection.count,
        rejection.count == 1 and "time" or "times",
        fault.line(rejection.reason))
    end
  end
  return table.concat(lines)
end

local function uncalled_hooks(report)
  local names = {}
  for _, cost in ipairs(report.hooks) do
    if cost.calls == 0 then
      names[#names + 1] = cost.name
    end
  end
  return names
end

local function findings_text(report)
  local lines = {}
  for _, problem in ipairs(report.problems) do
    lines[#lines + 1] = ("%s:%d: %s\n"):format(problem.file, problem.line,
      problem.message)
  end
  for _, failure in ipairs(report.failures) do
    lines[#lines + 1] = ("%s: %s\n"):format(fault.line(failure.hook),
      fault.line(failure.error))
    if failure.traceback ~= "" then
      lines[#lines + 1] = "  " .. failure.traceback:gsub("\n", "\n  ") .. "\n"
    end
  end
  for _, warning in ipairs(report.warnings) do
    lines[#lines + 1] = "warning: " .. warning .. "\n"
  end
  for _, name in ipairs(uncalled_hooks(report)) do
    lines[#lines + 1] =
      ("note: %s was not called; add samples for it\n"):format(
        fault.line(name))
  end
  return table.concat(lines)
end

local function to_text(report, options)
  return table.concat({
    ("%d nodes, %d s of virtual time, seed %d\n"):format(options.nodes,
      options.seconds, options.seed),
    cost_table(report),
    ("memory of a node's policies: at most %d KiB\n"):format(
      report.memory // 1024),
    sample_lines(report),
    findings_text(report),
    trial.passed(report) and "no errors\n" or "errors were found\n",
  })
end

local function to_document(report, options, files)
  local samples = {}
  for i, entry in ipairs(report.samples) do
    samples[i] = { name = entry.name, tried = entry.tried,
      accepted = entry.accepted,
      rejections = output.array(list_reasons(entry.reasons)) }
  end
  return {
    files = output.array(files),
    nodes = options.nodes, seconds = options.seconds, seed = options.seed,
    hooks = output.array(report.hooks),
    memory = report.memory,
    samples = output.array(samples),
    problems = output.array(report.problems),
    failures = output.array(report.failures),
    warnings = output.array(report.warnings),
    unreached = output.array(uncalled_hooks(report)),
    passed = trial.passed(report),
  }
end

function M.run(args)
  local options = config.read_own(OPTIONS, args)
  local policies = policies_of(args)
  local report = fault.checked("policy", trial.run(policies, options))
  return to_document(report, options, args.file), to_text(report, options),
    not trial.passed(report) and fault.FAILED or nil
end

return M
