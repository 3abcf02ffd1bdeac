-- Runs the checks of the tree, all of them or those named.
--
--   lua5.4 tests/check/run.lua [NAME]...
--
-- Each is a module that returns the list of problems that it found. Prints them
-- and a line a check, and fails when there was one.

package.path = "./?.lua;" .. package.path

local CHECKS <const> = {
  "layers", "headers", "lengths", "words", "versions", "rockspec", "reference",
  "links", "counts", "symbols",
}

local names = #arg > 0 and table.move(arg, 1, #arg, 1, {}) or CHECKS

local failed = 0
for _, name in ipairs(names) do
  local problems = require("tests.check." .. name)
  for _, problem in ipairs(problems) do
    print(problem)
  end
  print(("%s %s"):format(#problems == 0 and "ok" or "FAILED", name))
  failed = failed + (#problems == 0 and 0 or 1)
end

os.exit(failed == 0)
