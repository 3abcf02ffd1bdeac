--- Limits how often a repeated event is logged, and counts the events that are
--- not.
--
--     local throttled = throttle.new(network)
--     throttled("every[1]", function(suppressed)
--       log.error("failed", { before = suppressed })
--     end)

local M = {}

--- Seconds between two calls for the same name.
M.SECONDS = 10

-- Names that are remembered; at one more, all are forgotten.
local MAX_NAMES <const> = 1000

--- Returns a function that calls `fn(suppressed)`, unless it has done so for
--- the same name within the last `SECONDS`. `suppressed` is the number of
--- calls left out since, or nil.
---@param network kadenza.core.Network  its clock counts
---@return fun(name: string, fn: fun(suppressed?: integer)) throttled
function M.new(network)
  local entries, count = {}, 0
  return function(name, fn)
    local now, entry = network:now(), entries[name]
    if entry and now - entry.at < M.SECONDS then
      entry.suppressed = entry.suppressed + 1
      return
    end
    if not entry then
      if count >= MAX_NAMES then
        entries, count = {}, 0
      end
      count = count + 1
    end
    entries[name] = { at = now, suppressed = 0 }
    fn(entry and entry.suppressed > 0 and entry.suppressed or nil)
  end
end

return M
