--- A lossy network: a fifth of the datagrams is lost, so that a third of the
--- queries goes unanswered; others come twice, late, or in another order.
return {
  name = "lossy",
  summary = "A fifth of the datagrams is lost, others come twice or late.",
  nodes = 100,
  hours = 1,
  network = {
    latency = "jimenez2011",
    loss = 0.2,
    jitter = 100,
    duplicate = 0.02,
    reorder = 0.05,
  },
  workload = { keys = 30, gets = 20, lookups = 10 },
  expect = function(_, run)
    local late = run:select("sample", run.seconds / 2)
    run:expect("values stored", run:share("put"), ">=", 0.99)
    run:expect("values found", run:share("get"), ">=", 0.99)
    run:expect("lookups that succeed", run:share("lookup"), ">=", 0.99)
    run:expect("held by the k closest", run:mean(late, "held"), ">=", 0.75)
    run:expect("nodes in touch", run:mean(late, "healthy"), ">=", 0.9)
  end,
}
