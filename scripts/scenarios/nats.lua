--- Many nodes behind NATs that let in only what the node asked for: a fifth is
--- port-restricted, a tenth symmetric. Nodes come and go, datagrams are lost, a
--- fifth of the nodes loses power for some minutes, and the overlay is split in
--- halves for some more. The other nodes must not wait for answers that a NAT
--- keeps back.

local kad = require("kadenza")

local NATS <const> = { port_restricted = 0.2, symmetric = 0.1 }
local MEDIAN_SESSION <const> = 3600 -- seconds
local OUTAGE <const> = 0.2 -- share of the nodes
local OUTAGE_SECONDS <const> = 300
local PARTITION_SECONDS <const> = 600

-- The share of gets in the whole run that must succeed: during the partition,
-- some values have all their holders on the other side.
local FOUND <const> = 0.999
local MEDIAN_SECONDS <const> = 0.9
local SLOWEST_SECONDS <const> = 3

return {
  name = "nats",
  summary = "Three nodes in ten are behind NATs that hide them; churn, loss, "
    .. "an outage and a partition come on top.",
  nodes = 100,
  hours = 2,
  network = {
    latency = "jimenez2011",
    loss = 0.03,
    nat = NATS,
    churn = { session = "exponential", median = MEDIAN_SESSION, crash = 0.5 },
  },
  workload = { keys = 100, gets = 60 },
  steps = {
    { part = 0.4, name = "outage", run = function(net)
      net:restart(OUTAGE, OUTAGE_SECONDS)
    end },
    { part = 0.6, name = "partition", run = function(net)
      net:partition(0.5)
      kad.sleep(PARTITION_SECONDS)
      net:heal()
    end },
  },
  expect = function(_, run)
    run:expect("gets that succeed", run:share("get"), ">=", FOUND)
    run:expect("median time, s", run:percentile("get", "took", 50), "<=",
      MEDIAN_SECONDS)
    run:expect("99 % within, s", run:percentile("get", "took", 99), "<=",
      SLOWEST_SECONDS)
  end,
}
