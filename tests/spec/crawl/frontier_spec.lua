local frontier = require("kadenza.crawl.frontier")

local ID <const> = ("x"):rep(20)

-- Returns the addresses that are ready, in the order in which they are taken.
local function take_all(found)
  local addresses = {}
  while found:is_ready() do
    addresses[#addresses + 1] = found:take().address
  end
  return addresses
end

describe("kadenza.crawl.frontier", function()
  it("knows the subnets of addresses", function()
    for address, subnet in pairs({
      ["20.1.2.3:1"] = "20.1.2",
      ["127.0.0.1:80"] = "127.0.0.1:80",
      ["10.1.2.3:80"] = "10.1.2.3:80",
      ["[::1]:80"] = "[::1]:80",
      ["[2001:db9::1]:6881"] = "2001:db9:0:0",
      ["[2001:db9:0:7::1]:6881"] = "2001:db9:0:7",
      ["[2001:db9:1:2:3:4:5:6]:6881"] = "2001:db9:1:2",
      ["[2001::5:6:7:8:9]:6881"] = "2001:0:0:5",
      ["[2a00:1:2:3:4::]:6881"] = "2a00:1:2:3",
    }) do
      assert.equal(subnet, frontier.subnet(address))
    end
  end)

  it("lets subnets take turns, with one query in flight each", function()
    local found = frontier.new(100, 10)
    for _, address in ipairs({ "20.0.1.1:1", "20.0.1.2:1", "20.0.1.3:1",
      "20.0.2.1:1", "20.0.2.2:1" }) do
      assert(found:add(address, ID))
    end
    assert.same({ "20.0.1.1:1", "20.0.2.1:1" }, take_all(found))
    assert.same({ 3, 2 }, { found.waiting, found.open })
    found:finish(found.by_address["20.0.2.1:1"], "sampled", 5, 7)
    found:finish(found.by_address["20.0.1.1:1"], "silent", 5)
    assert.same({ "20.0.2.2:1", "20.0.1.2:1" }, take_all(found))
    found:put_back(found.by_address["20.0.1.2:1"])
    assert.same({ "20.0.1.2:1" }, take_all(found))
    assert.same({ 1, 7 }, { found.kinds.sampled, found.num })
  end)

  it("adds an address once, and none beyond its limits", function()
    local found = frontier.new(5, 2)
    local function reason_for(address)
      return select(2, found:add(address, ID))
    end
    assert.is_nil(reason_for("20.0.1.1:1"))
    assert.equal("known", reason_for("20.0.1.1:1"))
    assert.is_nil(reason_for("20.0.1.1:2"))
    assert.equal("crowded", reason_for("20.0.1.9:1"))
    assert.is_nil(reason_for("[2001:db9::1]:1"))
    assert.is_nil(reason_for("[2001:db9::2]:1"))
    assert.equal("crowded", reason_for("[2001:db9::3]:1"))
    assert.is_nil(reason_for("20.0.2.1:1"))
    assert.equal("full", reason_for("20.0.3.1:1"))
    assert.equal(5, #found.list)
  end)

  it("describes a node again, and counts it once", function()
    local found = frontier.new(5, 5)
    local entry = assert(found:add("20.0.1.1:1", ID, 9))
    assert.is_false(found:is_ready())
    found:describe(entry, "sampled", 10)
    found:describe(entry, "sampled", 4)
    assert.same({ 1, 4 }, { found.kinds.sampled, found.num })
    found:describe(entry, "plain", 0)
    assert.same({ 0, 1, 0 }, { found.kinds.sampled, found.kinds.plain,
      found.num })
  end)
end)
