-- Problems that the tree still has and that a check lets pass: a list for each
-- check, tests/check/known/NAME.txt. A line that is not needed is a problem.
--
-- A line of a list is "PATH: TEXT" where the check prints "PATH:NUMBER: TEXT":
-- it stays the same when code moves within its file. Lines that begin with `#`
-- are comments.
--
--   lua5.4 tests/check/run.lua --shrink NAME    removes the lines not needed

local tree = require("tests.check.tree")

local M = {}

---@class Problem
---@field path string
---@field line integer
---@field text string
---@field detail string?  shown after the text

local function key_of(problem)
  return ("%s: %s"):format(problem.path, problem.text)
end

local function text_of(problem)
  return ("%s:%d: %s%s"):format(problem.path, problem.line, problem.text,
    problem.detail and ": " .. problem.detail or "")
end

local function write(path, lines)
  local file <close> = assert(io.open(path, "wb"))
  for _, line in ipairs(lines) do
    assert(file:write(line, "\n"))
  end
end

---@param path string  of a list
---@param found table<string, boolean>  what a check found, by line of the list
---@return table<string, boolean> known
---@return string[] kept  the list without the lines that are not needed
---@return string[] problems  a line for each of these
local function read(path, found)
  local known, kept, problems = {}, {}, {}
  for number, line in ipairs(tree.read(path) and tree.lines(path) or {}) do
    if found[line] or line == "" or line:find("^#") then
      known[line] = found[line]
      kept[#kept + 1] = line
    elseif not M.shrinks then
      problems[#problems + 1] = ("%s:%d: not needed any more: %s"):format(path,
        number, line)
    end
  end
  return known, kept, problems
end

---Separates new problems from known ones.
---@param name string  of the check
---@param found Problem[]
---@return string[] problems  new ones, and lines of the list not needed
---@return string? note  how many are known
function M.filter(name, found)
  local path = ("tests/check/known/%s.txt"):format(name)
  local keys = {}
  for _, problem in ipairs(found) do
    keys[key_of(problem)] = true
  end
  local known, kept, problems = read(path, keys)
  local count = 0
  for _, problem in ipairs(found) do
    if known[key_of(problem)] then
      count = count + 1
    else
      problems[#problems + 1] = text_of(problem)
    end
  end
  if M.shrinks and #kept > 0 then
    write(path, kept)
  end
  return problems, count > 0 and count .. " known" or nil
end

return M
