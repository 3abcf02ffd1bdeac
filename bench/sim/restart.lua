-- A cluster whose power fails: every node comes back at once, and gives the
-- overlay the thousand records that it keeps as its own.

local kad = require("kadenza")

local RECORDS <const> = 1000 -- of a node
local PERIOD <const> = 3600
local BUDGET <const> = 80 -- stores a second: the default of stores_per_s
local K <const> = 8
local LOOKED_AT <const> = 1000 -- records
local WINDOW <const> = 10 -- seconds over which a rate is taken

-- As a node does that starts: half of its budget.
local WITHIN <const> = 30 + 2 * RECORDS * K // BUDGET

local function key_of(owner, i)
  return kad.key(("record %d of %d"):format(i, owner))
end

-- Has every node keep its records.
local function keep_all(net)
  for owner, node in ipairs(net.nodes) do
    for i = 1, RECORDS do
      assert(node.core:publish({ key = key_of(owner, i), type = "value",
        value = "record" }, WITHIN))
    end
  end
end

-- Records, for each window, what the node sends that sends most.
local function watch(run)
  local before = {}
  while true do
    local queries, stores = 0, 0
    for _, node in ipairs(run.net.nodes) do
      local now = node:stats()
      local last = before[node] or now
      queries = math.max(queries, now.queries - last.queries)
      stores = math.max(stores, (now.republishes - last.republishes) * K)
      before[node] = now
    end
    run:record("busiest", { queries = queries / WINDOW,
      stores = stores / WINDOW })
    kad.sleep(WINDOW)
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
  summary = "A hundred nodes that keep a thousand records each lose power at "
    .. "once.",
  nodes = 100,
  hours = (2 * PERIOD + 600) / 3600,
  sample = 120,
  network = { config = { k = K, stores_per_s = BUDGET } },
  tasks = {
    function(net, run)
      keep_all(net)
      kad.sleep(PERIOD)
      run:mark("restart")
      net:restart(table.move(net.nodes, 1, #net.nodes, 1, {}))
      local began = net:now()
      keep_all(net)
      local watching = kad.spawn(watch, run)
      kad.sleep(math.max(began + PERIOD - net:now(), 0))
      watching:cancel()
      count_holders(run)
    end,
  },
  expect = function(_, run)
    run:expect("stores a second of the busiest node",
      run:percentile("busiest", "stores", 100), "<=", BUDGET)
    run:expect("records back at k", run:share("back"), ">=", 1)
  end,
}
