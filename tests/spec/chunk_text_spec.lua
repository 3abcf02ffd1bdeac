local chunk_text = require("kadenza.chunk_text")

describe("kadenza.chunk_text", function()
  it("leaves out a byte order mark and a first line with #", function()
    for bytes, text in pairs({
      ["return 1"] = "return 1",
      ["\u{FEFF}return 1"] = "return 1",
      ["#!/usr/bin/lua\nreturn 1"] = "\nreturn 1",
      ["\u{FEFF}#!/usr/bin/lua\r\nreturn 1"] = "\nreturn 1",
      ["# no newline"] = "",
      ["\u{FEFF}"] = "",
      [""] = "",
      ["return 1\n#x"] = "return 1\n#x",
      ["\u{FEFF}\u{FEFF}return 1"] = "\u{FEFF}return 1",
    }) do
      assert.equal(text, chunk_text(bytes))
    end
  end)
end)
