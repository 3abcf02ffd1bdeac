local history = require("kadenza.web.history")
local kad = require("kadenza")
local series = require("kadenza.web.series")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local function by_name(figures)
  local kinds = {}
  for _, figure in ipairs(figures) do
    assert.is_nil(kinds[figure.name], figure.name)
    kinds[figure.name] = figure.kind
  end
  return kinds
end

describe("kadenza.web.series", function()
  it("has every kind of served query and of dropped datagram", function()
    local kinds = by_name(series.list())
    for _, counter in ipairs(require("kadenza.core").counters().node) do
      local is_wanted = counter.name:find("^served_")
        or counter.name:find("^dropped_")
      assert.equal(is_wanted and "rate" or kinds[counter.name],
        kinds[counter.name], counter.name)
    end
    assert.equal("gauge", kinds.contacts)
    assert.equal("mean", kinds.lookup_s)
  end)

  it("names counters by what they begin with", function()
    local served = series.counters("served_p")
    assert.equal(2, #served)
    assert.equal("served_ping", served[1].name)
    assert.equal("ping queries answered", served[1].text)
    assert.same({}, series.counters("no such counter"))
  end)

  it("reads each of its figures from a node", support.spec(function()
    kad.run(function()
      local node <close> = assert(kad.node(support.local_node()))
      local values = series.read(node)
      for _, figure in ipairs(series.list()) do
        if not figure.name:find("^hook") then
          assert.is_number(values[figure.name], figure.name)
          assert.is_number(values[figure.of or figure.name], figure.of)
        end
      end
      assert.is_nil(values.hook_calls) -- no policy, no hooks
    end)
  end))

  it("reads the times of lookups, stores, replies and hooks",
    sim_support.with_sim({ nodes = 10, seed = 1, latency = 20,
      policies = { { name = "p", on_request = function() return true end } },
    }, function(net)
      local node, past = net.nodes[1], history.new(series.list())
      past:add(0, series.read(node))
      net:perform(function()
        assert(node:put(kad.key("key"), "hello"))
        assert(net.nodes[2]:put(kad.key("other"), "hello"))
        assert(node:get(kad.key("other")))
      end)
      past:add(5, series.read(node))

      local found = {}
      for i, figure in ipairs(past.figures) do
        found[figure.name] = past:rows(5)[1][i + 1]
      end
      assert.is_true(found.lookups_ended > 0 and found.stores_ended > 0)
      assert.is_true(found.lookup_s >= 0.04 and found.lookup_s < 1)
      assert.is_true(found.store_s >= 0.08 and found.store_s < 1)
      assert.is_true(math.abs(found.reply_s - 0.04) < 0.002)
      assert.is_true(found.hook_calls > 0)
      assert.is_true(found.hook_s > 0 and found.hook_s < 0.01)
    end))
end)
