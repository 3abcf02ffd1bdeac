local core = require("kadenza.core")
local kad = require("kadenza")
local listing = require("kadenza.console.listing")

describe("the listing of a node", function()
  -- Calls `body(first, second)` with two nodes that know each other.
  local function with_nodes(body)
    return function()
      kad.run(function()
        local nodes = {}
        for i = 1, 2 do
          nodes[i] = assert(kad.node({ listen = "127.0.0.1:0",
            allow_local = true }))
        end
        assert(nodes[2]:bootstrap(nodes[1]:addresses()))
        body(nodes[1], nodes[2])
      end, { timeout = 30 })
    end
  end

  it("has the contacts, with how they are", with_nodes(function(node, other)
    for _ = 1, 1000 do
      if #node:contacts() == 1 then
        break
      end
      kad.sleep(0.005)
    end
    local contact = listing.contacts(node).contacts[1]
    local _, shared = core.distance(node:id(), other:id())
    assert.equal(shared, contact.bucket)
    assert.equal(kad.hex(other:id()), contact.id)
    assert.equal(other:addresses()[1], contact.address)
    assert.equal("good", contact.state)
    assert.equal(0, contact.failures)
    assert.is_true(contact.idle >= 0 and contact.rtt >= 0)
  end))

  it("has all records, page by page", with_nodes(function(node, other)
    for i = 1, 23 do
      assert(other:put(kad.key("key " .. i), ("x"):rep(i)))
    end
    local seen, cursor, pages = {}, nil, 0
    repeat
      local page = assert(listing.records(node, { count = 10,
        cursor = cursor }))
      assert.equal(23, page.total)
      for _, record in ipairs(page.records) do
        assert.is_nil(seen[record.size])
        seen[record.size] = true
        assert.equal(kad.hex(kad.key("key " .. record.size)), record.key)
        assert.equal("value", record.type)
        assert.is_true(record.ttl > 0)
        assert.equal(other:addresses()[1], record.origin)
        assert.is_nil(record.value)
      end
      cursor, pages = page.cursor, pages + 1
    until not cursor
    assert.equal(23, #seen)
    assert.equal(3, pages)
  end))

  it("has the records of a type only", with_nodes(function(node, other)
    assert(other:put(kad.key("a"), "1"))
    assert(other:announce(kad.key("b"), 6881))
    local page = listing.records(node, { type = "peers" })
    assert.equal(1, #page.records)
    assert.equal("peers", page.records[1].type)
    assert.equal(kad.hex(kad.key("b")), page.records[1].key)
  end))

  it("has what is under a key, of all types", with_nodes(function(node, other)
    local key = kad.key("a")
    assert(other:put(key, "1"))
    assert(other:put(key, "2"))
    assert(other:announce(key, 6881))
    local pair = kad.keypair()
    assert(other:put_mutable({ key = pair, value = "signed" }))
    local page = listing.records(node, { key = kad.hex(key) })
    assert.equal(3, page.total)
    local values = {}
    for i, record in ipairs(page.records) do
      values[i] = record.type == "value" and record.value or record.type
    end
    table.sort(values)
    assert.same({ "1", "2", "peers" }, values)

    page = listing.records(node, { key = kad.hex(key), count = 1 })
    assert.equal(3, page.total)
    assert.equal(1, #page.records)
    local all = listing.records(node, { type = "mutable" }).records
    assert.equal(kad.hex(pair.publisher), all[1].publisher)
    assert.equal(1, all[1].seq)
  end))

  it("refuses what is no request", with_nodes(function(node)
    for _, request in ipairs({ { count = 0 }, { count = 501 }, { count = "x" },
      { count = 1.5 }, { key = "xyz" }, { key = ("ab"):rep(19) }, { key = 7 },
      { type = {} }, { cursor = "z" }, { cursor = 7 },
      { cursor = ("f"):rep(17) } }) do
      local page, message, code = listing.records(node, request)
      assert.is_nil(page)
      assert.is_string(message)
      assert.equal("KAD_EINVAL", code)
    end
    for _, cursor in ipairs({ "ffffffffffffffff", "8000000000000000",
      "7fffffffffffffff", "1" }) do
      assert.same({}, { table.unpack(listing.records(node,
        { cursor = cursor }).records) })
    end
  end))
end)
