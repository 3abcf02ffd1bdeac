-- Checks that the rockspec lists every C source of core and of the bindings,
-- every module of the library, the policies and scenarios that ship, and every
-- other module that the library requires.
--
--   lua5.4 tests/check/rockspec.lua --write      updates both lists

local tree = require("tests.check.tree")

local PATH <const> = "kadenza-scm-1.rockspec"

local function sources()
  return tree.files({ "core", "bindings/lua", "bindings/policy" }, "c")
end

local function modules()
  local paths = {}
  for _, path in ipairs(tree.files({ "scripts/kadenza" }, "lua")) do
    if not path:find("_spec%.lua$") then
      paths[#paths + 1] = path
    end
  end
  return paths
end

-- Policies and scenarios are installed in folders of the library.
local function shipped()
  local paths = {}
  for _, path in ipairs(tree.files({ "scripts/policies", "scripts/scenarios" },
    "lua"))
  do
    if not path:find("_spec%.lua$") then
      paths[#paths + 1] = path
    end
  end
  return paths
end

local function module_name(path)
  local name = path:gsub("^scripts/", ""):gsub("%.lua$", "")
  name = name:gsub("^policies/", "kadenza/%0")
    :gsub("^scenarios/", "kadenza/%0")
  return (name:gsub("/init$", ""):gsub("/", "."))
end

local function installed()
  local paths = modules()
  table.move(shipped(), 1, #shipped(), #paths + 1, paths)
  return paths
end

---@return string text  of the rockspec with the lists of the tree
local function rewrite(text)
  local lists = { sources = {}, modules = {} }
  for i, path in ipairs(sources()) do
    lists.sources[i] = ('        "%s",\n'):format(path)
  end
  for i, path in ipairs(installed()) do
    lists.modules[i] = ('    ["%s"] =\n      "%s",\n'):format(
      module_name(path), path
    )
  end
  local before, after = text:match("^(.-sources = {\n).-(      },\n.*)$")
  text = before .. table.concat(lists.sources) .. after
  before, after = text:match("^(.*\n    },\n).-(  },\n}\n)$")
  return before .. table.concat(lists.modules) .. after
end

local function check_dependencies(text, problems)
  for _, path in ipairs(modules()) do
    local code = tree.read(path):gsub("%f[^\n\0]%s*%-%-[^\n]*", "")
    for name in code:gmatch("require%(?%s*[\"']([%w_]+)[\"']") do
      local is_listed = text:find(('"%s >='):format(name))
      if name ~= "kadenza" and not is_listed then
        problems[#problems + 1] = ("%s: requires '%s', which %s does not list")
          :format(path, name, PATH)
      end
    end
  end
end

local text = assert(tree.read(PATH))
local wanted = rewrite(text)

if arg and arg[1] == "--write" then
  local file <close> = assert(io.open(PATH, "wb"))
  assert(file:write(wanted))
  return {}
end

local problems = {}
if text ~= wanted then
  problems[1] = PATH .. ": its lists are not up to date: run `make format`"
end
check_dependencies(text, problems)
local host_source = tree.read("scripts/kadenza/host.lua")
for _, path in ipairs(shipped()) do
  if not host_source:find(path:gsub("^scripts/", '"') .. '"', 1, true) then
    problems[#problems + 1] = "scripts/kadenza/host.lua: does not list " .. path
  end
end
return problems
