--- Calls functions at given times of a simulation. These functions are methods
--- of `kadenza.Sim`.

local check = require("kadenza.check")
local task = require("kadenza.task")

---@class kadenza.Sim
local Sim = {}

local function check_function(fn, level)
  if type(fn) ~= "function" then
    error("a function is needed, not " .. type(fn), level + 1)
  end
end

--- Calls `fn` as a task at a time of `net:now()`. Returns the task, which the
--- caller may cancel.
---@param time number  seconds, not before now and less than 1e9 after it
---@param fn async fun(net: kadenza.Sim)
---@return kadenza.Task task
function Sim:at(time, fn)
  check_function(fn, 2)
  check.number(time, "time", 2)
  local wait = time - self:now()
  if wait < 0 then
    error(("time must not be before now, which is %g"):format(self:now()), 2)
  end
  task.milliseconds(wait, 2)
  return self:spawn(function()
    task.sleep(wait)
    fn(self)
  end)
end

--- Calls `fn` as a task at the end of each period of `seconds`. A call that
--- takes longer than a period skips the periods that ended meanwhile. Ends when
--- `fn` returns false, or when the returned task is canceled.
---@param seconds number  from 0.001 to below 1e9
---@param fn async fun(net: kadenza.Sim): boolean?
---@return kadenza.Task task
function Sim:every(seconds, fn)
  check_function(fn, 2)
  check.number(seconds, "seconds", 2)
  if seconds < 0.001 then
    error("seconds must be at least 0.001", 2)
  end
  task.milliseconds(seconds, 2)
  return self:spawn(function()
    local next_time = self:now() + seconds
    repeat
      task.sleep(next_time - self:now())
      local goes_on = fn(self)
      local missed = math.max((self:now() - next_time) // seconds, 0)
      next_time = next_time + (missed + 1) * seconds
    until goes_on == false
  end)
end

return Sim
