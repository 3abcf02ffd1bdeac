-- How long a get takes, with the round-trip times measured in a public overlay
-- and contacts that have just gone.

local support = require("bench.sim.support")
local kad = require("kadenza")

local KEYS <const> = 1000 -- so many that few are asked for again
local GETS <const> = 2000
local SECONDS <const> = 120 -- in which they are begun
local SETTLE <const> = 1200 -- for the tables to know who is near
local DEAD <const> = 0.05
local STANDARD <const> = { alpha = 3, paths = 1 }

-- A lookup to the k closest with three queries in flight, to compare with.
local function look_up(run)
  local known = run.values[run:random(#run.values)]
  local _, info, _, details =
    run.net:draw_joined():find_node(known.key, STANDARD)
  local found = type(info) == "table" and info or details
  run:record("standard", { ok = type(info) == "table",
    messages = found and found.messages, hops = found and found.hops,
    took = found and found.took })
end

return {
  name = "latency",
  summary = "Times to the value, with the round-trip times of Jimenez 2011 and "
    .. "5 % of the contacts dead.",
  nodes = 10000,
  hours = (SETTLE + 2 * SECONDS) / 3600 + 0.05,
  network = { latency = "jimenez2011" },
  setup = function(net, run)
    support.store(run, KEYS)
    kad.sleep(SETTLE)
    net:kill(DEAD)
  end,
  tasks = {
    function(_, run)
      support.get_many(run, GETS, SECONDS, { quorum = 1 })
    end,
    function(_, run)
      for _ = 1, GETS // 4 do
        kad.sleep(SECONDS * 4 / GETS)
        run.net:spawn(look_up, run)
      end
    end,
  },
  expect = function(_, run)
    run:expect("gets that succeed", support.right(run:select("get")), ">=",
      0.999)
    run:expect("median time, s", run:percentile("get", "took", 50), "<=", 0.164)
    run:expect("99 % within, s", run:percentile("get", "took", 99), "<=", 0.566)
    local standard = run:mean("standard", "messages")
    run:expect("queries / standard lookup",
      standard and run:mean("get", "messages") / standard, "<=", 2)
  end,
}
