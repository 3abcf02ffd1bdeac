-- Shows how much of each parser the inputs of its fuzz target reach.
--
--   make fuzz-coverage
--   lua5.4 tests/fuzz/coverage.lua build/coverage
--
-- The inputs are those of tests/fuzz/corpus, the vectors of docs/vectors, and
-- what `make fuzz` has found in build/fuzz/found. The programs and gcov are of
-- the same compiler; GCOV is another gcov.

package.path = "./?.lua;" .. package.path

local tree = require("tests.check.tree")

-- By target, the sources that it is for: files, or folders that end in "/".
local TARGETS <const> = {
  { "bencode", { "core/wire/bencode.c" } },
  { "krpc", { "core/wire/krpc.c", "core/wire/krpc_decode.c",
    "core/wire/krpc_encode.c", "core/wire/krpc_fields.c",
    "core/wire/krpc_item.c", "core/wire/message.c" } },
  { "address", { "core/base/address.c", "core/base/address_range.c",
    "core/base/address_set.c", "core/base/address_text.c" } },
  { "matcher", { "bindings/policy/matcher.c" } },
  { "memory_store", { "core/records/memory/" } },
  { "table", { "core/routing/" } },
  { "wheel", { "core/base/wheel.c" } },
  { "heap", { "core/base/heap.c" } },
  { "saved", { "bindings/lua/bencode.c", "bindings/lua/record.c" } },
  { "node", { "core/lookup/", "core/membership/", "core/node/",
    "core/operations/", "core/records/", "core/replication/", "core/routing/",
    "core/rpc/", "core/wire/" } },
}

local build <const> = arg[1]
local objects <const> = build .. "/obj/"
local gcov <const> = os.getenv("GCOV") or "gcov"

local function run(command)
  return table.concat(tree.run(command .. " 2>&1"), "\n")
end

-- Runs the program of a target on all inputs that there are.
local function replay(name)
  local folders = { "tests/fuzz/corpus/" .. name, build .. "/vectors/" .. name,
    "build/fuzz/found/" .. name }
  run(("find '%s' -name '*.gcda' -delete"):format(objects))
  run(("%s tests/fuzz/inputs.lua %s '%s'"):format(
    os.getenv("LUA") or "lua5.4", name, build))
  for _, folder in ipairs(folders) do
    if tree.exists(folder) then
      local output = run(("%s/tests/fuzz/%s_replay '%s'"):format(build, name,
        folder))
      assert(not output:find("not ok") and output:find("ok 1"), output)
    end
  end
end

-- Returns the lines of `source` that can run, and those that have.
local function measure(source)
  local notes = objects .. source:gsub("%.c$", ".gcno")
  local output = run(("%s -n '%s'"):format(gcov, notes))
  local quoted = source:gsub("%p", "%%%0")
  local share, lines = output:match("File '" .. quoted
    .. "'\nLines executed:([%d.]+)%% of (%d+)")
  if not share then
    return 0, 0
  end
  return tonumber(lines), math.floor(share * lines / 100 + 0.5)
end

local function sources_of(list)
  local sources = {}
  for _, entry in ipairs(list) do
    local found = entry:find("/$") and tree.files({ entry }, "c") or { entry }
    table.move(found, 1, #found, #sources + 1, sources)
  end
  return sources
end

local function show(label, lines, covered)
  print(("%-40s %6d %6d %6.1f %%"):format(label, lines, covered,
    lines > 0 and 100 * covered / lines or 0))
end

print(("%-40s %6s %6s %8s"):format("target, source", "lines", "run", "share"))
for _, target in ipairs(TARGETS) do
  local name, list = table.unpack(target)
  local lines, covered = 0, 0
  replay(name)
  local sources = sources_of(list)
  for _, source in ipairs(sources) do
    local more, run_lines = measure(source)
    lines, covered = lines + more, covered + run_lines
    if #sources > 1 and name ~= "node" then
      show("  " .. source, more, run_lines)
    end
  end
  assert(lines > 0, name)
  show(name, lines, covered)
end
