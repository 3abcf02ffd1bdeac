-- The memory of a process that makes and ends networks, nodes and policies for
-- a long time. No round collects garbage: a program does not either.
--
-- Tests bindings/lua/context.c, bindings/policy/handle.c.

local core = require("kadenza.core")
local kad = require("kadenza")
local loop = require("kadenza.loop")
local policy = require("kadenza.policy")
local support = require("tests.spec.support")
local testing = require("kadenza.testing")

local COUNTER <const> = "scripts/policies/counter.lua"

local ROUNDS <const> = 200
local WARM_UP <const> = 20
local MAX_GROWTH <const> = 24 -- mebibytes; a policy file takes about 0.7

-- AddressSanitizer keeps freed memory.
local is_measurable = io.open("/proc/self/statm") ~= nil
  and not (os.getenv("LD_PRELOAD") or ""):find("asan", 1, true)

-- Returns the resident memory of this process in mebibytes.
local function resident()
  local file <close> = assert(io.open("/proc/self/statm"))
  local _, pages = file:read("n", "n")
  return pages * 4096 / 1048576
end

local function it_keeps_its_memory(what, round)
  it("does not grow by " .. what, function()
    if not is_measurable then
      pending("the memory of this process cannot be measured")
      return
    end
    for _ = 1, WARM_UP do
      round()
    end
    local before = resident()
    for _ = 1, ROUNDS do
      round()
    end
    local growth = resident() - before
    assert(growth <= MAX_GROWTH, string.format("%.0f MiB in %d rounds", growth,
      ROUNDS))
    collectgarbage()
    collectgarbage()
  end)
end

local function table_policy()
  return { types = { note = {} }, rpc = { run = function()
    return {}
  end } }
end

local function open_node(policies)
  return assert(kad.node(support.local_node({ policies = policies })))
end

local function silently(fn)
  support.logged(fn)
end

describe("the memory of a process", function()
  it_keeps_its_memory("simulations with policy files", function()
    kad.sim({ nodes = 4, policies = { COUNTER } }):close()
  end)

  it_keeps_its_memory("simulations with policy tables", function()
    kad.sim({ nodes = 4, policies = { table_policy() } }):close()
  end)

  it_keeps_its_memory("simulations that nothing closes", function()
    kad.sim({ nodes = 4, policies = { COUNTER } })
  end)

  it_keeps_its_memory("networks that nothing closes", function()
    local network = core.sim({ seed = 1 })
    network:open_node({}, { "192.0.2.1:6881" })
    network:start_timer(1000, function()
      return network
    end)
  end)

  it_keeps_its_memory("runs with a policy", function()
    kad.run(function()
      open_node({ COUNTER })
    end)
  end)

  it_keeps_its_memory("runs that fail", function()
    pcall(kad.run, function()
      open_node({ COUNTER })
      error("no")
    end)
  end)

  it_keeps_its_memory("nodes that are closed while no loop runs", function()
    open_node({ COUNTER }):close()
  end)

  it_keeps_its_memory("default networks that are closed", function()
    open_node({ COUNTER })
    loop.close()
  end)

  it_keeps_its_memory("nodes that are closed twice, and by a task", function()
    local node = open_node({ COUNTER })
    kad.spawn(function()
      node:close()
    end)
    node:close()
  end)

  it_keeps_its_memory("nodes that cannot be opened", function()
    local node, message = kad.node(support.local_node({
      policies = { COUNTER, "tests/spec/memory_spec.lua" },
    }))
    assert(not node and message)
  end)

  it_keeps_its_memory("simulations that a log sink closes", function()
    local folder, remove = support.temporary_folder()
    local path = folder .. "/stop.lua"
    local file = assert(io.open(path, "w"))
    file:write([[
      local kad = require("kadenza")
      return { on_stop = function() kad.log.error("stopping") end }
    ]])
    file:close()
    silently(function()
      local net = kad.sim({ nodes = 1, policies = { path } })
      local log = require("kadenza.log")
      local before = log.configure({ sink = function()
        net:close()
      end })
      net.nodes[1]:close()
      log.restore(before)
      net:close()
    end)
    remove()
  end)

  it_keeps_its_memory("simulations that a finalizer closes", function()
    local net = kad.sim({ nodes = 2, policies = { COUNTER } })
    setmetatable({}, { __gc = function()
      net:close()
    end })
  end)

  local reloaded

  it_keeps_its_memory("reloads of policies", function()
    reloaded = reloaded or kad.sim({ nodes = 1, policies = { COUNTER } })
    assert(reloaded.nodes[1]:reload())
  end)

  it_keeps_its_memory("checks and tests of policies", function()
    assert(policy.check({ COUNTER }))
    testing.load({ COUNTER }):close()
  end)

  it_keeps_its_memory("timers, operations and codecs", function()
    local network = core.sim({ seed = 1 })
    for i = 1, 100 do
      network:start_timer(i, function() end)
      core.decode(core.encode({ text = ("x"):rep(1000), number = i }))
    end
    network:run(50)
    network:close()
  end)

  it_keeps_its_memory("programs that it starts", function()
    assert(core.spawn({ "true" }))
  end)
end)

describe("policies", function()
  it("are freed with their node, before close returns", support.spec(function()
    local net <close> = kad.sim({ nodes = 1, policies = { COUNTER } })
    local node = net.nodes[1]
    local handle = node.policy_handle

    node:close()

    assert.error_matches(function()
      handle:stats()
    end, "closed policies")
  end))

  it("are freed with a network that is closed in their hook's turn",
    support.spec(function()
      local handle
      do
        local net <close> = kad.sim({ nodes = 1, join = false,
          policies = { table_policy() } })
        local node = net.nodes[1]
        handle = node.policy_handle
        net:perform(function()
          node:close()
          kad.sleep(0)
        end)
      end

      assert.error_matches(function()
        handle:stats()
      end, "closed policies")
    end))
end)
