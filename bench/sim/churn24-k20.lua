return require("bench.sim.churn")(20)
