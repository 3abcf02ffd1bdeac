-- Checks the built files: the shared library exports only names of the API, the
-- Lua module only its luaopen function, and core has no mutable global state.
--
-- BUILD names the folder, build/ by default.

local tree = require("tests.check.tree")

local BUILD <const> = os.getenv("BUILD") or "build"

local problems = {}

local function check_exports(file, pattern)
  local lines = tree.run(
    ("nm -D --defined-only %s/%s"):format(BUILD, file)
  )
  for _, line in ipairs(lines) do
    local name = line:match("%S+$")
    if not name:find(pattern) then
      problems[#problems + 1] = ("%s exports %s"):format(file, name)
    end
  end
  if #lines == 0 then
    problems[#problems + 1] = file .. " exports nothing"
  end
end

-- Sections of initialised (.data) and of zeroed (.bss) variables; constants
-- that hold pointers lie in .data.rel.ro until they are relocated.
local function is_mutable(section)
  return (section:find("^%.t?bss") or section:find("^%.t?data"))
    and not section:find("^%.data%.rel%.ro")
end

local function check_state()
  local object = "?"
  local lines = tree.run(("objdump -t %s/libkadenza.a"):format(BUILD))
  for _, line in ipairs(lines) do
    object = line:match("^(%S+%.o):") or object
    local section, name = line:match(" O (%.%S+)%s+%S+%s+(.*)$")
    if section and is_mutable(section) then
      problems[#problems + 1] = ("%s: '%s' is mutable global state"):format(
        object, (name:gsub("^%.hidden ", ""))
      )
    end
  end
end

check_exports("libkadenza.so", "^kad_")
check_exports("lua/kadenza/core.so", "^luaopen_kadenza_core$")
check_state()
return problems
