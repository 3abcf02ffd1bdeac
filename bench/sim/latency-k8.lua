-- With so few contacts a bucket, the far ones need more room than k.
return require("bench.sim.latency")(8,
  { far_contacts = 128, alpha = 4, beta = 4 })
