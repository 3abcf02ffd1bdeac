-- A cluster whose power fails: every node comes back at once, and stores its
-- thousand records again.

local kad = require("kadenza")

local RECORDS <const> = 1000 -- of a node
local PERIOD <const> = 3600
local BUDGET <const> = 80 -- stores a second: the default of stores_per_s
local K <const> = 8
local LOOKED_AT <const> = 500 -- records
local MINUTE <const> = 60

local function key_of(owner, i)
  return kad.key(("record %d of %d"):format(i, owner))
end

-- Stores the records of every node, each node one after the other.
local function store_all(run)
  local tasks = {}
  for owner, node in ipairs(run.net.nodes) do
    tasks[owner] = kad.spawn(function()
      for i = 1, RECORDS do
        local info = node:put(key_of(owner, i), "record")
        run:record("store", { ok = info ~= nil,
          stored = info and info.stored or 0 })
      end
    end)
  end
  return tasks
end

-- Records the stores that the busiest node has sent in each minute.
local function watch(run)
  local before = {}
  while true do
    local most = 0
    for _, node in ipairs(run.net.nodes) do
      local queries = node:stats().queries
      most = math.max(most, queries - (before[node] or queries))
      before[node] = queries
    end
    run:record("busiest", { rate = most / MINUTE })
    kad.sleep(MINUTE)
  end
end

local function count_holders(run)
  for _ = 1, LOOKED_AT do
    local owner = run:random(#run.net.nodes)
    local _, k, all = run:holders(key_of(owner, run:random(RECORDS)))
    run:record("back", { ok = all >= k, held = math.min(all / k, 1) })
  end
end

return {
  name = "restart",
  summary = "A hundred nodes with a thousand records each lose power at once.",
  nodes = 100,
  hours = PERIOD / 3600 * 2 + 0.2,
  sample = 120,
  network = { config = { k = K, stores_per_s = BUDGET } },
  tasks = {
    function(net, run)
      kad.all(store_all(run))
      kad.sleep(math.max(PERIOD - run:now(), 0))
      run:mark("restart")
      net:restart(table.move(net.nodes, 1, #net.nodes, 1, {}))
      local began = net:now()
      local watching = kad.spawn(watch, run)
      store_all(run)
      kad.sleep(math.max(began + PERIOD - net:now(), 0))
      watching:cancel()
      count_holders(run)
    end,
  },
  expect = function(_, run)
    run:expect("queries a second of the busiest node",
      run:percentile("busiest", "rate", 100), "<=", BUDGET)
    run:expect("records back at k", run:share("back"), ">=", 1)
  end,
}
