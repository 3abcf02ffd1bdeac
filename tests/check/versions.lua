-- Checks that the header, the change log and the rockspec of a release have the
-- same version.

local tree = require("tests.check.tree")

local problems = {}

local header = assert(tree.read("core/kadenza.h"))
local version = header:match('#define KAD_VERSION "(%d+%.%d+%.%d+)"')
if not version then
  return { "core/kadenza.h: KAD_VERSION is not of the form 1.2.3" }
end

-- The newest heading of a release, below the changes that are not released.
local changes = tree.read("CHANGELOG.md") or ""
local newest = ("\n" .. changes):match("\n## %[?v?(%d+%.%d+%.%d+)")
if newest ~= version then
  problems[#problems + 1] = ("CHANGELOG.md: the newest version is %s, "
    .. "KAD_VERSION is %s"):format(newest or "absent", version)
end

for _, path in ipairs(tree.run("ls *.rockspec")) do
  local named = path:match("^kadenza%-(.*)%-%d+%.rockspec$")
  local inside = tree.read(path):match('version = "(.-)%-%d+"')
  if named ~= inside then
    problems[#problems + 1] = path .. ": its version is " .. tostring(inside)
  elseif named ~= "scm" and named ~= version then
    problems[#problems + 1] = path .. ": KAD_VERSION is " .. version
  end
end

return problems
