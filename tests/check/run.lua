-- Runs the checks of the tree, all of them or those named.
--
--   lua5.4 tests/check/run.lua [--shrink] [NAME]...
--
-- A check is a file that returns a list of problems, and a note or nil. Prints
-- the problems and a line for each check, and fails when there is a problem.
-- `symbols` needs a build, and `rooms` prints a table: they run when named.
-- --shrink updates the lists of known problems (known.lua).

package.path = "./?.lua;" .. package.path

local CHECKS <const> = {
  "layers", "calls", "circles", "mirrors", "headers", "errors", "lengths",
  "words", "versions", "rockspec", "reference", "links", "names", "counts",
}

---@param arguments string[]
---@return string[] names
local function parse(arguments)
  local names = {}
  for _, argument in ipairs(arguments) do
    if argument == "--shrink" then
      require("tests.check.known").shrinks = true
    else
      names[#names + 1] = argument
    end
  end
  return #names > 0 and names or CHECKS
end

---@param name string
---@return boolean passed
local function run(name)
  local problems, note = dofile("tests/check/" .. name .. ".lua")
  for _, problem in ipairs(problems) do
    print(problem)
  end
  print(("%s %s%s"):format(#problems == 0 and "ok" or "FAILED", name,
    note and " (" .. note .. ")" or ""))
  return #problems == 0
end

local passed = true
for _, name in ipairs(parse(arg)) do
  passed = run(name) and passed
end

os.exit(passed)
