-- Tests scripts/kadenza/held.lua.

local kad = require("kadenza")

describe("the records that a node holds", function()
  local function with_node(body)
    return function()
      kad.run(function()
        local node <close> = assert(kad.node({ listen = "127.0.0.1:0",
          allow_local = true }))
        body(node)
      end, { timeout = 30 })
    end
  end

  it("are counted by type", with_node(function(node)
    assert.same({}, node:held_types())
    assert(node:put(kad.key("a"), "1"))
    assert(node:put(kad.key("b"), "2"))
    assert(node:put_immutable("three"))
    assert.same({ value = 2, immutable = 1 }, node:held_types())
  end))

  it("are read page by page, each once", with_node(function(node)
    local records, cursor = node:held_page()
    assert.same({}, records)
    assert.is_nil(cursor)
    for i = 1, 25 do
      assert(node:put(kad.key("key " .. i), "value " .. i))
    end

    local seen, pages = {}, 0
    cursor = nil
    repeat
      records, cursor = node:held_page(cursor, 10)
      pages = pages + 1
      assert.is_true(#records <= 10)
      for _, record in ipairs(records) do
        assert.is_nil(seen[record.value])
        seen[record.value] = true
        local number = record.value:match("value (%d+)")
        assert.equal(kad.key("key " .. number), record.key)
        assert.equal("value", record.type)
        assert.is_true(record.ttl > 0)
        assert.is_nil(record.origin) -- this node has stored it
      end
    until not cursor
    assert.equal(3, pages)
    for i = 1, 25 do
      assert.is_true(seen["value " .. i])
    end
  end))

  it("name the node that stored them", with_node(function(node)
    local other <close> = assert(kad.node({ listen = "127.0.0.1:0",
      allow_local = true }))
    assert(other:bootstrap(node:addresses()))
    assert(other:put(kad.key("theirs"), "x"))
    local records = node:held_page()
    assert.equal(1, #records)
    assert.equal(other:addresses()[1], records[1].origin)
  end))

  it("have pages of 1 to 1000", with_node(function(node)
    for _, count in ipairs({ 0, 1001 }) do
      assert.error_matches(function()
        node:held_page(nil, count)
      end, "1 to 1000")
    end
    assert.error_matches(function()
      node:held_page("x")
    end, "number expected")
  end))
end)
