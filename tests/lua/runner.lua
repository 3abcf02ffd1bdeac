--- Runs one spec where busted cannot run, as its libraries do not load in this
--- release of Lua: `lua tests/lua/runner.lua SPEC` prints TAP. Knows the blocks
--- that our specs have; luassert is the one that busted uses.

local luassert = require("luassert")

local SKIPPED <const> = {} -- what `pending` raises

local function new_block(name, parent)
  return { name = name, parent = parent, items = {}, setup = {}, teardown = {},
    before_each = {}, after_each = {} }
end

local current = new_block("")

local function run_all(fns)
  for _, fn in ipairs(fns) do
    fn()
  end
end

local function before(block)
  if block then
    before(block.parent)
    run_all(block.before_each)
  end
end

local function after(block)
  while block do
    run_all(block.after_each)
    block = block.parent
  end
end

local function with_trace(problem)
  if type(problem) == "table" and problem ~= SKIPPED then
    problem = problem.message or tostring(problem)
  end
  return type(problem) == "string" and debug.traceback(problem, 2) or problem
end

local count = 0

local function report(name, fine, problem)
  count = count + 1
  local skipped = problem == SKIPPED
  print(("%s %d - %s%s"):format((fine or skipped) and "ok" or "not ok", count,
    name, skipped and " # SKIP" or ""))
  if not fine and not skipped then
    print("# " .. tostring(problem):gsub("\n", "\n# "))
  end
end

local function run_test(block, name, fn)
  local snapshot = luassert:snapshot()
  local fine, problem = xpcall(function()
    before(block)
    fn()
  end, with_trace)
  local ended, also = xpcall(after, with_trace, block)
  snapshot:revert()
  report(name, fine and ended, not fine and problem or also)
end

local function run_block(block, path)
  local fine, problem = xpcall(run_all, with_trace, block.setup)
  for _, item in ipairs(block.items) do
    local name = (path .. " " .. item.name):gsub("^ ", "")
    if not fine then
      report(name, false, problem)
    elseif item.items then
      run_block(item, name)
    else
      run_test(block, name, item.run)
    end
  end
  fine, problem = xpcall(run_all, with_trace, block.teardown)
  if not fine then
    report(path .. " teardown", false, problem)
  end
end

local blocks = {}

function blocks.describe(name, fn)
  local outer = current
  local block = new_block(name, outer)
  outer.items[#outer.items + 1] = block
  current = block
  fn()
  current = outer
end

function blocks.it(name, fn)
  current.items[#current.items + 1] = { name = name, run = fn }
end

for _, kind in ipairs({ "setup", "teardown", "before_each", "after_each" }) do
  blocks[kind] = function(fn)
    table.insert(current[kind], fn)
  end
end

function blocks.pending()
  error(SKIPPED, 0)
end

blocks.assert = luassert
for name, block in pairs(blocks) do
  _G[name] = block -- luacheck: ignore
end
dofile(arg[1])
run_block(current, "")
print("1.." .. count)
