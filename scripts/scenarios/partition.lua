--- A partition: the two halves of an overlay cannot reach each other for a
--- while. Each half stores values of its own, and both change the same values.
--- After the partition, every node must find every value, and the policy must
--- have merged the values that both changed.

local kad = require("kadenza")

-- A policy that merges the words stored under one key into one sorted list.
local words = { name = "words", types = { words = {
  max_values = 1,
  merge = function(held, record)
    local known, list = {}, {}
    for _, from in ipairs({ held[1] or { value = "" }, record }) do
      for word in from.value:gmatch("%g+") do
        list[#list + 1] = not known[word] and word or nil
        known[word] = true
      end
    end
    table.sort(list)
    return { { value = table.concat(list, " ") } }
  end,
} } }

local KEYS <const> = 10
local WITHIN_SECONDS <const> = 600

local function key_of(side, i)
  return kad.key(("%s %d"):format(side, i))
end

-- Returns a random node of a side.
local function node_of(run, side)
  return run.halves[side][run:random(#run.halves[side])]
end

-- Stores values of each side, and words of both sides under the same keys.
local function store(run)
  for i = 1, KEYS do
    for side = 1, 2 do
      run:put(key_of(side, i), tostring(side), { node = node_of(run, side) })
      run:put(key_of("words", i), "side" .. side,
        { node = node_of(run, side), type = "words" })
    end
  end
end

-- Looks up every value from both sides.
local function look_up(run)
  for i = 1, KEYS do
    for side = 1, 2 do
      for of = 1, 2 do
        local value = run:get(key_of(of, i), { node = node_of(run, side) })
        run:record(side == of and "same side" or "other side",
          { ok = value == tostring(of) })
      end
      local value = run:get(key_of("words", i), { type = "words",
        node = node_of(run, side), value = "side1 side2" })
      run:record("merged", { ok = value == "side1 side2" })
    end
  end
end

return {
  name = "partition",
  summary = "Two halves of an overlay are partitioned for two hours.",
  nodes = 60,
  hours = 3,
  network = { latency = "jimenez2011", policies = { words } },
  workload = { keys = 20, gets = 6 },
  steps = {
    { part = 1 / 6, name = "partition", run = function(net, run)
      local there = net:partition(0.5)[1]
      local away = {}
      for _, node in ipairs(there) do
        away[node] = true
      end
      run.halves = { {}, there }
      for _, node in ipairs(net.nodes) do
        table.insert(run.halves[1], not away[node] and node or nil)
      end
      store(run)
    end },
    { part = 5 / 6, name = "heal", run = function(net, run)
      net:heal()
      kad.sleep(WITHIN_SECONDS)
      look_up(run)
    end },
  },
  expect = function(_, run)
    run:expect("stored during the partition", run:share("put"), ">=", 0.99)
    run:expect("found ten minutes after, own side", run:share("same side"),
      ">=", 0.95)
    run:expect("found, other side", run:share("other side"), ">=", 0.95)
    run:expect("merged", run:share("merged"), ">=", 0.95)
    run:expect("healthy nodes at the end",
      run:mean(run:select("sample", run.seconds * 0.9), "healthy"), "==", 1)
  end,
}
