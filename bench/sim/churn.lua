-- A day of an overlay with a median session of one hour, at a given k.

local support = require("bench.sim.support")

local KEYS <const> = 400
local GETS <const> = 30 -- a minute
local TTL <const> = 2 * 86400 -- seconds: no value expires during the run

--- Returns the scenario.
---@param k integer
---@return kadenza.Scenario scenario
return function(k)
  return {
    name = ("churn24-k%d"):format(k),
    summary = ("Nodes stay for a median of one hour, half of them crash; "
      .. "values are stored once at k = %d and republished by their holders.")
      :format(k),
    nodes = 10000,
    hours = 24,
    sample = 900,
    network = {
      latency = "jimenez2011",
      config = { k = k },
      churn = { session = "exponential", median = 3600, crash = 0.5 },
    },
    setup = function(_, run)
      support.store(run, KEYS, { ttl = TTL })
    end,
    workload = { gets = GETS },
    tasks = {
      function(_, run)
        support.find_holders(run, 20, k)
      end,
    },
    expect = function(_, run)
      run:expect("gets that succeed", support.right(run:select("get")), ">=",
        0.999)
      run:expect("holders found / k", run:mean("found", "share"), ">=", 0.95)
    end,
  }
end
