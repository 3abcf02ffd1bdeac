-- An overlay with 20 % hostile nodes: half of them invent contacts, the others
-- answer nothing but pings.

local kad = require("kadenza")
local support = require("bench.sim.support")

local KEYS <const> = 300
local HOSTILE <const> = 0.2
local PATHS <const> = 8
local GETS <const> = 1000
local SECONDS <const> = 600
local SETTLE <const> = 600

-- Gets a random value from an honest node.
local function get(run, honest, kind, paths)
  local known = run.values[run:random(#run.values)]
  local node = honest[run:random(#honest)]
  local value, info, _, details = node:get(known.key, { paths = paths })
  local found = value ~= nil and info or details or {}
  run:record(kind, { ok = value == known.value, took = found.took,
    hops = found.hops, messages = found.messages })
end

local function make_hostile(net)
  local hostile = net:choose(HOSTILE)
  local half = #hostile // 2
  net:hostile(table.move(hostile, 1, half, 1, {}), "liar")
  net:hostile(table.move(hostile, half + 1, #hostile, 1, {}), "silent")
  return support.others(net, hostile)
end

return {
  name = "hostile",
  summary = "20 % of the nodes are liars or silent; the others store and get "
    .. "values on eight disjoint paths, or on one.",
  nodes = 2000,
  hours = (2 * SETTLE + SECONDS) / 3600 + 0.1,
  sample = 120,
  network = { latency = "jimenez2011" },
  tasks = {
    function(net, run)
      local honest = make_hostile(net)
      run:mark("hostile")
      kad.sleep(SETTLE)
      support.store(run, KEYS, { paths = PATHS }, honest)
      kad.sleep(math.max(2 * SETTLE - run:now(), 0))
      for _ = 1, GETS do
        kad.sleep(SECONDS / GETS)
        net:spawn(get, run, honest, "d = 8", PATHS)
        net:spawn(get, run, honest, "d = 1", 1)
      end
    end,
  },
  expect = function(_, run)
    run:expect("lookups that succeed, d = 8", run:share("d = 8"), ">=", 0.99)
  end,
}
