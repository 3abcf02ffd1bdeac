-- What a release of Lua must run: nodes, tasks that wait in coroutines,
-- policies in all their places, and memory that ends with what it belongs to.
-- For a release for which no test runner is installed; .ci/lua runs it.

local kad = require("kadenza")

local POLICY <const> = [[
  local kad = require("kadenza")
  return { rpc = {
    run = function()
      local sum = 0
      for value in coroutine.wrap(function()
        for i = 1, 3 do
          kad.sleep(0.01)
          coroutine.yield(i)
        end
      end) do
        sum = sum + value
      end
      return { sum = sum }
    end,
    sort = function()
      local _, message = pcall(table.sort, { 2, 1 }, function()
        kad.sleep(1)
      end)
      return { message = message }
    end,
    endless = function() while true do end end,
    hungry = function()
      local text = "x"
      while true do text = text .. text end
    end,
  } }
]]

local function call_all(net)
  local to = net.nodes[2]:addresses()[1]
  local function call(name)
    return net.nodes[1]:call(to, name)
  end
  assert(call("run").sum == 6)
  assert(call("sort").message:find("cannot wait inside of"))
  assert(not call("endless"))
  assert(call("run").sum == 6)
end

local function try_policies(policy)
  local net <close> = kad.sim({ nodes = 2, policies = { policy } })
  net:perform(function()
    call_all(net)
    if type(policy) == "string" then
      local to = net.nodes[2]:addresses()[1]
      assert(not net.nodes[1]:call(to, "hungry"))
      assert(net.nodes[1]:ping(to))
    end
  end)
end

local function try_records()
  kad.run(function()
    local options = { listen = "127.0.0.1:0", allow_local = true }
    local one, other = assert(kad.node(options)), assert(kad.node(options))
    assert(other:bootstrap(one:addresses()))
    local keys = { kad.key("a"), kad.key("b") }
    for i, key in ipairs(keys) do
      assert(one:put(key, tostring(i)))
    end
    local found = {}
    for value in coroutine.wrap(function()
      for _, key in ipairs(keys) do
        coroutine.yield((other:get(key)))
      end
    end) do
      found[#found + 1] = value
    end
    assert(table.concat(found, " ") == "1 2")
  end)
end

local function try_memory()
  local function resident()
    local file <close> = assert(io.open("/proc/self/statm"))
    local _, pages = file:read("n", "n")
    return pages * 4096 / 1048576
  end
  local function round()
    local options = { nodes = 4, policies = { "scripts/policies/counter.lua" } }
    kad.sim(options):close()
    kad.sim(options)
  end
  for _ = 1, 10 do
    round()
  end
  local before = resident()
  for _ = 1, 50 do
    round()
  end
  assert(resident() - before < 32, "the memory grows")
end

kad.log.configure({ level = "error", sink = function() end })
local path = os.tmpname()
local file = assert(io.open(path, "w"))
assert(file:write(POLICY))
file:close()
try_policies(path)
os.remove(path)
try_policies(assert(load(POLICY))())
try_records()
try_memory()
print(_VERSION .. ": ok")
