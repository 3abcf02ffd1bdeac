--- A cluster restarts: all nodes end at the same moment, lose their records,
--- and start again together. Each stores its own records again.

local kad = require("kadenza")

local RECORDS <const> = 5 -- of a node
local AWAY_SECONDS <const> = 60
local SPREAD_SECONDS <const> = 300

-- Stores the records of a node, at random moments of the first minutes.
local function publish(run, number, node)
  for i = 1, RECORDS do
    kad.sleep(run:random() * SPREAD_SECONDS / RECORDS)
    run:put(kad.key(("%d of %d"):format(i, number)), tostring(number),
      { node = node })
  end
end

local function publish_all(net, run)
  local works = {}
  for number, node in ipairs(net.nodes) do
    works[number] = function()
      publish(run, number, node)
    end
  end
  kad.all(works)
end

return {
  name = "restart",
  summary = "All nodes restart at once and store their records again.",
  nodes = 60,
  hours = 2,
  network = { latency = "jimenez2011" },
  setup = publish_all,
  workload = { gets = 10 },
  steps = {
    { part = 0.5, name = "restart", run = function(net, run)
      net:restart(net.nodes, AWAY_SECONDS)
      publish_all(net, run)
      run:mark("all is stored again")
    end },
  },
  expect = function(net, run)
    local late = run:select("sample", run.seconds * 0.75)
    run:expect("records stored", run:share("put"), ">=", 0.99)
    run:expect("records", #run.values, "==", RECORDS * run.nodes)
    run:expect("held by the k closest", run:mean(late, "held"), ">=", 0.95)
    run:expect("values found afterwards", run:share(run:select("get",
      run.seconds * 0.75)), ">=", 0.99)
    run:expect("queries a minute, of the busiest node",
      run:percentile("sample", "queries_max", 100), "<=", 600)
    run:expect("nodes left", net:alive(), "==", run.nodes)
  end,
}
