-- Stores to one key whose hooks wait, with random seeds. Under any
-- interleaving, loss, failure and reload, merges of one key do not overlap, and
-- no accepted value is lost.
--
-- Tests bindings/policy, core/replication.

local kad = require("kadenza")
local policy_support = require("tests.spec.support.policy")
local support = require("tests.spec.support")

local SEEDS <const> = 150
local NODES <const> = 5 -- that store; one more holds
local STORES <const> = 4 -- of each node
local KEYS <const> = 2

-- The policy of the holder: it sleeps, rejects and fails at random.
local POLICY <const> = [[
  local kad = require("kadenza")
  local merging, overlaps, merges = {}, 0, 0
  local function doze()
    if math.random(3) > 1 then kad.sleep(math.random() * 0.4) end
  end
  return { deadline = 30, types = { note = {
    max_values = 64,
    republish = false,
    validate = function(record)
      doze()
      return math.random(10) > 1 or nil, "not today"
    end,
    merge = function(held, record)
      local key = record.key
      overlaps = overlaps + (merging[key] and 1 or 0)
      merging[key] = true
      local _ <close> = setmetatable({}, { __close = function()
        merging[key] = nil
      end })
      merges = merges + 1
      doze()
      if math.random(10) == 1 then return nil, "rather not" end
      if math.random(10) == 1 then error("a mistake") end
      for i, other in ipairs(held) do
        if other.value == record.value then table.remove(held, i) break end
      end
      held[#held + 1] = record
      doze()
      return held
    end,
  } }, rpc = { report = function()
    return { overlaps = overlaps, merges = merges }
  end } }
]]

-- One node stores its values, each under one of the keys, with pauses.
local function store_all(node, number, accepted, random)
  local tasks = {}
  for i = 1, STORES do
    local key = kad.key("key " .. (number + i) % KEYS)
    tasks[i] = function()
      kad.sleep(random() * 2)
      local value = ("%d.%d"):format(number, i)
      local info = node:put(key, value, { type = "note", timeout = 60 })
      if info and info.stored == NODES + 1 then -- the holder, too
        accepted[#accepted + 1] = { key = key, value = value }
      end
    end
  end
  kad.all(tasks)
end

-- A random generator whose seed determines the run.
local function generator(seed)
  local state = seed
  return function()
    state = (state * 6364136223846793005 + 1442695040888963407)
    return (state >> 33) / (1 << 31)
  end
end

local function open_world(seed, path)
  local net = kad.sim({
    join = false,
    seed = seed,
    loss = seed % 3 * 0.1,
    latency = { 1, 200 },
    config = { limits = false, query_ms = 20000 },
  })
  local world = { net = net, nodes = {} }
  world.holder = assert(net:open({ policies = { path } }))
  for i = 1, NODES do
    world.nodes[i] = assert(net:open({ policies = { {
      types = { note = { max_values = 64, republish = false } },
    } } }))
  end
  return world
end

local function store_at_random(world, seed)
  local address = world.holder:addresses()[1]
  local accepted, tasks, random = {}, {}, generator(seed)
  for i, node in ipairs(world.nodes) do
    tasks[i] = function()
      for _ = 1, 5 do
        if node:bootstrap({ address }) then break end
      end
      kad.sleep(2)
      store_all(node, i, accepted, random)
    end
  end
  if seed % 2 == 0 then -- hooks under way end in the policy that began them
    tasks[#tasks + 1] = function()
      kad.sleep(3 + random())
      assert(world.holder:reload())
    end
  end
  kad.all(tasks)
  kad.sleep(60)
  return accepted
end

local function assert_all_held(world, accepted)
  for _, item in ipairs(accepted) do
    local found = false
    for _, record in ipairs(world.holder:held(item.key, "note")) do
      found = found or record.value == item.value
    end
    assert(found, "a value that was accepted is lost: " .. item.value)
  end
end

-- Returns how many values were accepted, and how many merges there were.
local function try(seed, path)
  local world = open_world(seed, path)
  local _ <close> = world.net
  return world.net:perform(function()
    local accepted = store_at_random(world, seed)
    assert_all_held(world, accepted)
    assert.equal(0, world.holder:stats().pending_hooks)
    local report
    repeat
      report = world.nodes[1]:call(world.holder:addresses()[1], "report")
    until report
    assert.equal(0, report.overlaps)
    return #accepted, report.merges
  end)
end

describe("interleaved stores", function()
  it("lose no accepted value, and their merges do not overlap",
    support.spec(function()
      local files <close> = policy_support.files()
      local path = files:write(POLICY)
      local accepted, merges = 0, 0
      support.logged(function()
        for seed = 1, SEEDS do
          local fine, stored, merged = pcall(try, seed, path)
          if not fine then
            error(("seed %d: %s"):format(seed, tostring(stored)), 0)
          end
          accepted, merges = accepted + stored, merges + merged
        end
      end)
      assert.is_true(accepted > 3 * SEEDS)
      assert.is_true(merges > accepted)
    end))
end)
