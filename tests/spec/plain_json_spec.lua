local dkjson = require("dkjson")

local bytes = require("tests.spec.support.bytes")
local json = require("kadenza.plain_json")
local support = require("tests.spec.support")

-- Returns the problem of a value.
local function problem(value)
  local fine, message = pcall(json.encode, value, "answer")
  assert.is_false(fine)
  return message
end

local function decode(text)
  local value, message, code = json.decode(text)
  assert.is_nil(value)
  assert.equal("KAD_EMALFORMED", code)
  return message
end

describe("kadenza.plain_json", function()
  it("writes plain values, the names in order", function()
    assert.equal('{"a":[1,2.5,"x"],"b":{"c":true,"d":false}}',
      json.encode({ b = { d = false, c = true }, a = { 1, 2.5, "x" } }))
    assert.equal('"x"', json.encode("x"))
    assert.equal("null", json.encode(nil))
    assert.equal("-9223372036854775808", json.encode(math.mininteger))
  end)

  it("tells an empty array from an empty object", function()
    assert.equal('{"a":[],"b":{}}',
      json.encode({ a = json.array({}), b = {} }))
  end)

  it("writes null inside of tables", function()
    assert.equal('{"a":null,"b":[null,1]}',
      json.encode({ a = json.null, b = { json.null, 1 } }))
  end)

  it("names the place of what JSON does not have", function()
    local loop = {}
    loop.again = loop
    for value, text in pairs({
      [{ a = { print } }] = "answer.a[1] is a function",
      [{ a = 0 / 0 }] = "answer.a is ",
      [{ a = math.huge }] = "answer.a is inf",
      [{ a = "\255" }] = "answer.a has bytes that are not UTF-8",
      [{ ["\255"] = 1 }] = "answer has bytes that are not UTF-8",
      [{ 1, a = 2 }] = "answer is neither a list nor an object",
      [{ [2] = 2 }] = "answer has a name that is a number",
      [{ [true] = 2 }] = "answer has a name that is a boolean",
      [loop] = "is nested too deep, or contains itself",
      [setmetatable({}, { __index = print })] = "answer has a metatable",
    }) do
      assert.matches(text, problem(value), 1, true)
    end
  end)

  it("blames its caller", function()
    support.assert_blames_caller("value.a is a function", function()
      json.encode({ a = print })
    end)
    support.assert_blames_caller("a list is needed, not nil", function()
      json.array(nil)
    end)
    support.assert_blames_caller("a text is needed, not nil", function()
      json.decode(nil)
    end)
  end)

  it("writes what another reader reads, for any text in UTF-8", function()
    for _, text in ipairs(bytes.random(300)) do
      if utf8.len(text) then
        assert.equal(text, dkjson.decode(json.encode({ text }))[1])
        assert.equal(text, json.decode(json.encode({ [text] = text }))[text])
      end
    end
  end)

  it("reads JSON", function()
    local value = json.decode(' {"a":[1,2.5,null,"\\u00e9\\n"],"b":{}} ')
    assert.same({ 1, 2.5, json.null, "é\n" }, value.a)
    assert.equal("integer", math.type(value.a[1]))
    assert.same({}, value.b)
    local null, message = json.decode("null")
    assert.is_nil(null)
    assert.is_nil(message)
    assert.is_false(json.decode("false"))
  end)

  it("says what is wrong with a text", function()
    for text, wanted in pairs({
      [""] = "the end", ["[1"] = "unterminated array", ["{"] = "unterminated",
      ['"a'] = "unterminated string", ["[1] 2"] = "something follows",
      ["nil"] = "no valid JSON value", ['"\255"'] = "not UTF-8",
    }) do
      assert.matches(wanted, decode(text), 1, true)
    end
  end)

  it("reads no text that is nested too deep", function()
    assert.equal("it is nested too deep", decode(("["):rep(1e5)))
    assert.equal("it is nested too deep", decode(('{"a":'):rep(33)))
    local deep = ("["):rep(32) .. ("]"):rep(32)
    assert.is_table(json.decode(deep))
    local text = ("["):rep(100) .. '\\"' .. ("]"):rep(100)
    assert.equal(text, json.decode(json.encode(text)))
  end)
end)
