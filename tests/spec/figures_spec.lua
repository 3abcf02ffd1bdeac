-- Tests scripts/kadenza/figures.lua, bindings/lua/histogram.c,
-- bindings/lua/tally.c.

local kad = require("kadenza")
local support = require("tests.spec.support")

-- Returns the histogram of a node, or nil.
local function find(node, subject, kind, outcome)
  for _, histogram in ipairs(node:histograms()) do
    if histogram.subject == subject and histogram.kind == kind
      and histogram.outcome == outcome
    then
      return histogram
    end
  end
end

local function total(histogram)
  local sum = 0
  for _, count in ipairs(histogram.counts) do
    sum = sum + count
  end
  return sum
end

describe("node:tallies", function()
  -- Returns the sum of a subject.
  local function sum(node, subject)
    local count = 0
    for _, tally in ipairs(node:tallies()) do
      count = count + (tally.subject == subject and tally.count or 0)
    end
    return count
  end

  it("add up to the counters", support.spec(function()
    local net <close> = kad.sim({ nodes = 12, seed = 3 })
    net:perform(function()
      for i = 1, 5 do
        assert(net.nodes[i]:put(kad.key("a" .. i), "1"))
        net.nodes[i]:call(net.nodes[i + 1]:addresses()[1], "nothing", {})
      end
    end)
    net:run(600)
    for _, node in ipairs(net.nodes) do
      local stats = node:stats()
      assert.equal(stats.queries, sum(node, "query_sent"))
      assert.equal(stats.refused, sum(node, "error_sent"))
      assert.equal(stats.errors, sum(node, "error_received"))
    end
    assert.equal(1, sum(net.nodes[2], "error_sent"))
  end))
end)

describe("node:histograms", function()
  it("counts operations by kind and outcome", support.spec(function()
    local net <close> = kad.sim({ nodes = 10, seed = 1 })
    local node = net.nodes[4]
    net:perform(function()
      assert(node:put(kad.key("a"), "1"))
      assert(node:get(kad.key("a")))
      assert.is_nil((node:get(kad.key("b"))))
    end)
    local put = find(node, "operation", "put", "success")
    assert.equal(18, #put.counts)
    assert.equal(1, total(put))
    assert.is_true(put.seconds > 0 and put.seconds < 60, put.seconds)
    assert.equal(1, total(find(node, "operation", "get", "success")))
    assert.equal(1, total(find(node, "operation", "get", "not_found")))
    assert.is_nil(find(node, "operation", "get", "timeout"))
    assert.is_true(total(find(node, "reply", "ip4", "success")) > 3)
  end))

  it("is empty for a node that has done nothing", support.spec(function()
    local net <close> = kad.sim({ nodes = 1, seed = 1 })
    assert.same({}, net.nodes[1]:histograms())
  end))

  it("raises for a closed node, as the other figures", support.spec(function()
    local net <close> = kad.sim({ nodes = 2, seed = 1 })
    local node = net.nodes[2]
    node:close()
    for _, name in ipairs({ "histograms", "tallies", "stats",
      "send_failure" }) do
      local succeeded, message = pcall(function()
        local _ = node[name](node)
      end)
      assert.is_false(succeeded)
      assert.matches("figures_spec.lua:%d+: .*closed", message)
    end
  end))
end)
