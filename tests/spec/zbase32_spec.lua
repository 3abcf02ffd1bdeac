local kad = require("kadenza")
local support = require("tests.spec.support")
local zbase32 = require("kadenza.zbase32")

-- Of the specification: bits, filled up to bytes, and their texts.
local VECTORS <const> = {
  [""] = "",
  ["\0"] = "yy",
  ["\xF0\xBF\xC7"] = "6n9hq",
  ["\xD4\x7A\x04"] = "4t7ye",
  ["\xFF"] = "9h",
  ["\xB5"] = "sw",
}

describe("kadenza.zbase32", function()
  it("writes and reads the texts of the specification", function()
    for bytes, text in pairs(VECTORS) do
      assert.equal(text, zbase32.encode(bytes))
      assert.equal(bytes, zbase32.decode(text))
    end
  end)

  it("reads what it has written", support.timed(function()
    for size = 0, 70 do
      local bytes = kad.random(size)
      local text = zbase32.encode(bytes)
      assert.equal((size * 8 + 4) // 5, #text)
      assert.equal(bytes, zbase32.decode(text))
    end
  end))

  it("writes 52 characters for a key", function()
    assert.equal(52, #zbase32.encode(("\255"):rep(32)))
    assert.equal(("y"):rep(52), zbase32.encode(("\0"):rep(32)))
  end)

  it("reads no other text as these bytes", function()
    for _, text in ipairs({ "YY", "yb", "y", "yyy", "l0", "v2", " yy", "yy\n",
      "y-", "\255\255", "6n9hqy" }) do
      local bytes, message = zbase32.decode(text)
      assert.is_nil(bytes, text)
      assert.is_string(message)
    end
  end)

  it("blames the caller for what is not a text", function()
    support.assert_blames_caller("text must be a string", function()
      zbase32.decode(nil)
    end)
    support.assert_blames_caller("bytes must be a string", function()
      zbase32.encode(5)
    end)
  end)
end)
