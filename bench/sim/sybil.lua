-- A hundred sybils around each of several keys, closer than any honest node:
-- they accept stores, deny that they have the value, and name only each other.
-- Half of the values are stored before the sybils join, half of them after.

local kad = require("kadenza")

local KEYS <const> = 6 -- fewer in a small overlay
local NODES_A_KEY <const> = 200
local SYBILS <const> = 100
local GETS <const> = 100 -- a key
local SETTLE <const> = 600

local function key_of(i)
  return kad.key(("key %d"):format(i))
end

-- The order of value and sybils, by parity of the key's number.
local ORDERS <const> = { [0] = "value first", [1] = "sybils first" }

local function store(run, honest, keys, order)
  for i = 1, keys do
    if ORDERS[i % 2] == order then
      run:put(key_of(i), "honest", { node = honest[run:random(#honest)] })
    end
  end
end

local function look_up(run, honest, keys)
  for i = 1, keys do
    local value, info, _, details =
      honest[run:random(#honest)]:get(key_of(i))
    local found = value ~= nil and info or details or {}
    run:record(ORDERS[i % 2], { ok = value == "honest", took = found.took,
      hops = found.hops, messages = found.messages })
  end
end

return {
  name = "sybil",
  summary = "A hundred hostile ids are closest to each of six keys.",
  nodes = 2000,
  hours = 1.2,
  sample = 120,
  network = { latency = "jimenez2011" },
  tasks = {
    function(net, run)
      local honest = table.move(net.nodes, 1, #net.nodes, 1, {})
      local keys = math.max(math.min(KEYS, #honest // NODES_A_KEY), 2)
      store(run, honest, keys, "value first")
      for i = 1, keys do
        net:sybils(SYBILS, key_of(i))
      end
      run:mark("sybils")
      kad.sleep(SETTLE)
      store(run, honest, keys, "sybils first")
      kad.sleep(SETTLE)
      for _ = 1, GETS do
        look_up(run, honest, keys)
        kad.sleep(1)
      end
    end,
  },
  expect = function(_, run)
    for i = 0, 1 do
      run:expect("honest value found, " .. ORDERS[i], run:share(ORDERS[i]),
        ">=", 0.95)
    end
  end,
}
