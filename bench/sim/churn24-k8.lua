return require("bench.sim.churn")(8)
