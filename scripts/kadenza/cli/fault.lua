--- Faults: errors that end a command without a result.
--
-- The program prints a fault as one line and ends with its status. Any other
-- error is a bug in kadenza.
--
--     fault.misuse("--k must be an integer, not '%s'", text)   -- ends with 2
--     fault.failed("not found", "KAD_ENOTFOUND")               -- ends with 1
--
-- Tested by tests/spec/cli/usage_spec.lua.

local shown = require("kadenza.shown")

local M = {}

--- Exit status: the operation failed.
M.FAILED = 1

--- Exit status: an error in the command line, a configuration or a policy.
M.MISUSED = 2

-- Codes of failures of the machine; other codes are errors of the user's input.
local MACHINE_FAILURES <const> = {
  KAD_EADDRINUSE = true,
  KAD_EADDRNOTAVAIL = true,
  KAD_EACCESS = true,
  KAD_EBUSY = true, -- another node uses the state folder
  KAD_EMALFORMED = true, -- its state is of a newer version
  KAD_ESYSTEM = true,
  KAD_ENOMEM = true,
}

---@class kadenza.cli.Fault
---@field status integer
---@field message? string  one line; nil if nothing is left to print
---@field raw? string  the message with the bytes that it was made of
---@field code? string  name of an error of the library
---@field command? string  the command whose help the message refers to
local Fault = {}
Fault.__index = Fault
Fault.__name = "kadenza.cli.Fault"

local function join_lines(text)
  return (text:gsub("%s*\n%s*", "; "))
end

--- Makes one line of a text, and escapes what a terminal must not see.
---@param text string
---@return string line
function M.line(text)
  return shown.line(join_lines(text))
end

local function raise(fields)
  fields.raw = join_lines(fields.message)
  fields.message = M.line(fields.message)
  error(setmetatable(fields, Fault), 0)
end

--- Ends the command with MISUSED: the user must correct a call, a configuration
--- or a policy.
---@param format string
---@param ... any
function M.misuse(format, ...)
  raise({ status = M.MISUSED, message = format:format(...) })
end

-- The texts of Lua and of the core.
local NO_MEMORY <const> = { ["not enough memory"] = true,
  ["out of memory"] = true }

--- Tells whether an error is that the memory of Lua or of the core has ended,
--- with or without the position or the file where that was.
---@param err any
---@return boolean
function M.is_out_of_memory(err)
  local line = type(err) == "string" and err:match("^[^\n]*") or ""
  return line:find("not enough memory$") ~= nil
    or line:find("out of memory$") ~= nil
end

--- Returns a checked value. If it has a problem, ends the command with MISUSED.
---@param what string  begins the message
---@param value any
---@param problem? string
---@return any value
function M.checked(what, value, problem)
  if NO_MEMORY[problem] then -- a policy over its own limit names its file
    M.failed("out of memory", "KAD_ENOMEM")
  elseif problem then
    M.misuse("%s %s", what, problem)
  end
  return value
end

--- Ends the command with MISUSED and refers to the help of `command`.
---@param command string  such as "kadenza get"
---@param message string
function M.usage(command, message)
  raise({ status = M.MISUSED, message = message, command = command })
end

--- Ends the command with FAILED: its operation failed.
---@param message string
---@param code? string
function M.failed(message, code)
  raise({ status = M.FAILED, message = message, code = code })
end

--- Ends the command because its node could not be opened.
---@param message string
---@param code? kadenza.Code
function M.not_opened(message, code)
  if MACHINE_FAILURES[code] then
    M.failed(message, code)
  end
  M.misuse("%s", message)
end

--- Returns the text of a file that the user has named, or the value made of it.
--- Ends the command if there is none: with MISUSED if the user must correct the
--- path or the file, with FAILED if the machine could not read it.
---@param what string  begins the message
---@param value any
---@param message? string
---@param code? kadenza.Code
---@return any value
function M.read(what, value, message, code)
  if value then
    return value
  end
  message = (what .. " " .. message):gsub("^ ", "")
  if MACHINE_FAILURES[code] and code ~= "KAD_EACCESS" then
    M.failed(message, code)
  end
  M.misuse("%s", message)
end

--- Ends the command with a status and no message: its output says why.
---@param status integer
function M.finish(status)
  error(setmetatable({ status = status }, Fault), 0)
end

--- Tells whether an error is a fault.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Fault
end

return M
