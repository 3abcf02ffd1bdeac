--- Statistics of the policies of a node, for its program and for the policies.
--- Tested by tests/spec/policy_spec.lua.

local core = require("kadenza.core")

local M = {}

-- Statistics of hooks. As a text: "counter: counter.validate calls=3 errors=1
-- overruns=0 yields=2 preempted=0 slowest_us=812".
local Stats = {}
Stats.__name = "kadenza.PolicyStats"

function Stats:__tostring()
  local lines = {}
  for name, hook in pairs(self.hooks) do
    lines[#lines + 1] = string.format("%s calls=%d errors=%d overruns=%d "
      .. "yields=%d preempted=%d slowest_us=%d%s", name, hook.calls,
      hook.errors, hook.overruns, hook.yields, hook.preempted,
      math.ceil(hook.slowest * 1e6),
      hook.breaker_open and " breaker=open" or "")
  end
  table.sort(lines)
  return table.concat(lines, "; ")
end

--- Returns statistics of the policies of a node:
---
--- - `hooks`: by name, each with
---   - `calls`
---   - `errors`
---   - `overruns`: errors because a budget or the deadline was exceeded
---   - `yields`: calls that waited
---   - `preempted`: calls that were continued in a later turn of the loop
---   - `instructions`: of all calls, approximate
---   - `seconds`: running time of all calls
---   - `slowest`: running time of the slowest call, in seconds
---   - `time`: a histogram of calls under 1, 2, 4 … microseconds; the last
---     entry counts all others
---   - `breaker_open`: whether its circuit breaker is open
--- - `memory`: bytes that policy files use
--- - `clamped`: how often a hook returned seconds out of range
---@param node kadenza.Node
---@return table? stats  nil for a node without policies
function M.of(node)
  if node.policy_handle then
    return setmetatable(node.policy_handle:stats(), Stats)
  elseif core.policy_stats then -- in the VM of the policies
    return setmetatable(core.policy_stats(), Stats)
  end
  return nil
end

return M
