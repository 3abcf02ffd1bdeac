-- A partition of two hours. Both halves store values of their own and different
-- elements of the same sets. After it, all nodes must find all values and the
-- merged sets.

local kad = require("kadenza")
local support = require("bench.sim.support")

local VALUES <const> = 100 -- on each side
local SETS <const> = 50
local PARTITION_SECONDS <const> = 7200
local HEAL_SECONDS <const> = 600 -- until everything must be found
local TTL <const> = 86400

-- A grow-only set: elements as a sorted list of words, merged to their union.
local function union(current, incoming)
  local elements, list = {}, {}
  for _, record in ipairs(current) do
    for word in record.value:gmatch("%S+") do
      elements[word] = true
    end
  end
  for word in incoming.value:gmatch("%S+") do
    elements[word] = true
  end
  for word in pairs(elements) do
    list[#list + 1] = word
  end
  table.sort(list)
  return { { value = table.concat(list, " ") } }
end

local POLICY <const> = {
  name = "sets",
  types = { set = { max_size = 256, max_values = 1, ttl = TTL,
    merge = union } },
}

-- Stores values and elements from nodes of one side.
local function write(run, nodes, side)
  local function node()
    return nodes[run:random(#nodes)]
  end
  for i = 1, VALUES do
    run:put(kad.key(("%s %d"):format(side, i)), side, { node = node() })
  end
  for i = 1, SETS do
    run:put(kad.key(("set %d"):format(i)), side, { node = node(),
      type = "set" })
  end
end

-- Gets everything from nodes of a side, and records the outcomes.
local function read(run, nodes, kind)
  for i = 1, VALUES do
    for _, side in ipairs({ "left", "right" }) do
      local value = nodes[run:random(#nodes)]:get(
        kad.key(("%s %d"):format(side, i)))
      run:record(kind, { ok = value == side })
    end
  end
  for i = 1, SETS do
    local value = nodes[run:random(#nodes)]:get(
      kad.key(("set %d"):format(i)), { type = "set" })
    run:record("merged", { ok = value == "left right" })
  end
end

return {
  name = "heal",
  summary = "Half of the nodes are cut off for two hours.",
  nodes = 2000,
  hours = (PARTITION_SECONDS + HEAL_SECONDS) / 3600 + 0.1,
  sample = 300,
  network = { policies = { POLICY } },
  tasks = {
    function(net, run)
      local left = net:partition(0.5)[1]
      local right = support.others(net, left)
      run:mark("partition")
      kad.sleep(600)
      write(run, left, "left")
      write(run, right, "right")
      kad.sleep(math.max(PARTITION_SECONDS - run:now(), 0))
      net:heal()
      run:mark("heal")
      kad.sleep(HEAL_SECONDS)
      read(run, left, "left")
      read(run, right, "right")
    end,
  },
  expect = function(_, run)
    run:expect("values found on the left", run:share("left"), ">=", 1)
    run:expect("values found on the right", run:share("right"), ">=", 1)
    run:expect("conflicts merged", run:share("merged"), ">=", 1)
  end,
}
