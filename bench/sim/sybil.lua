-- Keys around each of which a hundred ids of one attacker lie: closer than any
-- honest node, they take what is stored and forget it.

local kad = require("kadenza")
local support = require("bench.sim.support")

local KEYS <const> = 5 -- fewer in a small overlay
local NODES_A_KEY <const> = 200
local SYBILS <const> = 100
local PREFIX_BYTES <const> = 6 -- that their ids share with the key
local GETS <const> = 100 -- a key
local SETTLE <const> = 600

-- Says yes to every store, and holds the record for a second.
local FORGETFUL <const> = {
  name = "forgetful",
  types = { value = { expire = function()
    return 1
  end } },
}

-- Lets a hundred nodes join whose ids are next to the key.
local function surround(net, key)
  local joins = {}
  for i = 1, SYBILS do
    local id = key:sub(1, PREFIX_BYTES)
      .. net.network:random(#key - PREFIX_BYTES)
    joins[i] = kad.spawn(function()
      net:join({ id = id, policies = { FORGETFUL } })
    end)
  end
  kad.all(joins)
end

return {
  name = "sybil",
  summary = "A hundred hostile ids are closest to each of five keys before "
    .. "honest nodes store there.",
  nodes = 2000,
  hours = 1,
  sample = 120,
  network = { latency = "jimenez2011" },
  tasks = {
    function(net, run)
      local honest = table.move(net.nodes, 1, #net.nodes, 1, {})
      local function node()
        return honest[run:random(#honest)]
      end
      local keys = math.min(KEYS, math.ceil(#honest / NODES_A_KEY))
      for i = 1, keys do
        surround(net, kad.key(("key %d"):format(i)))
      end
      run:mark("sybils")
      kad.sleep(SETTLE)
      for i = 1, keys do
        run:put(kad.key(("key %d"):format(i)), "honest", { node = node() })
      end
      kad.sleep(SETTLE)
      for _ = 1, GETS do
        for i = 1, keys do
          run:get(kad.key(("key %d"):format(i)), { node = node() })
        end
        kad.sleep(1)
      end
    end,
  },
  expect = function(_, run)
    run:expect("honest value found", support.right(run:select("get")), ">=",
      0.95)
  end,
}
