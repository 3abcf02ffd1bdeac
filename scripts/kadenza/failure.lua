--- What is said of tasks that have failed: of the scheduler, `kadenza.task`.
--
-- Tested by tests/spec/policy/failure_spec.lua.

local errors = require("kadenza.errors")
local log = require("kadenza.log")

local M = {}

--- Returns what a task that has failed says of it, with a traceback.
---@param task kadenza.Task
---@return string text
function M.describe(task)
  local trace = task.traceback
  return errors.text_of(task.outcome[1]) .. (trace and "\n" .. trace or "")
end

--- Says what a task, or what it has begun, has failed by. A policy's tasks may
--- fail as often as they are started.
---@param task kadenza.Task
---@param text string
function M.say_text(task, text)
  local owner = task.owner
  if not owner then
    log.error("a task failed", { error = text })
    return
  end
  task.scheduler.say(owner, function(unsaid)
    log.error("a task failed", { policy = owner, error = text,
      before = unsaid })
  end)
end

--- Says a failure that nobody has awaited. The first is kept for the end, the
--- others need not be: a node that runs for months may have many.
---@param task kadenza.Task
function M.say(task)
  local kept = {}
  for _, other in ipairs(task.scheduler.unseen) do
    local is_over = other.seen or (other == task and #kept > 0)
    if not is_over then
      kept[#kept + 1] = other
    end
  end
  task.scheduler.unseen = kept
  if not task.seen then
    M.say_text(task, M.describe(task))
  end
end

--- Takes the failures of a scheduler that nobody has awaited.
---@param scheduler table
---@return { value: any, text: string }[] failures
function M.take(scheduler)
  local failures = {}
  for _, task in ipairs(scheduler.unseen) do
    if not task.seen then
      task.seen = true
      failures[#failures + 1] = { value = task.outcome[1],
        text = M.describe(task) }
    end
  end
  scheduler.unseen = {}
  return failures
end

return M
