-- Checks that sources contain no notes about work to do, and that comments,
-- messages and documents avoid words that are not plain technical English.

local tree = require("tests.check.tree")

-- In two parts, so that the check does not find this file.
local NOTES <const> = { "TO" .. "DO", "FIX" .. "ME", "XX" .. "X", "HA" .. "CK" }

-- A node is "it"; "a node that" and "no node" are clearer than these.
local OBSCURE <const> = {
  "whoever", "whom", "nobody", "somebody", "everybody", "anew", "for ever",
  "for want of", "by chance", "by and by", "milliard", "so to speak",
  "as it were", "his", "him",
}

-- Files that quote these words.
local UNCHECKED <const> = {
  ["CHANGELOG.md"] = true,
  ["docs/glossary.md"] = true,
  ["scripts/kadenza/web/page/dygraphs.txt"] = true, -- a licence
  ["tests/check/words.lua"] = true,
  ["tests/sim/lookup_paths_test.c"] = true,
}

local FOLDERS <const> = {
  "core", "bindings", "scripts", "tests", "bench", "docs", ".ci", "Makefile",
  "README.md", "CHANGELOG.md", "CONTRIBUTING.md",
}

local function find_word(line, words)
  for _, word in ipairs(words) do
    if line:find("%f[%w_]" .. word .. "%f[^%w_]") then
      return word
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
    local word = find_word(line, NOTES)
      or not UNCHECKED[path] and find_word(line:lower(), OBSCURE)
    if word then
      problems[#problems + 1] = ("%s:%d: %s"):format(path, number, word)
    end
  end
end

return problems
