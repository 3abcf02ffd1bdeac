local bytes = require("tests.spec.support.bytes")
local shown = require("kadenza.shown")

describe("kadenza.shown", function()
  it("shows plain text as it is", function()
    assert.equal("two words, é, 漢字, 😀", shown.line("two words, é, 漢字, 😀"))
  end)

  it("escapes controls, directions, hidden characters and wrong bytes",
    function()
      assert.equal("a\\x1b[2J\\u{9b}\\u{202e}\\u{200b}\\u{e0001}\\x9b\\xff"
        .. "\\x0a",
        shown.line("a\27[2J\u{9B}\u{202E}\u{200B}\u{E0001}\155\255\n"))
      assert.equal("\\xed\\xa0\\x80\\xc0\\x80\\xf4\\x90\\x80\\x80",
        shown.line("\237\160\128\192\128\244\144\128\128"))
    end)

  it("keeps newlines and tabs of lines", function()
    assert.equal("a\n\tb\\x0d", shown.lines("a\n\tb\r"))
  end)

  it("leaves nothing in any bytes that another reader calls unsafe", function()
    local lines = {}
    for i, text in ipairs(bytes.random(2000)) do
      lines[i] = shown.line(text)
    end
    assert.is_true(bytes.is_harmless(table.concat(lines, "\n")))
  end)

  it("shows every character that is unsafe for another reader", function()
    local characters = {}
    for code = 0, 0x10FFFF do
      if code < 0xD800 or code > 0xDFFF then
        characters[#characters + 1] = utf8.char(code)
      end
    end
    assert.is_true(bytes.is_harmless(shown.line(table.concat(characters))))
  end)

  it("cuts a text between characters", function()
    assert.equal("aé", shown.start("aéé", 4))
    assert.equal("aéé", shown.start("aéé", 5))
    assert.equal("", shown.start("é", 1))
    assert.equal("\255\255", shown.start("\255\255\255", 2))
  end)
end)
