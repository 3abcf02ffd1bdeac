--- Reports tasks that have failed: the part of the scheduler and of
--- `kadenza.task` that logs and collects their errors.
--- Tested by tests/spec/policy/failure_spec.lua.

local errors = require("kadenza.errors")
local log = require("kadenza.log")

local M = {}

--- Returns the error of a task that has failed, with a traceback.
---@param task kadenza.Task
---@return string text
function M.describe(task)
  local trace = task.traceback
  return errors.text_of(task.outcome[1]) .. (trace and "\n" .. trace or "")
end

--- Logs an error of a task. A policy may start tasks that fail without end: its
--- errors are throttled.
---@param task kadenza.Task
---@param text string
function M.log_text(task, text)
  local owner = task.owner
  if not owner then
    log.error("a task failed", { error = text })
    return
  end
  task.scheduler.throttled(owner, function(suppressed)
    log.error("a task failed", { policy = owner, error = text,
      before = suppressed })
  end)
end

--- Logs the failure of a task that nothing awaits. Only the first such failure
--- is kept for the end of the network: a node that runs for months may have
--- many.
---@param task kadenza.Task
function M.log(task)
  local kept = {}
  for _, other in ipairs(task.scheduler.unawaited) do
    local is_dropped = other.awaited or (other == task and #kept > 0)
    if not is_dropped then
      kept[#kept + 1] = other
    end
  end
  task.scheduler.unawaited = kept
  if not task.awaited then
    M.log_text(task, M.describe(task))
  end
end

--- Removes and returns the failures of a scheduler that nothing has awaited.
---@param scheduler kadenza.Scheduler
---@return { value: any, text: string }[] failures
function M.take(scheduler)
  local failures = {}
  for _, task in ipairs(scheduler.unawaited) do
    if not task.awaited then
      task.awaited = true
      failures[#failures + 1] = { value = task.outcome[1],
        text = M.describe(task) }
    end
  end
  scheduler.unawaited = {}
  return failures
end

return M
