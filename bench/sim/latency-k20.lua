return require("bench.sim.latency")(20)
