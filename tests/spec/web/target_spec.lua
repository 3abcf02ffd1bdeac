local target = require("kadenza.web.target")

describe("kadenza.web.target", function()
  it("splits a path from its query", function()
    assert.same({ "/a/b", "c=d" }, { target.split("/a/b?c=d") })
    assert.same({ "/a" }, { target.split("/a?") })
    assert.same({ "/a", "b?c" }, { target.split("/a?b?c#d") })
    assert.same({ "*" }, { target.split("*") })
  end)

  it("takes the path of a target for a proxy", function()
    assert.same({ "/a", "b" }, { target.split("http://evil.example/a?b") })
    assert.same({ "/" }, { target.split("https://h:1") })
  end)

  it("refuses what is no path", function()
    for _, text in ipairs({ "", "a", "?a", "ftp://h/a", "\0/" }) do
      assert.is_nil(target.split(text))
    end
  end)

  it("decodes every byte, and refuses other signs of percent", function()
    for byte = 0, 255 do
      local expected = string.char(byte)
      assert.equal(expected, target.decode(("%%%02x"):format(byte)))
      assert.equal(expected, target.decode(("%%%02X"):format(byte)))
    end
    for _, text in ipairs({ "%", "%a", "a%", "%zz", "%%41", "%4%31" }) do
      assert.is_nil(target.decode(text))
    end
    assert.equal("%41", target.decode("%2541"))
  end)

  it("reads names and values of a query", function()
    assert.same({ a = "1", watch = "", ["b c"] = "d=e" },
      target.query("a=1&watch&b+c=d%3De&&a=2"))
    assert.same({}, target.query(nil))
    assert.is_nil(target.query("a=%g1"))
    assert.is_nil(target.query(("a&"):rep(65)))
  end)

  it("never raises, and gives back what was encoded", function()
    math.randomseed(20)
    local function noise(length)
      local bytes = {}
      for i = 1, length do
        bytes[i] = string.char(math.random(0, 255))
      end
      return table.concat(bytes)
    end
    for _ = 1, 2000 do
      local bytes = noise(math.random(0, 24))
      local path, query = target.split(bytes)
      assert.is_true(path == nil or path == "*" or path:sub(1, 1) == "/")
      target.query(query)
      target.decode(bytes)
      local encoded = bytes:gsub(".", function(byte)
        return ("%%%02X"):format(byte:byte())
      end)
      assert.equal(bytes, target.decode(encoded))
      assert.same({ [bytes] = bytes },
        target.query(encoded .. "=" .. encoded .. "&" .. encoded))
    end
  end)
end)
