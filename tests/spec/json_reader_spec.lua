local json = require("kadenza.json")
local json_reader = require("kadenza.json_reader")

-- Returns the value of a text without the metatables of dkjson.
local function plain(value)
  if type(value) ~= "table" or value == json_reader.NULL then
    return value
  end
  local copy = {}
  for name, item in pairs(value) do
    copy[name] = plain(item)
  end
  return copy
end

describe("kadenza.json_reader", function()
  it("reads every kind of value", function()
    for text, value in pairs({
      ['{"a":[1,-2.5,1e2,"x"],"b":{}}'] =
        { a = { 1, -2.5, 100.0, "x" }, b = {} },
      [" \t\r\n[ ] "] = {},
      ["[[],{},[{}]]"] = { {}, {}, { {} } },
      ['"\\u00e9\\ud83d\\ude00\\n\\/"'] = "é😀\n/",
      ["true"] = true,
      ["0"] = 0,
      ["-0.5E-1"] = -0.05,
    }) do
      assert.same(value, plain(json_reader.read(text)), text)
    end
    assert.is_false(json_reader.read("false"))
    assert.equal(json_reader.NULL, json_reader.read("null"))
    assert.equal(json_reader.NULL, json_reader.read("[null]")[1])
  end)

  it("refuses a long word that is nearly a number, in linear time", function()
    local digits = ("1"):rep(60000)
    for _, text in ipairs({ digits .. "x", digits .. ".", digits .. "e",
      digits .. "." .. digits .. "x", "1e" .. digits .. "-" }) do
      assert.is_nil((json_reader.read(text)))
    end
    assert.equal(0.5, json_reader.read("0.5e0"))
  end)

  it("keeps every digit of an integer", function()
    for _, value in ipairs({ math.maxinteger, math.mininteger, (1 << 53) + 1 })
    do
      assert.equal(value, json_reader.read(tostring(value)))
    end
  end)

  it("knows which numbers are integers", function()
    for text, integer in pairs({ ["60.0"] = 60, ["6e1"] = 60, ["-0"] = 0,
      ["9007199254740992.0"] = 1 << 53, ["9223372036854775807"] =
      math.maxinteger }) do
      assert.equal(integer, json_reader.integer(json_reader.read(text)))
    end
    for _, text in ipairs({ "1.5", '"1"', "-9223372036854775809",
      "9223372036854775808", "1e300", "true", "[]" }) do
      assert.is_nil(json_reader.integer(json_reader.read(text)), text)
    end
  end)

  it("reads what our writer writes", function()
    local document = { text = "a\0b\u{2028}\"\\", list = json.array({ 1, 2 }),
      number = 0.1 }
    assert.same(document, plain(json_reader.read(json.encode(document))))
  end)

  it("tells objects and arrays apart", function()
    local value = json_reader.read('{"a":[],"b":{}}')
    assert.is_true(json_reader.is_object(value))
    assert.is_true(json_reader.is_array(value.a))
    assert.is_false(json_reader.is_array(value.b))
    assert.is_true(json_reader.is_object(value.b))
    assert.is_false(json_reader.is_object(json_reader.NULL))
    assert.is_false(json_reader.is_array("[]"))
  end)

  it("refuses everything else, with the place", function()
    for _, text in ipairs({
      "", " ", "{", "[", "]", "[1 2]", "[1,]", "[,1]", "{1:2}", '{"a"}',
      '{"a":}', '{"a":1,}', '{"a" 1}', '["a":1]', "[1}", '{"a":1]', "1 2",
      "[1]x", "nul", "True", "NaN", "[NaN]", "Infinity", "-Infinity", "1e400",
      "-1e999", "01", "1.", ".5", "+1", "1e", "1e+", "--1", "0x10", "1.2.3",
      '"a', '"a\nb"', '"\\x41"', '"\\u12"', "'a'", "// c\n1", "/* c */ 1",
      '"\\ud800"', '["\\udc00"]', '{"\\ud800":1}', '"\255"', "\239\187\191{}",
      '"\0"', "\v1", '{"a":1 "b":2}',
    }) do
      local value, message = json_reader.read(text)
      assert.is_nil(value, text)
      assert.is_string(message, text)
    end
    assert.equal("no value of JSON at byte 5",
      select(2, json_reader.read("[1, NaN]")))
  end)

  it("refuses deep nesting without recursion", function()
    for _, open in ipairs({ "[", '{"a":' }) do
      local value, message = json_reader.read(open:rep(100000))
      assert.is_nil(value)
      assert.matches("nested more than 32 deep", message, 1, true)
    end
    assert.is_table(json_reader.read(("["):rep(32) .. ("]"):rep(32)))
  end)
end)
