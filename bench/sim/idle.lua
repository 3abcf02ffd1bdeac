-- The cost of an overlay without operations: the queries that maintain it.

local WARM_UP <const> = 3600 -- seconds that are not measured: nodes join

return {
  name = "idle",
  summary = "Nodes without operations maintain their tables.",
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
