-- Checks that generated documents are up to date with `make docs`.

local tree = require("tests.check.tree")

local problems = {}
local folder = tree.run("mktemp -d")[1]
local lua = arg[-1] or "lua5.4"

assert(os.execute(("'%s' docs/generate.lua '%s'"):format(lua, folder)))
for _, page in ipairs({ "reference/c.md", "reference/lua.md", "operations.md",
  "metrics.md", "service.md", "kadenza.1", "completion/kadenza.bash",
  "completion/_kadenza", "completion/kadenza.fish" })
do
  local path = "docs/" .. page
  if tree.read(path) ~= tree.read(folder .. "/" .. page) then
    problems[#problems + 1] = path .. ": out of date: run `make docs`"
  end
end

os.execute("rm -rf " .. folder)
return problems
