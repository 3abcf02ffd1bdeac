--- Coroutines in which a task may wait.
--
-- A generator may wait for the network; the task that resumes it waits too:
--
--     local values = coroutine.wrap(function()
--       for _, key in ipairs(keys) do
--         coroutine.yield(node:get(key))
--       end
--     end)
--     for value in values do
--       print(value)
--     end
--
-- In a program this module replaces `coroutine.resume` and `coroutine.wrap`,
-- when it is loaded: those of Lua would give what a task says to its scheduler
-- to the code that resumes. The new ones do the same in all other respects. The
-- module itself is a copy of the library as it was before.

local core = require("kadenza.core")

-- Lua's own functions; in a VM of policies, the metered ones.
local M = {}

for name, fn in pairs(core.lua_coroutine or coroutine) do
  M[name] = fn -- core.lua_coroutine: this module may be loaded again
end

if core.program_coroutine then
  for name, fn in pairs(core.program_coroutine) do
    rawset(coroutine, name, fn)
  end
end

-- C functions that a task can wait in.
local TRANSPARENT <const> = { pcall = true, xpcall = true, dofile = true }

local CLOSING <const> = "a __close of a coroutine that is closed"

-- Without methods of strings below: policies pay for them.

-- Returns what a line of a traceback calls, if Lua cannot suspend it.
local function boundary_of(line)
  local name = string.match(line, "%[C%]: in %S+ '([^']+)'")
  if name then
    return not TRANSPARENT[name] and string.format("'%s'", name) or nil
  elseif string.find(line, "[C]: in ", 1, true) then
    return "a C function"
  elseif string.find(line, "in metamethod '_*gc'") then
    return "a finalizer (__gc)"
  elseif string.find(line, "in hook '", 1, true) then
    return "a debug hook"
  end
end

-- Returns what has called the code that runs on `thread` so that Lua cannot
-- suspend it, or nil.
local function find_boundary(thread)
  local trace = core.traceback(thread)
  if thread ~= M.running() then
    -- without the function that resumes
    trace = string.gsub(trace, "^(.-)\n[^\n]*%[C%][^\n]*", "%1", 1)
  end
  for line in string.gmatch(trace, "[^\n]+") do
    local found = boundary_of(line)
    if found then
      return found
    end
  end
end

--- Returns why the code that runs cannot wait.
---@param task? kadenza.Task  the current task
---@return string message
function M.explain(task)
  if task and task.state ~= "running" then
    return "a canceled task cannot wait"
  elseif task then
    return "a task cannot wait inside of "
      .. (find_boundary(core.blocked()) or CLOSING)
      .. ": Lua cannot suspend it; wait before or after that call"
  elseif select(2, M.running()) then
    return "only a task can wait: call this inside kad.run or kad.spawn"
  elseif not M.isyieldable() and not find_boundary(M.running()) then
    return "only a task can wait, not " .. CLOSING
  end
  return "only a task can wait: this coroutine was resumed outside of kad.run "
    .. "and kad.spawn, or with a function that was taken from 'coroutine' "
    .. "before kadenza was loaded"
end

return M
