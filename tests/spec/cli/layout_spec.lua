local layout = require("kadenza.cli.layout")

describe("the layout of lines", function()
  it("breaks between words, with the indent of the line", function()
    assert.equal("aa bb\n  cc dd\n  eee", layout.wrap("aa bb cc dd eee", 7))
    assert.equal("  a b\n    c", layout.wrap("  a b c", 5))
    assert.equal("a\n\nb", layout.wrap("a\n\nb", 2))
    assert.equal("looooong\n  x", layout.wrap("looooong x", 4))
    assert.equal("     ", layout.wrap("     ", 4))
    assert.equal("a b c", layout.wrap("a b c", nil))
  end)

  it("counts wide and combining characters", function()
    assert.equal("漢字 漢字\n  漢字", layout.wrap("漢字 漢字 漢字", 9))
    assert.equal("e\u{301}e\u{301} e\u{301}", layout.wrap(
      "e\u{301}e\u{301} e\u{301}", 4))
    assert.same({ "漢字   1", "a\u{301}bc   22" },
      layout.align({ { "漢字", "1" }, { "a\u{301}bc", "22" } }))
  end)

  it("quotes a word that a shell would not read as one", function()
    for _, text in ipairs({ "plain", "/a/b-c_d.lua", "a b", "", "it's", "$x",
      "a;b", "~", "*", "#x", 'a"b', "a\\b", "é", "a\tb" }) do
      local pipe <close> =
        assert(io.popen("printf %s " .. layout.shell_word(text)))
      assert.equal(text, pipe:read("a"))
    end
    assert.equal("/a/b-c_d.lua", layout.shell_word("/a/b-c_d.lua"))
  end)

  it("continues a command as a shell reads it", function()
    assert.equal("  kadenza put k v\n",
      layout.command({ "kadenza", "put", "k", "v" }, 80))
    assert.equal("  kadenza \\\n    put k v\n",
      layout.command({ "kadenza", "put", "k", "v" }, 13))
  end)

  it("writes a table that does not fit as lines of its rows", function()
    local rows = { { "name", "calls", "us" }, { "a", "1", "22" },
      { "漢字", "333", "4" } }
    assert.equal("name  calls  us\na         1  22\n漢字    333   4\n",
      layout.table(rows, 15))
    assert.equal("a\n    calls 1,\n      us 22\n漢字\n    calls\n      333, us\n"
      .. "      4\n", layout.table(rows, 13))
  end)
end)
