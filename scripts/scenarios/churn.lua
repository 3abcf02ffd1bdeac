--- Churn: the median session is an hour, half of the nodes crash, and new nodes
--- replace them. Values are stored once; their holders republish them.
return {
  name = "churn",
  summary = "Nodes leave after a median hour; new nodes replace them.",
  nodes = 100,
  hours = 4,
  network = {
    latency = "jimenez2011",
    churn = { session = "exponential", median = 3600, crash = 0.5 },
  },
  workload = { keys = 30, gets = 10 },
  expect = function(net, run)
    local late = run:select("sample", run.seconds / 2)
    local gone = net.counts.crashed + net.counts.left
    run:expect("values found", run:share("get"), ">=", 0.99)
    run:expect("values that are right", run:share("get", "correct"), "==", 1)
    run:expect("held by the k closest", run:mean(late, "held"), ">=", 0.9)
    run:expect("nodes gone, of those at the beginning", gone / run.nodes, ">",
      run.seconds / 3600 / 4)
    run:expect("nodes left", net:alive(), "==", run.nodes)
  end,
}
