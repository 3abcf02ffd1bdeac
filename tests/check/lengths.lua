-- Checks that files and functions stay short. A longer file says why in the
-- comment at its head, in a sentence with "The length of this file".

local tree = require("tests.check.tree")

local FILE_LINES <const> = 600
local FUNCTION_LINES <const> = 60
local HEAD_LINES <const> = 40

-- Functions that may be longer, with the reason.
local LONG_FUNCTIONS <const> = {}

local problems = {}

local function report(path, number, ...)
  problems[#problems + 1] = ("%s:%d: %s"):format(
    path, number, string.format(...)
  )
end

local function explains_length(lines)
  local head = table.concat(lines, " ", 1, math.min(#lines, HEAD_LINES))
  return head:gsub("[%s*%-]+", " "):find("The length of this file", 1, true)
end

local function check_file(path, lines)
  if #lines > FILE_LINES and not explains_length(lines) then
    report(path, 1, "%d lines, more than %d", #lines, FILE_LINES)
  end
end

-- Sources are formatted, so that a function's last line is its closing word in
-- the first column.
local function check_functions(path, lines, opening, closing)
  local first, name
  for number, line in ipairs(lines) do
    if not first and opening(line) then
      first, name = number, line:match("([%w_.:]+)%s*%(")
    elseif first and line:find(closing) then
      local length = number - first + 1
      local key = ("%s:%s"):format(path, name)
      if length > FUNCTION_LINES and not LONG_FUNCTIONS[key] then
        report(path, first, "%d lines, more than %d", length, FUNCTION_LINES)
      end
      first = nil
    end
  end
end

local function opens_c(line)
  return line:find("^[%a_ ].*%) {$") and not line:find("^  ")
    or line:find("^ +[%a_].*%) {$") and line:find("^     ")
end

local function opens_lua(line)
  return line:find("^local function ") or line:find("^function ")
end

local FOLDERS <const> = { "core", "bindings", "scripts", "tests", "bench" }

for _, path in ipairs(tree.files(FOLDERS, "[ch]")) do
  local lines = tree.lines(path)
  check_file(path, lines)
  check_functions(path, lines, opens_c, "^}$")
end
for _, path in ipairs(tree.files(FOLDERS, "lua")) do
  local lines = tree.lines(path)
  check_file(path, lines)
  check_functions(path, lines, opens_lua, "^end$")
end
return problems
