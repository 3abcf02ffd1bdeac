--- Errors: their texts, and the positions at which they are raised.

local coroutine = require("kadenza.coroutine")

local text_start = require("kadenza.shown").start

local M = {}

local MAX_MESSAGE <const> = 1000 -- bytes

--- Calls a function. An error that it raises is raised again at `level`, and
--- without the name of a function of the core.
---@param level integer  as of `error`; -1: without a position
---@param fn function
---@param ... any
---@return any ...
function M.at_level(level, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if not results[1] then
    -- Without methods of strings: policies pay for a match by a method.
    local message = text_start(tostring(results[2]), MAX_MESSAGE)
    local number, text =
      string.match(message, "^bad argument #(%d+) to '.-' %((.*)%)$")
    if text then
      message = string.find(text, "^option") and text
        or string.format("argument %d: %s", number, text)
    end
    error(message, level + 1)
  end
  return table.unpack(results, 2, results.n)
end

--- Returns the text of an error. An error that is not a string may have a
--- __tostring that fails or never ends: it runs in its own coroutine. Without
--- one, the text is the same for all values of a type: it has no address.
---@param err any
---@return string text
function M.text_of(err)
  if type(err) == "string" then
    return err
  end
  local succeeded, text = coroutine.resume(coroutine.create(tostring), err)
  if not succeeded then
    return "an error that cannot be shown"
  end
  local kind = err == nil and "nil" or string.match(text, "^(.+): 0x%x+$")
  return kind and "an error that is no text: " .. kind or text
end

return M
