--- A sybil attack: an attacker joins with a hundred ids that are closer to one
--- key than any honest node. Its nodes name only each other to lookups of that
--- key, and hold no records. Gets must still find the value stored there.

local kad = require("kadenza")

local TARGET <const> = kad.key("what the attacker hides")
local SYBILS <const> = 100
local SECONDS_BETWEEN <const> = 20

return {
  name = "sybil",
  summary = "A hundred sybils surround one key, to hide its value.",
  nodes = 150,
  hours = 1,
  network = { latency = "jimenez2011" },
  setup = function(_, run)
    assert(run:put(TARGET, "the truth"))
  end,
  workload = { keys = 20, gets = 6 },
  steps = {
    { part = 0.25, name = "the attack", run = function(net, run)
      net:sybils(SYBILS, TARGET)
      while true do
        local value = run:get(TARGET)
        run:record("attacked", { ok = value == "the truth" })
        kad.sleep(SECONDS_BETWEEN)
      end
    end },
  },
  expect = function(net, run)
    run:expect("gets of the key attacked", run:count("attacked"), ">=", 10)
    -- Of a hundred gets, a share of 0.95 would fail in some runs at random.
    run:expect("found despite the attack", run:share("attacked"), ">=",
      0.9)
    run:expect("values found, with the others", run:share("get"), ">=", 0.95)
    run:expect("nodes and sybils", net:alive(), "==", run.nodes + SYBILS)
  end,
}
