--- What specs of simulated overlays share.

local kad = require("kadenza")
local scenario = require("kadenza.sim.scenario")
local support = require("tests.spec.support")

local M = {}

--- Returns a spec that runs `fn` with an overlay and closes it at the end.
---@param options kadenza.SimOptions
---@param fn fun(net: kadenza.Sim)
---@return function test
function M.with_sim(options, fn)
  return support.spec(function()
    local net <close> = kad.sim(options)
    return fn(net)
  end)
end

--- Returns whether one node answers another.
---@param net kadenza.Sim
---@param from kadenza.Node
---@param to kadenza.Node
---@return boolean
function M.reaches(net, from, to)
  return (net:perform(function()
    return from:ping(to:addresses()[1])
  end)) ~= nil
end

--- Returns a small scenario with the fields of `more`.
---@param more? table
---@return kadenza.Scenario
function M.small_scenario(more)
  local made = { name = "small", summary = "A small one.", nodes = 15,
    hours = 0.25 }
  for name, value in pairs(more or {}) do
    made[name] = value
  end
  return made
end

--- Runs a small scenario with the fields of `more`.
---@param more? table
---@param options? kadenza.RunOptions
---@return kadenza.SimRun
function M.run_small(more, options)
  return scenario.run(M.small_scenario(more), options)
end

--- Returns a spec that runs `fn` with the path of a report's folder, which is
--- removed afterwards.
---@param fn fun(folder: string)
---@return function test
function M.with_report_folder(fn)
  return support.with_folder(function(folder)
    fn(folder .. "/report")
  end)
end

return M
