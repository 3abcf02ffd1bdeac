-- Lists and reads the files of the tree, for the checks.
--
--   local tree = require "tests.check.tree"
--   for _, path in ipairs(tree.files({ "core" }, "[ch]")) do
--     for number, line in ipairs(tree.code(path)) do ... end
--   end

local M = {}

---@param command string
---@return string[] lines
function M.run(command)
  local lines = {}
  local pipe <close> = assert(io.popen(command, "r"))
  for line in pipe:lines() do
    lines[#lines + 1] = line
  end
  return lines
end

---@param folders string[]  those that do not exist are ignored
---@param extensions string  a Lua pattern, such as "[ch]" or "lua"
---@return string[] paths  sorted
function M.files(folders, extensions)
  local command = ("find %s -type f 2>/dev/null | LC_ALL=C sort"):format(
    table.concat(folders, " ")
  )
  local paths = {}
  for _, path in ipairs(M.run(command)) do
    if path:find("%." .. extensions .. "$") then
      paths[#paths + 1] = path
    end
  end
  return paths
end

---@param path string
---@return string? text  nil when there is no such file
function M.read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

---@param path string
---@return boolean  there is a file or folder
function M.exists(path)
  local file <close> = io.open(path, "rb")
  return file ~= nil
end

---Reads the comment at the head of a C or Lua file.
---@param path string
---@return string text  in one line, without marks; empty for none
function M.head(path)
  local text = M.read(path) or ""
  if path:find("%.[ch]$") then
    text = text:match("^/%*(.-)%*/") or ""
  else
    text = ("\n" .. text):match("^[\n]*\n%-%-(.*)") or ""
    text = text:gsub("\n[^-].*", ""):gsub("\n\n.*", "")
  end
  return (text:gsub("\n[ *-]*", " "))
end

---@param path string
---@return boolean is_public  one of the headers that are installed
function M.is_public(path)
  return path:find("^core/kadenza[%w_]*%.h$") ~= nil
end

---@param text string
---@return string[] lines
local function split(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do
    lines[#lines + 1] = line
  end
  return lines
end

---@param path string
---@return string[] lines
function M.lines(path)
  return split(assert(M.read(path), path))
end

-- Returns the end of the comment, string or single slash that begins at
-- `first`, and whether it is a comment.
local function token_end(text, first)
  local opening = text:sub(first, first + 1)
  if opening == "/*" then
    return select(2, text:find("*/", first + 2, true)) or #text, true
  elseif opening == "//" then
    return (text:find("\n", first, true) or #text + 1) - 1, true
  elseif opening:sub(1, 1) == "/" then
    return first, false
  end
  local quote = opening:sub(1, 1)
  local at = first + 1
  while at < #text and text:sub(at, at) ~= quote do
    at = at + (text:sub(at, at) == "\\" and 2 or 1)
  end
  return at, false
end

---Returns the lines of a C file with its comments blanked.
---@param path string
---@return string[] lines
function M.code(path)
  local text = assert(M.read(path), path)
  local parts, at = {}, 1
  local first = text:find("[/\"']")
  while first do
    local last, is_comment = token_end(text, first)
    local token = text:sub(first, last)
    parts[#parts + 1] = text:sub(at, first - 1)
    parts[#parts + 1] = is_comment and token:gsub("[^\n]", " ") or token
    at = last + 1
    first = text:find("[/\"']", at)
  end
  parts[#parts + 1] = text:sub(at)
  return split(table.concat(parts))
end

return M
