--- A sybil attack: an attacker joins with a hundred ids that are closer to one
--- key than any honest node's, names only his own nodes to whoever asks for it,
--- and holds nothing. The value that was stored there must still be found.

local kad = require("kadenza")

local TARGET <const> = kad.key("what the attacker hides")
local SYBILS <const> = 100
local SECONDS_BETWEEN <const> = 20

return {
  name = "sybil",
  summary = "A hundred hostile ids gather around one key, to hide its value.",
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
    -- A hundred gets: a share of 0.95 would be missed by chance.
    run:expect("found in spite of the attack", run:share("attacked"), ">=",
      0.9)
    run:expect("values found, with the others", run:share("get"), ">=", 0.95)
    run:expect("nodes and sybils", net:alive(), "==", run.nodes + SYBILS)
  end,
}
