-- Checks that files and functions stay short. A longer file says why in the
-- comment at its head, in a sentence that begins "The length of this file".

local tree = require("tests.check.tree")

local FILE_LINES <const> = 600
local FUNCTION_LINES <const> = 60

-- Functions that may be longer, with the reason.
local LONG_FUNCTIONS <const> = {}

local problems = {}

local function report(path, number, ...)
  problems[#problems + 1] = ("%s:%d: %s"):format(
    path, number, string.format(...)
  )
end

local function check_file(path, lines)
  local is_explained = tree.head(path):find("The length of this file", 1, true)
  if #lines > FILE_LINES and not is_explained then
    report(path, 1, "%d lines, more than %d", #lines, FILE_LINES)
  end
end

-- Sources are formatted: a function ends with its closing word in the first
-- column.
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
