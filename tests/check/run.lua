-- Runs the checks of the tree, all of them or those named.
--
--   lua5.4 tests/check/run.lua [NAME]...
--
-- A check is a file that returns a list of problems. Prints the problems and a
-- line for each check, and fails when there is a problem. `symbols` needs a
-- build and runs only when named.

package.path = "./?.lua;" .. package.path

local CHECKS <const> = {
  "layers", "calls", "circles", "rooms", "mirrors", "headers", "errors",
  "lengths", "words", "versions", "rockspec", "reference", "links", "names",
  "counts", "address_units", "null_arguments",
}

---@param name string
---@return boolean passed
local function run(name)
  local problems = dofile("tests/check/" .. name .. ".lua")
  table.sort(problems)
  for _, problem in ipairs(problems) do
    print(problem)
  end
  print(("%s %s"):format(#problems == 0 and "ok" or "FAILED", name))
  return #problems == 0
end

local passed = true
for _, name in ipairs(#arg > 0 and arg or CHECKS) do
  passed = run(name) and passed
end

os.exit(passed)
