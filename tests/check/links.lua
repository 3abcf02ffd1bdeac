-- Checks that each file that the documents link to is in the tree.

local tree = require("tests.check.tree")

local problems = {}

local paths = tree.run("find . -name '*.md' -type f -not -path './build/*' "
  .. "-not -path './var/*' | sed 's|^./||' | LC_ALL=C sort")

for _, path in ipairs(paths) do
  local folder = path:match("^.*/") or ""
  for number, line in ipairs(tree.lines(path)) do
    for target in line:gmatch("%]%(([^)#]+)#?[^)]*%)") do
      if not target:find("^%a+:") and not tree.exists(folder .. target) then
        problems[#problems + 1] = ("%s:%d: %s does not exist"):format(path,
          number, target)
      end
    end
  end
end

return problems
