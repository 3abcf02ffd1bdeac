--- Faults: why a command ends without its result.
--
-- A command that cannot do its work raises a fault, from wherever it notices;
-- the program prints it as one line and ends with its status. Any other error
-- is a bug of ours.
--
--     fault.misuse("--k must be an integer, not '%s'", text)   -- ends with 2
--     fault.failed("not found", "KAD_ENOTFOUND")               -- ends with 1

local M = {}

--- Status of the program: the operation failed.
M.FAILED = 1

--- Status of the program: it was not used as it is meant to be.
M.MISUSED = 2

---@class kadenza.cli.Fault
---@field status integer
---@field message? string  one line; none when all has been said
---@field code? string  name of an error of the library
---@field command? string  whose help to point to
local Fault = {}
Fault.__index = Fault
Fault.__name = "kadenza.cli.Fault"

--- Makes one line of a text, without anything that drives a terminal.
---@param text string
---@return string line
function M.line(text)
  text = text:gsub("%s*\n%s*", "; "):gsub("[%c\127]", function(char)
    return ("\\x%02x"):format(char:byte())
  end)
  return text
end

local function raise(fields)
  fields.message = M.line(fields.message)
  error(setmetatable(fields, Fault), 0)
end

--- Ends the command: the user has to change how it is called or configured.
---@param format string
---@param ... any
function M.misuse(format, ...)
  raise({ status = M.MISUSED, message = format:format(...) })
end

--- Ends the command: its command line is wrong, and `command` has help on it.
---@param command string  such as "kadenza get"
---@param message string
function M.usage(command, message)
  raise({ status = M.MISUSED, message = message, command = command })
end

--- Ends the command: what it was to do has failed.
---@param message string
---@param code? string
function M.failed(message, code)
  raise({ status = M.FAILED, message = message, code = code })
end

--- Ends the command with a status when what it has printed says why.
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
