local display = require("kadenza.policy.display")

-- Returns values as a console shows them.
local function show(...)
  local shown = display.new()
  shown:add_values(...)
  return shown:text()
end

describe("kadenza.policy.display", function()
  it("shows values as Lua would write them", function()
    for text, value in pairs({
      ["1"] = 1, ["0.5"] = 0.5, ["nan"] = 0 / 0, ["true"] = true,
      ['"a\\"b\\x0ac"'] = 'a"b\nc', ['"\\xff"'] = "\255",
      ['"\\u{202e}"'] = "\u{202E}", ["{}"] = {},
      ["{ 1, 2, { 3 } }"] = { 1, 2, { 3 } },
      ['{ 1, a = "b", ["c d"] = 2, ["end"] = 3 }'] =
        { 1, a = "b", ["c d"] = 2, ["end"] = 3 },
      ["{ [true] = 1 }"] = { [true] = 1 },
      ["{ { { { { … } } } } }"] = { { { { { {} } } } } },
    }) do
      assert.equal(text, show(value))
    end
    assert.equal("1\tnil\t2", show(1, nil, 2))
    assert.equal("nil", show(nil))
    assert.equal("", show())
  end)

  it("shows functions by their place, and others without address", function()
    assert.matches("^function %(.*display_spec.lua:%d+%)$", show(show))
    assert.equal("function", show(print))
    assert.equal("thread", show(coroutine.create(print)))
    assert.equal("file", (show(io.stdout):match("^file")))
  end)

  it("reads tables without metamethods", function()
    local meta = { __index = error, __pairs = error, __len = error,
      __tostring = error, __name = "x" }
    assert.equal("{ 1, a = 2 }", show(setmetatable({ 1, a = 2 }, meta)))
    assert.equal("table", show(setmetatable({}, meta)))
    assert.equal("an object", show(setmetatable({}, { __tostring = function()
      return "an object"
    end })))
  end)

  it("shows a table that contains itself", function()
    local loop = { name = "a" }
    loop.again = { loop }
    assert.equal('{ again = { { contains itself } }, name = "a" }', show(loop))
    local part = { 1 }
    assert.equal("{ { 1 }, { 1 } }", show({ part, part }))
  end)

  it("keeps its bounds", function()
    local list = {}
    for i = 1, 1000 do
      list[i] = i
    end
    assert.matches(", 100, … }$", show(list))
    local map = {}
    for i = 1, 5000 do
      map["k" .. i] = i
    end
    assert.matches("… }$", show(map))
    assert.matches('…" %(100000 bytes%)$', show(("x"):rep(100000)))
    local wide = { list, list, list, list, list, list, list, list, list }
    for i = 10, 100 do
      wide[i] = wide
      wide[i] = { wide[1], wide[2], list, list, list, list, list, list }
    end
    assert.is_true(#show(wide) < 66000)
    assert.matches("(the rest is not shown)", show(wide), 1, true)
  end)

  it("adds lines as print does", function()
    local shown = display.new()
    shown:add_line("a", 1, nil, "\27[0m")
    shown:add_line()
    shown:add_text("b")
    assert.equal("a\t1\tnil\t\\x1b[0m\n\nb", shown:text())
    assert.equal(2000, #display.message(("x"):rep(5000)))
  end)
end)
