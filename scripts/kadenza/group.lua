--- Several tasks at once: all of them, the first of them, one with a timeout.
--
--     local results = group.all({ fetch_one, fetch_other })
--     local value, message = group.timeout(2, fetch_one)

local task = require("kadenza.task")

local M = {}

local function has_ended(item)
  return item:status() ~= "running"
end

-- Makes tasks of the functions in a list. Returns all tasks, and those that
-- were made here.
local function to_tasks(list, level)
  if type(list) ~= "table" then
    error("a list of tasks is needed, not " .. type(list), level + 1)
  end
  for i, item in ipairs(list) do
    if type(item) ~= "function" and not task.is(item) then
      error(string.format("item %d is neither a task nor a function", i),
        level + 1)
    end
  end
  local network = task.network()
  local all, made = {}, {}
  for i, item in ipairs(list) do
    if type(item) == "function" then
      all[i] = task.spawn(network, item)
      made[#made + 1] = all[i]
    else
      all[i] = item
    end
  end
  return all, made
end

local function cancel_all(list)
  for _, item in ipairs(list) do
    item:cancel()
  end
end

-- Waits until `is_enough(item)` returns true for a task that has ended, and
-- returns that task. If the waiting task is canceled, so are the tasks in
-- `made`.
local function wait_for(list, made, is_enough)
  return task.wait(function(resume)
    local is_over = false
    local removals = {}
    local function handle_end(item)
      if not is_over and is_enough(item) then
        is_over = true
        resume(item)
      end
    end
    for _, item in ipairs(list) do
      if has_ended(item) then
        handle_end(item)
      else
        removals[#removals + 1] = item:on_end(function()
          handle_end(item)
        end)
      end
    end
    return function()
      is_over = true
      for _, remove in ipairs(removals) do
        remove()
      end
      cancel_all(made)
    end
  end)
end

--- Waits for all tasks of a list. Functions in it are spawned. If a task fails,
--- cancels the others and raises its error.
---@async
---@param list (kadenza.Task|async fun(): any)[]
---@return table results  the first result of each; `n` is their number
function M.all(list)
  task.check(2)
  local all, made = to_tasks(list, 2)
  local left = #all
  if left > 0 then
    local last = wait_for(all, made, function(item)
      left = left - 1
      return left == 0 or item:status() == "failed"
    end)
    if last:status() == "failed" then
      cancel_all(all)
      last:await()
    end
  end
  local results = { n = #all }
  for i, item in ipairs(all) do
    results[i] = (item:await())
  end
  return results
end

--- Waits for the first task of a list that ends, and cancels the others.
--- Returns its results or raises its error. Functions in the list are spawned.
---@async
---@param list (kadenza.Task|async fun(): ...)[]
---@return any ...
function M.race(list)
  task.check(2)
  local all, made = to_tasks(list, 2)
  if #all == 0 then
    error("a race needs a task", 2)
  end
  local first = wait_for(all, made, function()
    return true
  end)
  cancel_all(all)
  return first:await()
end

--- Waits for a task until it ends or `seconds` have passed. A function is
--- spawned. Returns its results; after the timeout, cancels it and returns nil,
--- "timeout", "KAD_ETIMEOUT".
---@async
---@param seconds number
---@param what kadenza.Task|async fun(): ...
---@return any ...
function M.timeout(seconds, what)
  local ms = task.milliseconds(seconds, 2)
  task.check(2)
  local list, made = to_tasks({ what }, 2)
  local item = list[1]
  if not item then
    error("a task or a function is needed", 2)
  end
  local network = task.network()
  local ended = has_ended(item) or task.wait(function(resume)
    local timer = network:start_timer(ms, function()
      resume(false)
    end)
    local remove = item:on_end(function()
      network:stop_timer(timer)
      resume(true)
    end)
    return function()
      network:stop_timer(timer)
      remove()
      cancel_all(made)
    end
  end)
  if ended then
    return item:await()
  end
  item:cancel()
  return nil, "timeout", "KAD_ETIMEOUT"
end

return M
