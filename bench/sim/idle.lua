-- What an overlay costs in which nobody asks for anything.

local WARM_UP <const> = 3600 -- of joining, which is not what is measured

return {
  name = "idle",
  summary = "Nodes that nobody asks for anything keep their tables.",
  nodes = 10000,
  hours = 2,
  sample = 300,
  network = { latency = "jimenez2011" },
  expect = function(_, run)
    local samples = run:select("sample", math.min(WARM_UP, run.seconds / 2))
    run:expect("queries a node a minute", run:mean(samples, "queries"), "<=",
      10)
  end,
}
