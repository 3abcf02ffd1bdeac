--- Makes the report of a run: figures, expectations and charts.

local charts = require("kadenza.sim.charts")

local M = {}

local SECONDS_AN_HOUR <const> = 3600

local function number(value)
  if value == nil then
    return "nothing measured"
  elseif value ~= value then
    return "nan" -- C may write "-nan"
  end
  return ("%.6g"):format(value)
end

local function plural(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or "s")
end

--- Returns a time in words, such as "2 h 30 min".
---@param seconds number
---@return string text
function M.duration(seconds)
  if seconds < 60 then
    return ("%.3g s"):format(seconds)
  end
  local minutes = math.floor(seconds / 60 + 0.5)
  local hours = minutes // 60
  if hours == 0 then
    return ("%d min"):format(minutes)
  elseif minutes % 60 == 0 then
    return ("%d h"):format(hours)
  end
  return ("%d h %d min"):format(hours, minutes % 60)
end

local function options_of(run)
  return {
    { name = "nodes", value = ("%d"):format(run.nodes) },
    { name = "length", value = M.duration(run.seconds) },
    { name = "simulated", value = M.duration(run.lasted) },
  }
end

local function node_figures(run)
  local statistics = run.statistics
  local figures = { { name = "nodes at the end", value = statistics.alive,
    text = ("%d"):format(statistics.alive) } }
  for _, name in ipairs({ "crashed", "left", "joined" }) do
    if statistics[name] > 0 then
      figures[#figures + 1] = { name = "nodes that " .. name,
        value = statistics[name], text = ("%d"):format(statistics[name]) }
    end
  end
  return figures
end

local SIGNS <const> = { [">="] = "≥", ["<="] = "≤", ["=="] = "=", [">"] = ">",
  ["<"] = "<" }

-- Returns the expectations of the run, as figures with goals.
local function expected_figures(run)
  local figures = {}
  for i, expectation in ipairs(run.expectations) do
    figures[i] = { name = expectation.name, value = expectation.value,
      text = number(expectation.value),
      goal = SIGNS[expectation.operator] .. " " .. number(expectation.goal),
      met = expectation.passed }
  end
  return figures
end

--- Returns the report of a run.
---@param run kadenza.SimRun
---@return kadenza.sim.Report report
function M.report(run)
  local scenario = run.scenario
  local figures = expected_figures(run)
  for _, more in ipairs({ charts.figures(run.recorder), node_figures(run) }) do
    table.move(more, 1, #more, #figures + 1, figures)
  end
  return {
    title = ("%s: %s, %s%s"):format(scenario.name, plural(run.nodes, "node"),
      M.duration(run.lasted), run.interrupted and ", interrupted" or ""),
    about = scenario.summary,
    scenario = scenario.name,
    seed = run.seed,
    hash = run.trace_hash,
    options = options_of(run),
    summary = figures,
    charts = charts.charts(run.recorder),
  }
end

--- Returns the planned length of a run.
---@param run kadenza.SimRun
---@return number hours
function M.hours(run)
  return run.seconds / SECONDS_AN_HOUR
end

return M
