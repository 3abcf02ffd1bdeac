-- Checks that tests/suites counts strictly: every problem with a test file is a
-- failed test.

local tree = require("tests.check.tree")

-- A test file, as a shell script, and the counts of its suite.
local CASES <const> = {
  { "echo 1..2; echo ok 1; echo ok 2", "2 passed, 0 failed" },
  { "echo ok 1 - a; echo not ok 2 - b; echo 1..2; exit 1",
    "1 passed, 1 failed" },
  { "echo 1..1; echo 'ok 1 - # SKIP later'", "0 passed, 0 failed, 1 skipped" },
  { "echo 1..3; echo ok 1; kill -9 $$", "1 passed, 2 failed" },
  { "echo 1..1; echo ok 1; exit 3", "1 passed, 1 failed" },
  { "echo 1..1; echo ok 1; echo ok 2", "2 passed, 1 failed" },
  { "echo ok 1", "1 passed, 1 failed" },
  { "true", "0 passed, 1 failed" },
  { "echo 1..1; sleep 9", "0 passed, 1 failed" },
}

local folder = tree.run("mktemp -d")[1]
local problems = {}

-- Writes a test file.
---@return string path
local function write(name, script)
  local path = ("%s/%s.sh"):format(folder, name)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(script, "\n"))
  return path
end

-- Runs test files as a suite, and checks its last line.
---@param name string  of the suite
---@param paths string[]
---@param expected string
local function check(name, paths, expected)
  local lines = tree.run(
    ("TESTS= QUICK= TEST_SECONDS=1 tests/suites %s/results run %s "
      .. "sh %s 2>/dev/null"):format(folder, name, table.concat(paths, " "))
  )
  local summary = lines[#lines]:gsub(", %d+ s$", "")
  if summary ~= ("%s: %s"):format(name, expected) then
    problems[#problems + 1] = ("%s is counted as '%s', not '%s'"):format(
      name, summary, expected
    )
  end
end

for index, case in ipairs(CASES) do
  check("case" .. index, { write(index, case[1]) }, case[2])
end

-- Files whose paths differ in `/` and `_` alone.
os.execute("mkdir " .. folder .. "/a")
check("paths", { write("a/b", "echo 1..1; echo ok 1"),
  write("a_b", "echo 1..1; echo ok 1") }, "2 passed, 0 failed")

os.execute("rm -rf " .. folder)
return problems
