--- Scenarios: Lua files that describe an overlay, the events in it, and the
--- expected results.
--
--     return {
--       name = "outage",
--       summary = "A third of the nodes fails at once.",
--       nodes = 100, seed = 1, hours = 1,
--       network = { loss = 0.01 },
--       workload = { keys = 20, gets = 30 },
--       steps = { { part = 0.5, name = "outage", run = function(net)
--         net:kill(0.33)
--       end } },
--       expect = function(net, run)
--         run:expect("gets that succeed", run:share("get"), ">=", 0.9)
--       end,
--     }
--
-- `kadenza sim FILE` runs a scenario; `M.run` does so for programs.

local check = require("kadenza.check")
local chunk = require("kadenza.chunk")
local core = require("kadenza.core")
local errors = require("kadenza.errors")
local run_module = require("kadenza.sim.run")
local sampler_module = require("kadenza.sim.sampler")
local sim = require("kadenza.sim")
local task = require("kadenza.task")

local M = {}

--- An event at a given time of a run.
---@class kadenza.Step
---@field at? number  seconds since the run began
---@field part? number  0 to 1, instead of `at`: the share of the run's length
---@field name string  for the report
---@field run async fun(net: kadenza.Sim, run: kadenza.SimRun)

--- What a scenario file returns.
---@class kadenza.Scenario
---@field name string
---@field summary string  one sentence
---@field nodes? integer  100
---@field seed? integer  1
---@field hours? number  1
---@field network? kadenza.SimOptions|fun(options: table): kadenza.SimOptions
---  the function receives `nodes`, `seed` and `hours`
---@field sample? number  seconds between two samples; 0: only one, at the end
---@field workload? kadenza.Workload
---@field setup? async fun(net: kadenza.Sim, run: kadenza.SimRun)  runs after
---  the nodes have joined, before all else
---@field tasks? (async fun(net: kadenza.Sim, run: kadenza.SimRun))[]  run
---  side by side; canceled at the end of the run
---@field steps? kadenza.Step[]
---@field expect? async fun(net: kadenza.Sim, run: kadenza.SimRun)  at the end

--- Options of one run of a scenario; without them, those of the scenario.
---@class kadenza.RunOptions
---@field nodes? integer
---@field seed? integer
---@field hours? number
---@field watch? fun(net: kadenza.Sim, run?: kadenza.SimRun)  called several
---  times a second, without `run` while nodes join; raises
---  `scenario.INTERRUPTED` to end the run

--- The error that `watch` raises to end a run early.
M.INTERRUPTED = setmetatable({}, {
  __tostring = function()
    return "the run was interrupted"
  end,
})

local DEFAULTS <const> = { nodes = 100, seed = 1, hours = 1 }
local SECONDS_AN_HOUR <const> = 3600 -- as in kadenza.sim.run
local MAX_HOURS <const> = 100000
local MAX_BYTES <const> = 1 << 24 -- of a scenario file

-- Samples of a run by default, and the seconds between them at least.
local SAMPLES <const> = 60
local LEAST_DISTANCE <const> = 60

local HOURS <const> = { kind = "number", from = 0, to = MAX_HOURS }
local SECONDS <const> = { kind = "number", from = 0,
  to = MAX_HOURS * SECONDS_AN_HOUR }
local RUN_OPTIONS <const> = { nodes = "integer", seed = "integer",
  hours = HOURS, watch = "function" }
local FIELDS <const> = {
  name = "string", summary = "string", nodes = "integer", seed = "integer",
  hours = HOURS, sample = SECONDS, workload = "table",
  setup = "function", tasks = "table", steps = "table", expect = "function",
  network = {
    is = function(value)
      return type(value) == "table" or type(value) == "function"
    end,
    name = "a table or a function",
  },
}
local STEP <const> = { at = SECONDS, name = "string", run = "function",
  part = { kind = "number", from = 0, to = 1 } }

----------------------------------------------------------------- checking --

local function check_step(number, step, level)
  if type(step) ~= "table" then
    error(("step %d must be a table"):format(number), level + 1)
  end
  check.options(step, level + 1, STEP)
  if not step.name or not step.run or not step.at == not step.part then
    error(("step %d needs a name, a function run, and at or part"):format(
      number), level + 1)
  end
end

--- Raises an error unless `scenario` is a valid scenario.
---@param scenario any
---@param level integer  of the caller that made the mistake, as for `error`
function M.check(scenario, level)
  if type(scenario) ~= "table" then
    error("a scenario must be a table, not " .. type(scenario), level + 1)
  end
  check.options(scenario, level + 1, FIELDS)
  if not scenario.name or not scenario.summary then
    error("a scenario needs a name and a summary", level + 1)
  end
  for number, step in ipairs(scenario.steps or {}) do
    check_step(number, step, level + 1)
  end
  if scenario.workload then
    run_module.check_workload(scenario.workload, level + 1)
  end
end

