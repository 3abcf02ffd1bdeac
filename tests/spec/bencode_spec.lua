local bencode = require("kadenza").bencode

local function nested(depth)
  local value = {}
  for _ = 2, depth do
    value = { value }
  end
  return value
end

describe("kadenza.bencode", function()
  -- BEP 3 "bencoding"
  local values = {
    { "i0e", 0 },
    { "i-42e", -42 },
    { "i9223372036854775807e", math.maxinteger },
    { "i-9223372036854775808e", math.mininteger },
    { "0:", "" },
    { "4:spam", "spam" },
    { "3:\0\255\n", "\0\255\n" },
    { "le", {} },
    { "l4:spami1ee", { "spam", 1 } },
    { "d3:cow3:moo4:spam4:eggse", { spam = "eggs", cow = "moo" } },
    { "d1:ad2:idi1eee", { a = { id = 1 } } },
    { "lld1:aleeee", { { { a = {} } } } },
  }

  for _, case in ipairs(values) do
    local encoded, value = case[1], case[2]
    it("encodes " .. encoded:gsub("%c", "?"), function()
      assert.equal(encoded, bencode.encode(value))
    end)

    it("decodes " .. encoded:gsub("%c", "?"), function()
      assert.same(value, bencode.decode(encoded))
    end)
  end

  it("sorts keys by their bytes", function()
    assert.equal("d0:i1e1:Ai1e1:ai1e2:aai1e1:bi1e2:\u{e9}i1ee",
      bencode.encode({ a = 1, b = 1, aa = 1, A = 1, [""] = 1, ["\u{e9}"] = 1 }))
  end)

  it("encodes large values", function()
    local list = {}
    for i = 1, 2000 do
      list[i] = ("x"):rep(100)
    end

    assert.same(list, bencode.decode(bencode.encode(list)))
  end)

  it("encodes tables to a depth of 16", function()
    assert.same(nested(16), bencode.decode(bencode.encode(nested(16))))
    assert.error_matches(function()
      bencode.encode(nested(17))
    end, "nested too deep")
  end)

  describe("names the place of", function()
    local circle = {}
    circle.own = circle
    local cases = {
      ["value.list[3]: bencode has no fractions"] = { list = { 1, 2, 0.5 } },
      ["value.a: bencode has no fractions"] = { a = 1.0 },
      ["value.a.b: bencode has no booleans"] = { a = { b = true } },
      ["value[1]: bencode cannot carry a function"] = { print },
      ["value.a: a table has either"] = { a = { 1, b = 2 } },
      ["value.a: a list has the keys 1 to n"] = { a = { 1, nil, 3, [7] = 1 } },
      ["value: a list has the keys 1 to n"] = { [true] = 1 },
      ["value.own.own.own"] = circle,
      ["value.a\\x00b\\x1b[1m: bencode has no"] = { ["a\0b\27[1m"] = true },
      ["value.\\x00[1]: bencode has no"] = { ["\0"] = { true } },
      ["value.gr\u{f6}n: bencode has no"] = { ["gr\u{f6}n"] = true },
      ["value." .. ("k"):rep(60) .. "...: bencode has no"] = {
        [("k"):rep(1000)] = true },
    }
    for message, value in pairs(cases) do
      it("a value it cannot encode: " .. message, function()
        local passed, err = pcall(bencode.encode, value)

        assert.is_false(passed)
        assert.is_truthy(err:find(message, 1, true), err)
      end)
    end
  end)

  it("encodes the rest of a table that the collector empties", function()
    local weak = setmetatable({}, { __mode = "v" })
    for i = 1, 2000 do
      weak["key " .. i] = { ("long enough to be freed "):rep(4) }
    end
    weak.kept = "kept"

    local decoded = bencode.decode(bencode.encode(weak))

    assert.equal("kept", decoded.kept)
  end)

  it("needs a value", function()
    assert.error_matches(function()
      bencode.encode()
    end, "bad argument #1")
  end)

  local malformed = {
    "", "i", "ie", "i-0e", "i01e", "i1", "i9223372036854775808e", "1", "2:a",
    "-1:a", "01:a", "l", "d", "di1ei1ee", "d1:ae", "i1ei1e", "lx",
    "4294967297:",
    ("l"):rep(17) .. ("e"):rep(17),
  }
  for _, bytes in ipairs(malformed) do
    it("does not decode " .. bytes, function()
      local value, message, code = bencode.decode(bytes)

      assert.is_nil(value)
      assert.equal("not one bencoded value", message)
      assert.equal("KAD_EMALFORMED", code)
    end)
  end
end)
