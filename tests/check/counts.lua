-- Checks that tests/suites counts strictly: whatever goes wrong with a test
-- file is a failed test and never none.

local tree = require("tests.check.tree")

-- A test file, as a shell script, and how it counts.
local CASES <const> = {
  { "echo 1..2; echo ok 1; echo ok 2", "2 passed, 0 failed" },
  { "echo ok 1 - a; echo not ok 2 - b; echo 1..2; exit 1",
    "1 passed, 1 failed" },
  { "echo 1..1; echo 'ok 1 - # SKIP later'", "0 passed, 0 failed (1 skipped)" },
  { "echo 1..3; echo ok 1; kill -9 $$", "1 passed, 2 failed" },
  { "echo 1..1; echo ok 1; exit 3", "1 passed, 1 failed" },
  { "echo 1..1; echo ok 1; echo ok 2", "2 passed, 1 failed" },
  { "echo ok 1", "1 passed, 1 failed" },
  { "true", "0 passed, 1 failed" },
  { "echo 1..1; sleep 9", "0 passed, 1 failed" },
}

local folder = tree.run("mktemp -d")[1]
local problems = {}

---@return string? summary  the last line that tests/suites prints
local function count(index, script)
  local path = ("%s/%d.sh"):format(folder, index)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(script, "\n"))
  file:close()
  local lines = tree.run(
    ("TESTS= TEST_SECONDS=1 tests/suites %s/%d run case sh %s"):format(
      folder, index, path
    )
  )
  return lines[#lines]
end

for index, case in ipairs(CASES) do
  local script, expected = table.unpack(case)
  local summary = count(index, script)
  if summary ~= "case: " .. expected then
    problems[#problems + 1] = ("'%s' counts as %s, not as %s"):format(
      script, summary, expected
    )
  end
end

os.execute("rm -rf " .. folder)
return problems
