local suggest = require("kadenza.suggest")

describe("kadenza.suggest", function()
  it("returns the closest name, the first of several", function()
    assert.equal("ab", suggest.closest("a", { "ab", "ac" }, 1))
    assert.equal("ac", suggest.closest("acc", { "ab", "ac" }, 2))
    assert.is_nil(suggest.closest("acc", { "ab", "x" }, 1))
    assert.is_nil(suggest.closest(("a"):rep(41), { ("a"):rep(41) }, 1))
  end)

  it("hints at the closest key of a table, the first in their order", function()
    assert.equal(" (did you mean 'ab'?)",
      suggest.hint("a", { ac = 1, ab = 1 }))
    assert.equal(" (did you mean 'validate'?)",
      suggest.hint("valdat", { validate = 1, merge = 1 }))
    assert.equal("", suggest.hint("abcdef", { x = 1 }))
    assert.equal("", suggest.hint("ab", { cd = 1 }))
  end)
end)
