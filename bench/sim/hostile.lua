-- An overlay of which a fifth has turned against the others.

local kad = require("kadenza")
local support = require("bench.sim.support")

local KEYS <const> = 300
local HOSTILE <const> = 0.2
local PATHS <const> = 8
local GETS <const> = 1000
local SECONDS <const> = 600
local SETTLE <const> = 600

-- Looks a value up by an honest node.
local function get(run, honest, kind, paths)
  local known = run.values[run:random(#run.values)]
  local node = honest[run:random(#honest)]
  local value, info, _, details = node:get(known.key, { paths = paths })
  local found = value ~= nil and info or details or {}
  run:record(kind, { ok = value == known.value, took = found.took,
    hops = found.hops, messages = found.messages })
end

return {
  name = "hostile",
  summary = "A fifth of the nodes turns hostile after the values were stored; "
    .. "lookups take eight disjoint paths, or one.",
  nodes = 2000,
  hours = (2 * SETTLE + SECONDS) / 3600 + 0.1,
  sample = 120,
  network = { latency = "jimenez2011" },
  tasks = {
    function(net, run)
      local honest = table.move(net.nodes, 1, #net.nodes, 1, {})
      local began = net:now()
      support.join_hostile(net, HOSTILE, began + SETTLE)
      kad.sleep(math.max(began + SETTLE / 2 - net:now(), 0))
      support.store(run, KEYS)
      kad.sleep(math.max(began + SETTLE - net:now(), 0))
      run:mark("hostile")
      for _ = 1, GETS do
        kad.sleep(SECONDS / GETS)
        run.net:spawn(get, run, honest, "d = 8", PATHS)
        run.net:spawn(get, run, honest, "d = 1", 1)
      end
    end,
  },
  expect = function(_, run)
    run:expect("lookups that succeed, d = 8", run:share("d = 8"), ">=", 0.99)
  end,
}
