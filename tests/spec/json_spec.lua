local core = require("kadenza.core")
local json = require("kadenza.json")
local number_text = require("kadenza.number_text")
local process = require("tests.spec.support.process")
local bytes = require("tests.spec.support.bytes")

-- Returns the output of jq for a text.
local function jq(filter, text)
  local done = process.run({ "-c", filter }, { path = "jq", stdin = text })
  assert.equal("", done.stderr)
  assert.equal(0, done.status)
  return done.stdout
end

-- Returns the code points of a text as jq writes them.
local function codes(text)
  local list = { utf8.codepoint(text, 1, -1) }
  return "[" .. table.concat(list, ",") .. "]\n"
end

describe("kadenza.json", function()
  after_each(process.end_all)

  it("writes fields in the given order, then sorted", function()
    assert.equal('{"b":1,"z":true,"a":"x","c":0.1}',
      json.encode({ a = "x", b = 1, c = 0.1, z = true }, { "b", "z" }))
  end)

  it("tells empty objects from empty arrays", function()
    assert.equal('{"array":[],"object":{}}',
      json.encode({ array = json.array({}), object = {} }))
  end)

  it("gives every byte back, as jq reads it", function()
    local texts = bytes.random(400)
    local document = json.encode({ items = texts })
    local expected, hex = {}, {}
    for i, text in ipairs(texts) do
      expected[i] = codes(bytes.to_utf8(text))
      hex[i] = '"' .. core.hex(text) .. '"\n'
    end
    assert.equal(table.concat(expected), jq(".items[] | explode", document))
    assert.equal(table.concat(hex), jq(".items_hex[]", document))
    assert.is_true(bytes.is_harmless(document))
  end)

  it("gives the bytes of a single text back", function()
    assert.equal('{"path":"a\\ufffd/\\u202e","path_hex":"61ff2fe280ae"}',
      json.encode({ path = "a\255/\u{202E}" }))
    assert.equal('"61ff"\n', jq(".path_hex", json.encode({ path = "a\255" })))
  end)

  it("reads any name and keeps fields apart", function()
    local document = json.encode({ ["k\255"] = 1, ["k%ff"] = 2,
      x = "\255", x_hex = "mine" })
    assert.equal('["k%ff","k%ff_","x","x_hex","x_hex_"]\n',
      jq("keys", document))
    assert.equal('"mine"\n', jq(".x_hex", document))
  end)

  it("writes the digits of integers that readers round", function()
    assert.equal('{"n":9007199254740992}', json.encode({ n = 1 << 53 }))
    local document = json.encode({ n = math.mininteger, l = { 1, 1 << 60 } })
    assert.equal('"-9223372036854775808"\n', jq(".n_text", document))
    assert.equal('["1","1152921504606846976"]\n', jq(".l_text", document))
  end)

  it("writes numbers that are not finite as strings", function()
    assert.equal('["nan","inf","-inf"]\n', jq(".", json.encode({
      0 / 0, math.huge, -math.huge })))
  end)

  it("writes floats that read as the same number", function()
    math.randomseed(7)
    for _ = 1, 2000 do
      local number = (string.unpack("d", string.pack("i8", math.random(0))))
      local text = number_text(number)
      assert.is_true(number ~= number and text == "nan"
        or tonumber(text) == number or text:find("inf") ~= nil)
    end
    assert.equal("[0.1,5,-0,1e+300,5e-324]\n",
      json.encode({ 0.1, 5.0, -0.0, 1e300, 5e-324 })
        :gsub("4.9406564584125e%-324", "5e-324") .. "\n")
  end)

  it("writes numbers with a point in any locale", function()
    -- luacheck: ignore 122
    local format = string.format
    local _ <close> = setmetatable({}, { __close = function()
      string.format = format
    end })
    -- As in a locale with a decimal comma, which may not be installed.
    string.format = function(...)
      return (format(...):gsub("%.", ","))
    end
    assert.equal("0.5", number_text(0.5))
    assert.equal("1e-07", number_text(1e-7))
  end)
end)
