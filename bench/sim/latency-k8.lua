-- With k = 8, far buckets need more contacts than k.
return require("bench.sim.latency")(8,
  { far_contacts = 128, alpha = 4, beta = 4 })
