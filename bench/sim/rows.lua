-- The rows of the quality table, in order: the scenario in NAME.lua, and its
-- size for --quick and --smoke. With `sizes`, it runs once for each, up to the
-- size of the options. A `program` is a module that measures by itself.

return {
  { name = "churn24-k8", quick = { nodes = 1000, hours = 6 },
    smoke = { nodes = 40, hours = 0.2 } },
  { name = "churn24-k20", quick = { nodes = 1000, hours = 6 },
    smoke = { nodes = 40, hours = 0.2 } },
  { name = "latency-k8", quick = { nodes = 1000 }, smoke = { nodes = 50 } },
  { name = "latency-k20", quick = { nodes = 1000 }, smoke = { nodes = 50 } },
  { name = "hops", sizes = { 100, 300, 1000, 3000, 10000, 30000, 100000 },
    quick = { nodes = 3000 }, smoke = { nodes = 100 } },
  { name = "hostile", quick = { nodes = 500 }, smoke = { nodes = 40 } },
  { name = "sybil", quick = { nodes = 500 }, smoke = { nodes = 40 } },
  { name = "restart", quick = { nodes = 40 }, smoke = { nodes = 12 } },
  { name = "heal", quick = { nodes = 300 }, smoke = { nodes = 30 } },
  { name = "nats", quick = { nodes = 300, hours = 1 },
    smoke = { nodes = 40, hours = 0.2 } },
  { name = "idle", quick = { nodes = 1000 },
    smoke = { nodes = 40, hours = 0.5 } },
  { name = "size", program = "bench.sim.size",
    summary = "Memory and processor time of quiet overlays of growing size.",
    sizes = { 100, 1000, 10000, 100000 }, quick = { nodes = 1000 },
    smoke = { nodes = 100 } },
}
