--- Loads the Lua text of a file. What is wrong with it names the file.
--- Tested by tests/spec/chunk_spec.lua.

local chunk_text = require("kadenza.chunk_text")

local M = {}

local NO_MEMORY <const> = "not enough memory" -- the error of Lua

--- Returns a problem as a message that begins with the file, unless it names a
--- line of a file already.
---@param path string
---@param problem string
---@return string message
function M.naming(path, problem)
  -- Without methods of strings: policies pay for a match by a method.
  local text = string.gsub(problem, "^kadenza%.[%w_.]*:%d+: ", "", 1)
  if string.find(text, "^C stack overflow") then
    text = "it is nested too deep: C stack overflow"
  elseif text == NO_MEMORY then
    text = "out of memory"
  end
  local is_named = string.sub(text, 1, #path + 1) == path .. ":"
    or string.find(text, "^[^%c:]+%.lua:")
  return is_named and text or path .. ": " .. text
end

--- Returns the function of the Lua text in the bytes of a file; or nil and a
--- message. Bytecode is refused.
---@param bytes string
---@param path string
---@param environment? table  by default the globals
---@return function? chunk
---@return string? message
function M.load(bytes, path, environment)
  local text = chunk_text(bytes)
  -- In a pcall: else a handler of errors adds its traceback to some of them.
  local succeeded, chunk, problem =
    pcall(load, text, "@" .. path, "t", environment or _G)
  if succeeded and chunk then
    return chunk
  elseif string.sub(text, 1, 1) == "\27" then
    return nil, path .. ": attempt to load a binary chunk: give its source"
  end
  return nil, M.naming(path, succeeded and problem or chunk)
end

return M
