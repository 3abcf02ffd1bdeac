-- Checks that sources contain no notes about work to do.

local tree = require("tests.check.tree")

-- In two parts, so that the check does not find this file.
local NOTES <const> = { "TO" .. "DO", "FIX" .. "ME", "XX" .. "X", "HA" .. "CK" }

local FOLDERS <const> = {
  "core", "bindings", "scripts", "tests", "bench", "docs", ".ci", "Makefile",
  "README.md", "CHANGELOG.md",
}

local function find_note(line)
  for _, note in ipairs(NOTES) do
    if line:find("%f[%w_]" .. note .. "%f[^%w_]") then
      return note
    end
  end
  return nil
end

local problems = {}

local paths = tree.run(
  "find " .. table.concat(FOLDERS, " ")
    .. " -type f -not -path 'tests/fuzz/corpus/*' 2>/dev/null | LC_ALL=C sort"
)
for _, path in ipairs(paths) do
  for number, line in ipairs(tree.lines(path)) do
    local note = find_note(line)
    if note then
      problems[#problems + 1] = ("%s:%d: %s"):format(path, number, note)
    end
  end
end

return problems
