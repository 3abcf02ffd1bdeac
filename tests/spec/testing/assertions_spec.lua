local kad = require("kadenza")
local shared = require("tests.spec.support.testing")
local support = require("tests.spec.support")

local line = shared.call_line
local message_of = shared.message_of
local spec = support.spec
local with_book = shared.with_book
local with_overlay = shared.with_overlay

describe("kadenza.testing.assertions", function()
  it("asserts verdicts", with_book(function(book)
    assert.accepted(line(book, "hello"))
    assert.rejected(line(book, "spam"))
    assert.rejected(line(book, "spam"), "no spam", 201)
    assert.fails(line(book, "broken"), "book.lua:7: ")
    assert.is_not.accepted(line(book, "spam"))
  end))

  it("shows the returned and the wanted result", with_book(function(book)
    assert.is_truthy(message_of(function()
      assert.accepted(line(book, "spam"))
    end):find("Expected the hook to accept.\n"
      .. "It returned: reject, 201: no spam, please", 1, true))
    assert.is_truthy(message_of(function()
      assert.rejected(line(book, "spam"), "something", 301)
    end):find("Wanted: a reason with 'something', code 301", 1, true))
    assert.is_truthy(message_of(function()
      assert.fails(line(book, "hello"), "x")
    end):find("It returned: accept", 1, true))
  end))

  it("shows the holders", with_overlay({ nodes = 3, seed = 9 },
    function(overlay)
      local key = kad.key("book")
      assert(overlay.nodes[1]:put(key, "hello", { type = "line" }))
      local message = message_of(function()
        assert.holders(9, overlay, key, "line")
      end)
      assert.is_truthy(message:find(
        "Wanted: 9. 3 hold it (seed 9):\n  20.0.1.1:6881: hello", 1, true))
    end))

  it("rejects other values than results and overlays", spec(function()
    assert.is_truthy(message_of(function()
      assert.accepted(true)
    end):find("a result of policy:call is needed", 1, true))
    assert.is_truthy(message_of(function()
      assert.holders(1, {}, "key")
    end):find("an overlay is needed", 1, true))
  end))
end)
