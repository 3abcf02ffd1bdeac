--- A lossy network: 20 % of the datagrams are lost, so that a third of the
--- queries get no reply. Others arrive twice, late or out of order.
return {
  name = "lossy",
  summary = "One datagram in five is lost, others arrive twice or late.",
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
    run:expect("healthy nodes", run:mean(late, "healthy"), ">=", 0.9)
  end,
}
