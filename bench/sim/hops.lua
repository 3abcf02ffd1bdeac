-- The hops of lookups in an overlay of a given size. run.lua runs it with
-- growing sizes.

local kad = require("kadenza")

local LOOKUPS <const> = 1000
local SECONDS <const> = 600

return {
  name = "hops",
  summary = "Lookups of random ids from random nodes.",
  nodes = 10000,
  hours = 2 * SECONDS / 3600 + 0.01, -- SECONDS to settle, SECONDS of lookups
  sample = 0,
  setup = function()
    kad.sleep(SECONDS) -- until joins have ended
  end,
  tasks = {
    function(_, run)
      for _ = 1, LOOKUPS do
        kad.sleep(SECONDS / LOOKUPS)
        run.net:spawn(function()
          run:lookup()
        end)
      end
    end,
  },
  expect = function(_, run)
    run:expect("lookups that succeed", run:share("lookup"), ">=", 0.999)
    run:expect("hops, mean", run:mean("lookup", "hops"), "<=",
      math.log(run.nodes, 2))
  end,
}
