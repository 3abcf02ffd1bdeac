local core = require("kadenza.core")
local support = require("tests.spec.support")

local spec = support.spec

local MINUTE <const> = 60000

-- Opens a simulated network with nodes at 20.0.1.1:1, 20.0.2.1:1, …
local function open(options, count)
  local network = assert(core.sim(options))
  local nodes = {}
  for i = 1, count do
    nodes[i] = assert(network:open_node({}, { ("20.0.%d.1:1"):format(i) }))
  end
  return network, nodes
end

-- Pings node `to` from `from`; returns the milliseconds, or nil.
local function ping(network, from, to)
  local took
  from:ping(("20.0.%d.1:1"):format(to), nil, function(result)
    took = result and result.took
  end)
  network:run(MINUTE)
  return took and math.floor(took * 1000 + 0.5)
end

describe("kadenza.core.sim", function()
  it("takes a constant latency", spec(function()
    local network <close>, nodes = open({ latency = 30 }, 2)

    assert.equal(60, ping(network, nodes[1], 2))
  end))

  it("takes distributions of round-trip times", spec(function()
    for _, latency in ipairs({
      { median = 91, sigma = 0 },
      { quantiles = { { 0, 91 }, { 1, 91 } } },
    }) do
      local network <close>, nodes = open({ latency = latency }, 2)

      assert.equal(91, ping(network, nodes[1], 2))
    end
  end))

  it("has a measured distribution by name", spec(function()
    local network <close>, nodes = open({ latency = "jimenez2011" }, 2)

    assert.equal(ping(network, nodes[1], 2), ping(network, nodes[2], 1))
  end))

  it("cuts groups off and heals", spec(function()
    local network <close>, nodes = open({}, 2)
    network:set_group(nodes[1], 1)
    assert.is_nil(ping(network, nodes[1], 2))
    assert.is_true(network:stats().partitioned > 0)

    network:heal()

    assert.is_number(ping(network, nodes[1], 2))
  end))

  it("kills a node without callbacks", spec(function()
    local network <close>, nodes = open({}, 2)
    local called = false
    nodes[1]:ping("20.0.2.1:1", nil, function()
      called = true
    end)

    network:kill(nodes[1])
    network:run(MINUTE)

    assert.is_false(called)
    assert.is_false(nodes[1]:is_open())
    network:kill(nodes[1])
    assert.is_nil(ping(network, nodes[2], 1))
  end))

  it("suspends and resumes a node", spec(function()
    for _, clock_stands in ipairs({ false, true }) do
      local network <close>, nodes = open({}, 2)
      network:suspend(nodes[2], clock_stands)
      assert.is_nil(ping(network, nodes[1], 2))
      assert.is_true(network:stats().suspended > 0)

      network:resume(nodes[2])

      assert.is_number(ping(network, nodes[1], 2))
    end
  end))

  it("lets a node's clock drift", spec(function()
    local network <close>, nodes = open({ latency = 500 }, 2)

    network:set_clock(nodes[1], 100000, -3600)

    assert.equal(1100, ping(network, nodes[1], 2))
  end))

  it("measures idle times by the node's clock", spec(function()
    local network <close>, nodes = open({}, 2)
    ping(network, nodes[1], 2)
    local before = nodes[1]:contacts()[1].idle

    network:suspend(nodes[1], true)
    network:run(60 * MINUTE)

    assert.equal(before, nodes[1]:contacts()[1].idle)
  end))

  it("moves a node", spec(function()
    local network <close>, nodes = open({}, 2)

    assert.is_true(network:move(nodes[2], { "20.0.3.1:1" }))

    assert.is_nil(ping(network, nodes[1], 2))
    assert.is_number(ping(network, nodes[1], 3))
    local moved, _, code = network:move(nodes[2], { "20.0.1.1:1" })
    assert.is_nil(moved)
    assert.equal("KAD_EADDRINUSE", code)
    assert.error_matches(function()
      network:move(nodes[2], { "[2001:db8::1]:1" })
    end, "of the same families", 1, true)
  end))

  it("bounds bandwidth", spec(function()
    for _, options in ipairs({ {}, { bandwidth = 200 } }) do
      local network <close>, nodes = open(options, 2)
      if not options.bandwidth then
        network:set_bandwidth(nodes[1], 200)
      end
      for _ = 1, 8 do
        nodes[1]:ping("20.0.2.1:1", nil, function() end)
      end

      network:run(1000)

      assert.is_true(network:stats().congested > 0)
    end
  end))

  it("traces datagrams", spec(function()
    local network <close>, nodes = open({ loss = 0.3 }, 2)
    local seen = { lost = 0, delivered = 0 }
    network:trace(function(outcome, from, to, bytes)
      seen[outcome] = seen[outcome] + 1
      assert.not_equal(from, to)
      assert.equal("d", bytes:sub(1, 1))
    end)
    for _ = 1, 10 do
      ping(network, nodes[1], 2)
    end
    local stats = network:stats()
    assert.is_true(seen.lost > 0 and seen.delivered > 0)
    assert.same({ stats.lost, stats.delivered }, { seen.lost, seen.delivered })

    network:trace(function()
      network:trace(nil)
    end)

    ping(network, nodes[1], 2)
    assert.equal(stats.lost, seen.lost)
  end))

  it("raises the error of a trace", spec(function()
    local network <close>, nodes = open({}, 2)
    network:trace(function()
      error("seen enough")
    end)
    assert.error_matches(function()
      ping(network, nodes[1], 2)
    end, "seen enough", 1, true)
  end))

  it("makes nodes hostile", spec(function()
    local network <close>, nodes = open({}, 2)
    local key = ("\1"):rep(20)
    network:set_behaviour(nodes[2], "silent")
    local code
    nodes[1]:call("20.0.2.1:1", nil, "hello", {}, function(_, _, name)
      code = name
    end)
    network:run(MINUTE)
    assert.equal("KAD_ETIMEOUT", code)
    assert.is_number(ping(network, nodes[1], 2))

    network:set_behaviour(nodes[2], "sybil", { key = key })
    network:set_behaviour(nodes[2], "garbage", { rate = 100 })
    network:run(MINUTE)

    assert.is_true(nodes[1]:stats().dropped_malformed > 100)
    assert.error_matches(function()
      network:set_behaviour(nodes[2], "rude")
    end, "invalid option 'rude'", 1, true)
    assert.error_matches(function()
      network:set_behaviour(nodes[2], "sybil")
    end, "a sybil needs a key", 1, true)
  end))

  it("puts nodes behind NATs", spec(function()
    local network <close>, nodes = open({}, 2)
    local outer
    network:trace(function(_, from)
      outer = outer or from
    end)
    assert.is_true(network:set_nat(nodes[2], "symmetric",
      { idle = 30, outer = "20.9.9.9" }))

    assert.is_nil(ping(network, nodes[1], 2))
    outer = nil
    assert.is_number(ping(network, nodes[2], 1))
    assert.matches("^20%.9%.9%.9:%d+$", outer)
    assert.is_true(network:set_nat(nodes[2], "open"))

    assert.is_number(ping(network, nodes[1], 2))
    for _, wrong in ipairs({ { "closed", nil, "invalid option 'closed'" },
      { "open", { idle = 0 }, "'idle' must be in 1 to 86400" },
      { "open", { outer = "here" }, "'outer' must be an ip" },
      { "open", { inner = 1 }, "'inner'" } }) do
      assert.error_matches(function()
        network:set_nat(nodes[2], wrong[1], wrong[2])
      end, wrong[3], 1, true)
    end
  end))

  it("counts datagrams", spec(function()
    local network <close>, nodes = open({ duplicate = 1 }, 2)
    ping(network, nodes[1], 2)

    local stats = network:stats()

    assert.is_true(stats.sent >= 2)
    assert.equal(2 * stats.sent, stats.delivered)
    assert.equal(stats.sent, stats.duplicated)
    assert.equal(0, stats.lost)
  end))

  it("refuses nodes of other networks", spec(function()
    local network <close> = open({}, 0)
    local _ <close>, others = open({}, 1)
    for _, name in ipairs({ "set_group", "kill", "suspend", "move" }) do
      assert.error_matches(function()
        network[name](network, others[1], 1)
      end, "the node is of another network", 1, true)
    end
  end))

  it("refuses networks of sockets", spec(function()
    local network <close> = assert(core.udp())
    assert.error_matches(function()
      network:heal()
    end, "a simulated network is needed", 1, true)
  end))

  for name, case in pairs({
    latency = { { -1, "an hour at most" }, { true, "a table or a name" },
      { "slow", "jimenez2011" }, { { 2, 1 }, "the smaller one first" },
      { { median = 0 }, "more than 0" }, { { mean = 3 }, "'mean'" },
      { { sigma = 5 }, "'latency.sigma' must be a number in 0 to 4" },
      { { quantiles = 3 }, "must be a table" },
      { { quantiles = { { 0.5, 3 } } }, "2 to 64 pairs" },
      { { quantiles = { { 0.5, 3 }, 4 } }, "pairs {share, ms}" },
      { { quantiles = { { 0.5, 3 }, { 0.4, 4 } } }, "must increase" },
      { { quantiles = { { 0.5, 3 }, { 2, 4 } } }, "in 0 to 1" },
      { { quantiles = { { 0, 3 }, { 1, 4 } }, sigma = 1 }, "'sigma'" } },
    duplicate = { { 2, "'duplicate' must be a number in 0 to 1" } },
    reorder = { { "x", "'reorder' must be a number in 0 to 1" } },
    jitter = { { 0.5, "'jitter' must be an integer" } },
    bandwidth = { { -1, "'bandwidth' must be in 0 to" } },
    reorder_ms = { { 0, "'reorder_ms' must be in 1 to" } },
  }) do
    it("raises for a wrong " .. name, spec(function()
      for _, wrong in ipairs(case) do
        assert.error_matches(function()
          core.sim({ [name] = wrong[1] })
        end, wrong[2], 1, true)
      end
    end))
  end
end)
