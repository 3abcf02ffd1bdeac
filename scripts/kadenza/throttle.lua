--- Says what may happen often once in a while, and how often it was not said.
--
--     local say = throttle.new(network)
--     say("every[1]", function(unsaid) log.error("failed", {…}) end)

local M = {}

--- Seconds in which a thing is said once.
M.SECONDS = 10

-- Names that are kept; whoever has more of them begins anew.
local MAX_NAMES <const> = 1000

--- Returns a function that calls `fn(unsaid)` unless it has done so for `name`
--- within the last seconds. `unsaid` is how often that was, or nil.
---@param network kadenza.core.Network  whose clock counts
---@return fun(name: string, fn: fun(unsaid?: integer)) say
function M.new(network)
  local said, count = {}, 0
  return function(name, fn)
    local now, entry = network:now(), said[name]
    if entry and now - entry.at < M.SECONDS then
      entry.unsaid = entry.unsaid + 1
      return
    end
    if not entry then
      if count >= MAX_NAMES then
        said, count = {}, 0
      end
      count = count + 1
    end
    said[name] = { at = now, unsaid = 0 }
    fn(entry and entry.unsaid > 0 and entry.unsaid or nil)
  end
end

return M