--- Reads a scenario file.
---@param path string
---@param text? string  its content; read from the file without it
---@return kadenza.Scenario? scenario
---@return string? message  names the file, and the line where there is one
---@return kadenza.Code? code
function M.load(path, text)
  if not text then
    local why, code
    text, why, code = core.read_file(path, MAX_BYTES)
    if not text then
      return nil, why, code
    end
  end
  local loaded, message = chunk.load(text, path)
  if not loaded then
    return nil, message, "KAD_EINVAL"
  end
  local succeeded, scenario = pcall(loaded)
  if not succeeded then
    return nil, chunk.naming(path, errors.text_of(scenario)), "KAD_EINVAL"
  end
  local checked, wrong = pcall(M.check, scenario, 0)
  if not checked then
    wrong = wrong:gsub("^[^\n]-%.lua:%d+: ", "") -- our own line
    return nil, path .. ": " .. wrong, "KAD_EINVAL"
  end
  return scenario
end

------------------------------------------------------------------ running --

-- Returns the options of the network.
local function network_options(scenario, chosen)
  local given = scenario.network or {}
  if type(given) == "function" then
    given = given(chosen)
    if type(given) ~= "table" then
      error("network must return a table, not " .. type(given), 0)
    end
  end
  local all = { nodes = chosen.nodes, seed = chosen.seed }
  for name, value in pairs(given) do
    all[name] = value
  end
  return all
end

-- Opens the network. An error in its options is the scenario's; its line is not
-- known.
local function open_network(scenario, chosen)
  local all = network_options(scenario, chosen)
  all.watch = chosen.watch
  local opened, net = pcall(sim.new, all)
  if not opened then
    error(type(net) == "string" and "network: " .. net or net, 0)
  end
  return net
end

local function spawn_steps(net, run, steps, works)
  for _, step in ipairs(steps or {}) do
    works[#works + 1] = net:spawn(function()
      task.sleep(step.at or step.part * run.seconds)
      run:mark(step.name)
      step.run(net, run)
    end)
  end
end

-- Starts the samples, the workload, the tasks and the steps. Returns all tasks.
local function start_tasks(net, run, sampler)
  local scenario, works = run.scenario, {}
  local distance = scenario.sample
    or math.max(run.seconds / SAMPLES, LEAST_DISTANCE)
  if distance > 0 then
    works[1] = net:spawn(sampler.sample_every, sampler, distance)
  end
  if scenario.workload then
    works[#works + 1] = net:spawn(run.workload, run, scenario.workload)
  end
  for _, work in ipairs(scenario.tasks or {}) do
    works[#works + 1] = net:spawn(work, net, run)
  end
  spawn_steps(net, run, scenario.steps, works)
  return works
end

-- Sets up the network and runs it until the end of the run.
local function run_to_end(net, run, sampler)
  local scenario = run.scenario
  if scenario.setup then
    net:perform(scenario.setup, net, run)
  end
  local works = start_tasks(net, run, sampler)
  net:run(math.max(run.seconds - run:now(), 0))
  for _, work in ipairs(works) do
    work:cancel()
  end
end

local function finish(net, run, sampler, interrupted)
  run.interrupted = interrupted
  run.lasted = run:now()
  run.trace_hash = net:trace_hash()
  sampler:sample()
  sampler:policies()
  run.statistics = net:statistics()
  net.watch = nil
  if run.scenario.expect and not interrupted then
    net:perform(run.scenario.expect, net, run)
  end
end

local function perform(net, scenario, chosen)
  local run = run_module.new(net, scenario, chosen)
  net.watch = chosen.watch and function()
    chosen.watch(net, run)
  end
  local sampler = sampler_module.new(run)
  local succeeded, problem = xpcall(run_to_end, function(err)
    return type(err) == "string" and debug.traceback(err, 2) or err
  end, net, run, sampler)
  if not succeeded and problem ~= M.INTERRUPTED then
    error(problem, 0)
  end
  finish(net, run, sampler, not succeeded)
  return run
end

--- Runs a scenario to its end and closes the network. Raises the errors of its
--- functions, and `scenario.INTERRUPTED` if that came before the nodes had
--- joined.
---@param scenario kadenza.Scenario
---@param given? kadenza.RunOptions
---@return kadenza.SimRun run  with `interrupted`, `lasted`, seconds,
---  `trace_hash` and `statistics`, those of net:statistics
function M.run(scenario, given)
  given = given or {}
  M.check(scenario, 2)
  check.options(given, 2, RUN_OPTIONS)
  local chosen = { watch = given.watch }
  for name, default in pairs(DEFAULTS) do
    chosen[name] = given[name] or scenario[name] or default
  end
  local net <close> = open_network(scenario, chosen)
  return perform(net, scenario, chosen)
end

--- Returns whether a run has reached all goals and was not interrupted.
---@param run kadenza.SimRun
---@return boolean passed
function M.passed(run)
  for _, expectation in ipairs(run.expectations) do
    if not expectation.passed then
      return false
    end
  end
  return not run.interrupted
end

return M
