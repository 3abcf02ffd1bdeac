-- Tests scripts/kadenza/cli/reachability.lua, and the method `reachability` of
-- nodes in an overlay with NATs.

local kad = require("kadenza")
local reachability = require("kadenza.cli.reachability")
local support = require("tests.spec.support")

local HOUR <const> = 3600

-- Returns the events that are logged while `act` runs.
local function heard(act)
  local events = {}
  local before = kad.log.configure({ level = "info", sink = function(event)
    events[#events + 1] = event
  end })
  act()
  kad.log.restore(before)
  return events
end

-- Returns an object that has states as a node has.
local function states(ip4, ip6)
  local function family(state)
    return state and { state = state, read_only = state == "unreachable",
      symmetric = state == "unreachable" }
  end
  return { reachability = function()
    return { ip4 = family(ip4), ip6 = family(ip6) }
  end }
end

describe("the log of kadenza run", function()
  it("says that others cannot reach the node, and when they can", function()
    local reported = {}
    local events = heard(function()
      for i, state in ipairs({ "unknown", "reachable", "unreachable",
        "unreachable", "reachable", "unknown" }) do
        reachability.report(states(state), reported, 100 * i)
      end
    end)
    assert.equal(2, #events)
    assert.equal("others cannot reach this node: it is read-only",
      events[1].message)
    assert.equal("ip4", events[1].fields.family)
    assert.equal("symmetric", events[1].fields.nat)
    assert.matches("UDP port", events[1].fields.advice)
    assert.equal("others can reach this node again", events[2].message)
    assert.same({ family = "ip4" }, events[2].fields)
  end)

  it("has one change a minute of each family", function()
    local reported = {}
    local events = heard(function()
      for second = 1, 600 do
        local state = second % 2 == 0 and "reachable" or "unreachable"
        reachability.report(states(state, second > 300 and state or nil),
          reported, second)
      end
    end)
    local count = { ip4 = 0, ip6 = 0 }
    for _, event in ipairs(events) do
      local family = event.fields.family
      count[family] = count[family] + 1
    end
    assert.is_true(count.ip4 >= 8 and count.ip4 <= 10)
    assert.is_true(count.ip6 >= 4 and count.ip6 <= 5)
  end)

  it("has a line for each family when statistics are requested", function()
    local events = heard(function()
      reachability.log(states("unreachable", "reachable"))
    end)
    assert.same({ family = "ip4", state = "unreachable", read_only = true,
      symmetric = true }, events[1].fields)
    assert.same({ family = "ip6", state = "reachable", read_only = false,
      symmetric = false }, events[2].fields)
  end)
end)

describe("node:reachability()", function()
  it("tells nodes behind NATs from others", support.spec(function()
    local net <close> = kad.sim({ nodes = 60, seed = 1 })
    local hidden = net:nat({ net.nodes[5], net.nodes[6] }, "port_restricted")
    local symmetric = net:nat({ net.nodes[7] }, "symmetric")
    net:run(HOUR)
    for _, node in ipairs(hidden) do
      local ip4 = node:reachability().ip4
      assert.equal("unreachable", ip4.state)
      assert.is_false(ip4.symmetric)
      assert.is_true(ip4.idle > 1800)
      assert.is_nil(node:reachability().ip6)
    end
    assert.is_true(symmetric[1]:reachability().ip4.symmetric)
    local open = net.nodes[8]:reachability().ip4
    assert.equal("reachable", open.state)
    assert.is_false(open.read_only or open.symmetric)
    assert.equal(0, net.nodes[8]:stats().read_only)

    net:nat(hidden, "open")
    net:run(2400)
    for _, node in ipairs(hidden) do
      assert.equal("reachable", node:reachability().ip4.state)
    end
  end))

  it("is unknown at first, and read-only if the option says so",
    support.spec(function()
      local net <close> = kad.sim({ nodes = 0, seed = 1 })
      local node = assert(net:open({ read_only = true }))
      assert.same({ ip4 = { state = "unknown", read_only = true,
        symmetric = false } }, node:reachability())
      assert.equal(1, node:stats().read_only)
    end))
end)
