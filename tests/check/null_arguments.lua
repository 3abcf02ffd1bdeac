-- Checks that the test of NULL arguments calls every public function that takes
-- a pointer.

local tree = require("tests.check.tree")

local TEST <const> = "tests/unit/net/null_arguments_test.c"

local test = assert(tree.read(TEST))
local problems = {}

for _, path in ipairs(tree.files({ "core" }, "h")) do
  if path:find("^core/kadenza[%w_]*%.h$") then
    local text = table.concat(tree.code(path), "\n")
    for name, parameters in text:gmatch("KAD_API[^;{}]-(kad_[%w_]+)(%b())%s*;")
    do
      if parameters:find("[%*%[]") and not test:find(name .. "(", 1, true) then
        problems[#problems + 1] = ("%s:1: test %s with NULL in %s"):format(
          path, name, TEST)
      end
    end
  end
end

return problems
