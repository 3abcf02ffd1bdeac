--- The trace of a simulation: the outcome of each datagram, for a function or a
--- file. These functions are methods of `kadenza.Sim`.

local core = require("kadenza.core")
local log = require("kadenza.log")
local task = require("kadenza.task")

---@class kadenza.Sim
local Sim = {}

-- Kinds of messages, by field `y`.
local KINDS <const> = { r = "reply", e = "error" }

-- Returns the method of a query, "reply" or "error"; "other" for a datagram
-- that is no readable message, such as a sealed one.
local function name_of(bytes)
  local message = core.decode(bytes)
  if type(message) ~= "table" then
    return "other"
  elseif message.y == "q" and type(message.q) == "string" then
    return (message.q:gsub("[^%w_]", "?"))
  end
  return KINDS[message.y] or "other"
end

-- Returns a function that writes a line for each datagram.
local function writer(self, file)
  return function(outcome, from, to, bytes)
    local written, message = file:write(("%.3f %s %s %s %d %s\n"):format(
      self:now(), outcome, from, to, #bytes, name_of(bytes)))
    if not written then
      self.trace_problem = self.trace_problem or message
    end
  end
end

-- Ends a trace. Returns true, or nil and why its file is incomplete.
local function stop(self)
  self.network:trace(nil)
  local file, problem = self.trace_file, self.trace_problem
  self.trace_file, self.trace_problem = nil, nil
  if not file then
    return true
  end
  local closed, message = file:close()
  return closed and not problem or nil, problem or message
end

-- Opens the file of a trace, which is closed with the network.
local function open(self, path)
  local file, message = io.open(path, "wb")
  if not file then
    return nil, message, "KAD_ESYSTEM"
  end
  stop(self)
  self.trace_file = file
  if not self.closes_trace then
    self.closes_trace = task.at_end(self.network, function()
      local closed, problem = stop(self)
      if not closed then
        log.error("the trace is incomplete", { error = problem })
      end
    end)
  end
  return writer(self, file)
end

--- Starts a trace: reports the outcome of each datagram from now on, which is
--- `delivered`, `lost`, `congested`, `partitioned`, `filtered`, `suspended` or
--- `unreachable`, as in net:statistics. A function receives the outcome, the
--- addresses of sender and receiver, and the bytes; it must not wait. A file
--- receives a line for each datagram: time, outcome, from, to, number of bytes,
--- and the method of the query, `reply`, `error` or `other`. Ends the trace
--- before; without an argument, does only that.
---@param to? string|fun(outcome, from, to, bytes: string)
---@return true? traced
---@return string? message  this file, or that of the trace before, cannot be
---  written
---@return kadenza.Code? code
function Sim:trace(to)
  if type(to) == "string" then
    local write, message, code = open(self, to)
    if not write then
      return nil, message, code
    end
    to = write
  elseif to ~= nil and type(to) ~= "function" then
    error("a path or a function is needed, not " .. type(to), 2)
  else
    local closed, problem = stop(self)
    if not closed then
      return nil, problem, "KAD_ESYSTEM"
    end
  end
  self.network:trace(to)
  return true
end

return Sim
