-- Checks that the reference in docs/reference is what `make docs` writes.

local tree = require("tests.check.tree")

local problems = {}
local folder = tree.run("mktemp -d")[1]
local lua = arg[-1] or "lua5.4"

assert(os.execute(("'%s' docs/generate.lua '%s'"):format(lua, folder)))
for _, page in ipairs({ "c.md", "lua.md" }) do
  local path = "docs/reference/" .. page
  if tree.read(path) ~= tree.read(folder .. "/" .. page) then
    problems[#problems + 1] = path .. ": out of date: run `make docs`"
  end
end

os.execute("rm -rf " .. folder)
return problems
