local line_reader = require("kadenza.line_reader")

-- A file whose pieces are read one by one.
local function file_of(pieces)
  local at = 0
  return { read = function()
    at = at + 1
    return pieces[at]
  end }
end

local function read(pieces, max)
  local lines = {}
  for line in line_reader.new(file_of(pieces), max):lines() do
    lines[#lines + 1] = line
  end
  return lines
end

describe("a line reader", function()
  it("returns lines, also across pieces", function()
    assert.same({ "one", "two", "", "three" },
      read({ "one\ntw", "o\n\nthr", "ee\n" }, 10))
    assert.same({ "one", "two" }, read({ "one\ntwo" }, 10))
    assert.same({}, read({}, 10))
    assert.same({ "" }, read({ "\n" }, 10))
  end)

  it("returns false for lines that are too long", function()
    assert.same({ "ab", false, "cd" }, read({ "ab\n", "12345678", "9012",
      "34\ncd\n" }, 5))
    assert.same({ "12345", false, "x" }, read({ "12345\n123456\nx" }, 5))
    assert.same({ false }, read({ "123456" }, 5))
    assert.same({ false, "x" }, read({ "123456", "\n", "x" }, 5))
  end)

  it("gives the same lines however the file is cut", function()
    local text = "a\n\nlonger line\nb\nthe longest line of all\nend"
    local whole = read({ text }, 12)
    for size = 1, #text do
      local pieces = {}
      for at = 1, #text, size do
        pieces[#pieces + 1] = text:sub(at, at + size - 1)
      end
      assert.same(whole, read(pieces, 12))
    end
  end)

  it("raises what the file says", function()
    local reader = line_reader.new({ read = function()
      return nil, "Is a directory"
    end }, 10)
    assert.has_error(reader:lines(), "Is a directory")
  end)
end)
