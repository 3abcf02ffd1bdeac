-- The time of gets at a given k, with round-trip times measured in a public
-- overlay, and with dead contacts. Gets end with the first value (quorum 1),
-- and so does the lookup of the paper that they are compared with: α = 3,
-- strictly by distance. Cached copies are off, because they would shorten the
-- path.

local kad = require("kadenza")
local support = require("bench.sim.support")

local KEYS <const> = 1000 -- so many that few are read twice
local GETS <const> = 2000
local SECONDS <const> = 120 -- in which the gets begin
local SETTLE <const> = 3600 -- until the tables know near contacts
local DEAD <const> = 0.05 -- share of the nodes
local QUICK <const> = { quorum = 1 }
local STANDARD <const> = { quorum = 1, alpha = 3, beta = 1, paths = 1 }

-- Gets a random value as the paper does.
local function get_standard(run)
  local known = run.values[run:random(#run.values)]
  local value, info, _, details =
    run.net:draw_joined():get(known.key, STANDARD)
  local found = value ~= nil and info or details or {}
  run:record("standard", { ok = value ~= nil, messages = found.messages,
    hops = found.hops, took = found.took })
end

local function expect(_, run)
  run:expect("gets that succeed", support.right(run:select("get")), ">=", 0.999)
  run:expect("median time, s", run:percentile("get", "took", 50), "<=", 0.164)
  run:expect("99 % within, s", run:percentile("get", "took", 99), "<=", 0.566)
  local standard = run:mean("standard", "messages")
  run:expect("queries / standard lookup",
    standard and run:mean("get", "messages") / standard, "<=", 2)
end

--- Returns the scenario.
---@param k integer
---@param config? kadenza.NodeOptions  of every node, besides k
---@return kadenza.Scenario scenario
return function(k, config)
  local all = { k = k, cache = false }
  for name, value in pairs(config or {}) do
    all[name] = value
  end
  return {
    name = ("latency-k%d"):format(k),
    summary = "Times to the value, with the round-trip times of Jimenez 2011 "
      .. ("and 5 %% of the contacts dead, at k = %d."):format(k),
    nodes = 10000,
    hours = (SETTLE + 2 * SECONDS) / 3600 + 0.05,
    network = { latency = "jimenez2011", config = all },
    setup = function(net, run)
      support.store(run, KEYS)
      kad.sleep(SETTLE)
      net:kill(DEAD)
    end,
    tasks = {
      function(_, run)
        support.get_many(run, GETS, SECONDS, QUICK)
      end,
      function(_, run)
        for _ = 1, GETS // 4 do
          kad.sleep(SECONDS * 4 / GETS)
          run.net:spawn(get_standard, run)
        end
      end,
    },
    expect = expect,
  }
end
