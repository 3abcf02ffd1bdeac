local text = require("kadenza.metrics.text")

describe("kadenza.metrics.text", function()
  it("escapes the values of labels", function()
    assert.equal([[a="b\\c\"d\ne"]], text.label("a", 'b\\c"d\ne'))
    assert.equal('a=""', text.label("a", ""))
    assert.equal('a="ä,}{="', text.label("a", "ä,}{="))
  end)

  it("replaces bytes of labels that are not UTF-8", function()
    assert.equal('a="x\u{FFFD}yä\u{FFFD}"',
      text.label("a", "x\xFFyä\xC3"))
    assert.equal('a="\u{FFFD}"', text.label("a", "\x80"))
  end)

  it("writes the head of a family", function()
    local family = { name = "a_seconds", type = "counter", unit = "seconds",
      help = 'One "a"\\\ntwo.' }
    assert.equal("\n# HELP a_seconds_total One \"a\"\\\\\\ntwo."
      .. "\n# TYPE a_seconds_total counter", text.head(family, "plain"))
    assert.equal("\n# HELP a_seconds One \\\"a\\\"\\\\\\ntwo."
      .. "\n# TYPE a_seconds counter\n# UNIT a_seconds seconds",
      text.head(family, "openmetrics"))
  end)

  it("writes numbers so that they are read as the same", function()
    for _, value in ipairs({ 0, 1, -7, math.maxinteger, 0.1, 1 / 3, 1e-06,
      1.6e-05, 65.536, 1e300, 0.0, 2.5 }) do
      assert.equal(value, tonumber(text.number(value)))
    end
    assert.equal("0.1", text.number(0.1))
    assert.equal("1e-06", text.number(1e-06))
    assert.equal("+Inf", text.number(math.huge))
    assert.equal("-Inf", text.number(-math.huge))
    assert.equal("NaN", text.number(0 / 0))
  end)
end)
