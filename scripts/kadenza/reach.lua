--- Which nodes a task can wait for: those of networks that run meanwhile.
--- Tested by tests/spec/operation_spec.lua.

local task = require("kadenza.task")

local M = {}

--- Raises if the current task would wait for a node of a network that stands
--- meanwhile: time passes in one simulation, or outside of all.
---@param node kadenza.Node
---@param level integer  as of `error`
function M.check(node, level)
  local current = task.current()
  local network = current and current.scheduler.network
  if network and network ~= node.net
    and (node.is_simulated or network:is_simulated())
  then
    error("a task cannot wait for a node of another simulation, which does not "
      .. "run meanwhile: use perform of its network, or pass a callback",
      level + 1)
  end
end

return M
