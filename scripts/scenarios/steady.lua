--- Steady state: no node joins or leaves; values are looked up all the time.
return {
  name = "steady",
  summary = "An overlay in which no node joins or leaves.",
  nodes = 100,
  hours = 2,
  network = { latency = "jimenez2011" },
  workload = { keys = 30, gets = 20, puts = 0.5, lookups = 10 },
  expect = function(net, run)
    local late = run:select("sample", run.seconds / 2)
    run:expect("values found", run:share("get"), ">=", 0.999)
    run:expect("values that are right", run:share("get", "correct"), "==", 1)
    run:expect("held by the k closest", run:mean(late, "held"), ">=", 0.95)
    run:expect("healthy nodes", run:mean(late, "healthy"), "==", 1)
    run:expect("nodes left", net:alive(), "==", run.nodes)
  end,
}
