-- Checks that every declaration of a function in a header of core or of the
-- bindings has a comment: beside it, or above it in the same paragraph, where
-- one comment may describe several functions.

local tree = require("tests.check.tree")

-- Returns whether a line begins a function, which is in the first column.
local function begins_function(line)
  if not line:find("^[%a_]") or line:find("^typedef") then
    return false
  end
  return line:find("^[%w_ ]+[%s*][%w_]+%(") or line:find("^KAD_API")
end

local problems = {}

for _, path in ipairs(tree.files({ "core", "bindings" }, "h")) do
  local is_explained = false
  for number, line in ipairs(tree.lines(path)) do
    if line == "" then
      is_explained = false
    elseif line:find("*/", 1, true) then
      is_explained = true
    elseif begins_function(line) and not is_explained then
      problems[#problems + 1] = ("%s:%d: no comment: %s"):format(
        path, number, line
      )
    end
  end
end

return problems
