-- Checks that a reader finds the tests of a file by its name, and the subject
-- of a test. Tests lie where their subjects lie:
--
--   core/routing/table.c        tests/unit/routing/table_test.c, and parts:
--                               tests/unit/routing/table_far_test.c
--   scripts/kadenza/task.lua    tests/spec/task_spec.lua
--   scripts/policies/chat.lua   tests/spec/policies/chat_spec.lua
--
-- A spec may also be named after a file of the bindings. Otherwise the comment
-- at the head of a file, or of its header, names its tests; udp_socket.c, part
-- of udp, has the header udp.h. The comment at the head of a test names its
-- subjects, which are files or folders:
--
--   Tested by tests/sim/healing_test.c.
--   Tests core/replication, scripts/kadenza/sim/run.lua.
--
-- A test that a subject names need not name the subject.

local tree = require("tests.check.tree")

local problems = {}

local function report(path, text)
  problems[#problems + 1] = path .. ":1: " .. text
end

-- Reads the paths behind a phrase at the head of a file.
---@param path string
---@param phrase string
---@return string[] named
local function named_in(path, phrase)
  local named = {}
  local list = tree.head(path):match("%f[%w]" .. phrase .. " (%.?%l+/.*)") or ""
  repeat
    local name, rest = list:match("^(%.?%l+/[%w_/.]*)[, ]*(.*)$")
    named[#named + 1] = name and name:gsub("%.$", "")
    list = (rest or ""):gsub("^and ", "")
  until not name
  return named
end

-- The name that a file shares with its tests, by patterns of paths.
local NAMES <const> = {
  { "^core/(.*)%.[ch]$", "unit/%1" },
  { "^scripts/kadenza/(.*)%.lua$", "spec/%1" },
  { "^scripts/(.*)%.lua$", "spec/%1" },
  { "^bindings/%a+/(.*)%.c$", "spec/%1" },
  { "^tests/(.*)_test%.c$", "%1" },
  { "^tests/(.*)_spec%.lua$", "%1" },
}

local function name_of(path)
  for _, rule in ipairs(NAMES) do
    if path:find(rule[1]) then
      return (path:gsub(rule[1], rule[2]))
    end
  end
  return nil
end

-- Adds a name and what it may be a part of: a, a_b and a_b_c for a_b_c.
local function add_prefixes(names, name)
  repeat
    names[name] = true
    local shorter = name:match("^(.*)_[^_/]*$")
    name = shorter or name
  until not shorter
end

---@param names table<string, boolean>
---@param name string
---@return boolean  there is the name, or what it is a part of
local function has_prefix(names, name)
  local prefixes = {}
  add_prefixes(prefixes, name)
  for prefix in pairs(prefixes) do
    if names[prefix] then
      return true
    end
  end
  return false
end

local function check_named(path, named)
  for _, other in ipairs(named) do
    if not tree.exists(other) then
      report(path, "names " .. other .. ", which does not exist")
    end
  end
end

-- Reads which tests the head of a subject names, or else that of its header.
local function tests_named_in(path)
  local named = named_in(path, "Tested by")
  local name = path:match("^(core/.+)%.c$")
  while #named == 0 and name do
    local header = name .. ".h"
    named = tree.exists(header) and named_in(header, "Tested by") or named
    name = name:match("^(.+)_[^_/]*$")
  end
  return named
end

local function check_subjects(subjects, tests)
  local test_names, named_tests = {}, {}
  for _, path in ipairs(tests) do
    add_prefixes(test_names, name_of(path))
  end
  for _, path in ipairs(subjects) do
    local named = tests_named_in(path)
    for _, test in ipairs(named) do
      named_tests[test] = true
    end
    check_named(path, named)
    if #named == 0 and not test_names[name_of(path)] then
      report(path, "has no test of its name, and its head names none")
    end
  end
  return named_tests
end

local function check_tests(tests, subjects, named_tests)
  local names = {}
  for _, path in ipairs(subjects) do
    names[name_of(path)] = true
  end
  for _, path in ipairs(tests) do
    local named = named_in(path, "Tests")
    check_named(path, named)
    if #named == 0 and not named_tests[path]
      and not has_prefix(names, name_of(path)) then
      report(path, "has no subject of its name, and its head names none")
    end
  end
end

---@param folders string[]
---@param extensions string
---@param pattern string
---@param paths string[]  receives the paths that match
local function collect(folders, extensions, pattern, paths)
  for _, path in ipairs(tree.files(folders, extensions)) do
    paths[#paths + 1] = path:find(pattern) and path or nil
  end
  return paths
end

local tests = collect({ "tests/unit", "tests/sim" }, "c", "_test%.c$", {})
collect({ "tests/spec" }, "lua", "_spec%.lua$", tests)
local subjects = collect({ "core" }, "c", "", {})
collect({ "scripts/kadenza", "scripts/policies" }, "lua", "", subjects)

local named_tests = check_subjects(subjects, tests)
-- A file of the bindings need not name tests, but those that it names exist.
for _, path in ipairs(collect({ "bindings" }, "[ch]", "", {})) do
  check_named(path, named_in(path, "Tested by"))
end
-- A header that is all inline, and a file of the bindings, may have tests.
collect({ "core" }, "h", "/%a+/", subjects)
collect({ "bindings" }, "c", "", subjects)
check_tests(tests, subjects, named_tests)
return problems
