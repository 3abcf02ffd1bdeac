-- A power failure of a cluster: all nodes restart at once, and each publishes a
-- thousand records again.

local kad = require("kadenza")

local RECORDS <const> = 1000 -- of a node
local PERIOD <const> = 3600
local BUDGET <const> = 80 -- stores a second: the default of stores_per_s
local K <const> = 8
local RECORDS_READ <const> = 1000 -- whose holders are counted
local WINDOW <const> = 10 -- seconds of a rate

-- As a node that starts: half of its budget.
local WITHIN <const> = 30 + 2 * RECORDS * K // BUDGET

local function key_of(owner, i)
  return kad.key(("record %d of %d"):format(i, owner))
end

-- Publishes the records of every node.
local function publish_all(net)
  for owner, node in ipairs(net.nodes) do
    for i = 1, RECORDS do
      assert(node.core:publish({ key = key_of(owner, i), type = "value",
        value = "record" }, WITHIN))
    end
  end
end

-- Records the rates of the busiest node in each window.
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
  for _ = 1, RECORDS_READ do
    local owner = run:random(#run.net.nodes)
    local _, k, all = run:holders(key_of(owner, run:random(RECORDS)))
    run:record("back", { ok = all >= k, held = math.min(all / k, 1) })
  end
end

return {
  name = "restart",
  summary = "A hundred nodes that publish a thousand records each restart at "
    .. "once.",
  nodes = 100,
  hours = (2 * PERIOD + 600) / 3600,
  sample = 120,
  network = { config = { k = K, stores_per_s = BUDGET } },
  tasks = {
    function(net, run)
      publish_all(net)
      kad.sleep(PERIOD)
      run:mark("restart")
      net:restart(table.move(net.nodes, 1, #net.nodes, 1, {}))
      local began = net:now()
      publish_all(net)
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
