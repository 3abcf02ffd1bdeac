local json = require("kadenza.json")
local kad = require("kadenza")
local overview = require("kadenza.web.overview")
local rates = require("kadenza.rates")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")
local talkers = require("kadenza.talkers")

local SETTINGS <const> = { k = 8, max_records = 1000, max_bytes = 50000,
  max_publications = 10 }

local function document_of(node, watched)
  return overview.of({ node = node, settings = SETTINGS }, watched, 7)
end

local function row_of(rows, name)
  for _, row in ipairs(rows) do
    if row.name == name then
      return row
    end
  end
  error("no row " .. name)
end

describe("kadenza.web.overview", function()
  it("shows what a busy node does", sim_support.with_sim({ nodes = 30, seed = 2,
    latency = 20, policies = { { name = "guard", on_request = function()
      return true
    end } },
  }, function(net)
    local node = net.nodes[1]
    talkers.count(node, true)
    local watched <close> = rates.watch(node)
    net:perform(function()
      for i = 1, 20 do
        assert(net.nodes[2]:ping(node:addresses()[1]))
        assert(node:put(kad.key("key " .. i), "hello"))
        kad.sleep(1)
      end
      kad.sleep(5)
    end)
    local stats = node:stats()
    local document = document_of(node, watched)

    assert.equal(7, document.started)
    assert.equal("healthy", document.node.state)
    assert.equal(kad.hex(node:id()), document.node.id)
    assert.same(node:addresses(), document.node.addresses)
    assert.equal(stats.network_size, document.node.network_size)
    assert.is_false(document.node.read_only)

    local ping = row_of(document.traffic, "served_ping")
    assert.equal(stats.served_ping, ping.total)
    assert.is_true(ping.total >= 20)
    assert.is_true(ping.minute > 0.5 and ping.minute < 3)
    assert.equal("ping queries answered", ping.text)
    assert.equal(stats.bytes_in, row_of(document.traffic, "bytes_in").total)
    assert.equal(0, row_of(document.drops, "dropped_limited").total)
    assert.equal(0, row_of(document.drops, "over_quota").total)

    local contacts, good = 0, 0
    for _, row in ipairs(document.contacts.fill) do
      contacts, good = contacts + row.ip4 + row.ip6, good + row.good
    end
    assert.equal(#node:contacts(), contacts)
    assert.equal(document.contacts.count, contacts)
    assert.equal(document.contacts.good, good)
    assert.equal(8, document.contacts.k)

    local put
    for _, row in ipairs(document.times) do
      put = row.kind == "put" and row or put
    end
    assert.equal("success", put.outcome)
    assert.equal(20, put.count)
    assert.is_true(put.mean > 0.04 and put.mean <= put.most)
    assert.is_true(put.half <= put.most)

    assert.equal(1, #document.hooks)
    assert.matches("on_request", document.hooks[1].name)
    assert.equal(stats.policies.hooks[document.hooks[1].name].calls,
      document.hooks[1].calls)
    assert.equal(stats.records, document.records.count)
    assert.equal(50000, document.records.max_bytes)
    assert.same({ { type = "value", count = stats.records } },
      document.records.types)
    assert.equal(talkers.top(node, 1)[1].host, document.talkers.list[1].host)
    assert.is_true(document.talkers.seconds >= 25)
  end))

  it("shows a node to which nothing has happened", support.spec(function()
    kad.run(function()
      local node <close> = assert(kad.node(support.local_node()))
      local watched <close> = rates.watch(node)
      local document = document_of(node, watched)
      assert.equal("new", document.node.state)
      assert.is_nil(document.traffic[1].minute)
      local text = json.encode(document)
      for _, name in ipairs({ "fill", "times", "hooks", "list" }) do
        assert.matches(('"%s":[]'):format(name), text, 1, true)
      end
    end)
  end))

  it("counts the leading bits that contacts have in common with the node",
    function()
      local fill = overview.fill(("\0"):rep(20), {
        { id = "\128" .. ("\0"):rep(19), address = "1.2.3.4:5", good = true },
        { id = "\0\1" .. ("\0"):rep(18), address = "1.2.3.5:5", good = false },
        { id = "\0\1" .. ("\9"):rep(18), address = "[2001:db8::1]:5",
          good = true },
        { id = ("\0"):rep(19) .. "\1", address = "1.2.3.6:5", good = true },
      })
      assert.same({ { bits = 0, ip4 = 1, ip6 = 0, good = 1 },
        { bits = 15, ip4 = 1, ip6 = 1, good = 1 },
        { bits = 159, ip4 = 1, ip6 = 0, good = 1 } }, fill)
    end)
end)
