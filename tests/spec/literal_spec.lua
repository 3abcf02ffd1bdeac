local literal = require("kadenza.literal")

-- Parses a valid text; returns its table.
local function parsed(text)
  local value, lines = literal.parse(text, "x.lua")
  assert(value, lines)
  return value
end

local function problem(text)
  local value, message = literal.parse(text, "x.lua")
  assert.is_nil(value)
  return message
end

describe("kadenza.literal", function()
  it("reads every kind of value", function()
    assert.same({
      text = "a", list = { 1, 2, 3 }, on = true, off = false, deep = { { {} } },
    }, parsed([[{ text = "a", list = { 1, 2, 3, }; on = true, off = false,
      none = nil, ["deep"] = { { {} } } }]]))
  end)

  it("reads strings as Lua does", function()
    for _, text in ipairs({
      [["plain"]], [['it is "so"']], [["\a\b\f\n\r\t\v\\\"\'"]],
      [["\x41\065\9"]], [["\u{48}\u{20AC}\u{7FFFFFFF}"]],
      '"a\\\nb"', '"a\\\r\nb"', '"a\\z \n  b"',
      "[[long\none]]", "[==[\nwith ]] in it]==]", "[[]]", "''", '"\\0001"',
    }) do
      assert.equal(load("return " .. text)(), parsed("{" .. text .. "}")[1])
    end
  end)

  it("reads numbers as Lua does", function()
    for _, text in ipairs({
      "0", "-5", "- 5", "9223372036854775807", "9223372036854775808", "0x1F",
      "1e3", "1E-3", "1.5e+3", ".5", "5.", "0x.8p1", "0xA.8p-1", "0x1e+1",
    }) do
      local expected = load("return " .. text)()
      if text == "0x1e+1" then
        assert.is_truthy(problem("{" .. text .. "}")) -- an expression
      else
        local read = parsed("{" .. text .. "}")[1]
        assert.equal(expected, read)
        assert.equal(math.type(expected), math.type(read))
      end
    end
  end)

  it("skips comments of both kinds", function()
    assert.same({ 1, 2 },
      parsed("-- a\n{ 1, --[[ b\n ]] 2 --[==[ ]] ]==] } --"))
  end)

  it("accepts return and a semicolon around the table", function()
    assert.same({ 1 }, parsed("return { 1 };"))
    assert.same({ 1 }, parsed("return{1}"))
    assert.is_truthy(problem("returned { 1 }"))
  end)

  it("returns the line of every field", function()
    local value, lines =
      literal.parse("{\n a = 1,\n b = {\n\n c = 2 },\n 3 }", "x")
    assert.same({ a = 2, b = 3, [1] = 6 }, lines[value])
    assert.same({ c = 5 }, lines[value.b])
  end)

  it("executes nothing", function()
    for text, message in pairs({
      ["{ os.exit() }"] = "x.lua:1: a value is expected, not 'os'",
      ["{ k = print('x') }"] = "x.lua:1: a value is expected, not 'print'",
      ["{ function() end }"] = "x.lua:1: a value is expected, not 'function'",
      ["{ 1 + 1 }"] = "x.lua:1: ',' or '}' is expected, not '+'",
      ["{ 'a' .. 'b' }"] = "x.lua:1: ',' or '}' is expected, not '.'",
      ["{ #'a' }"] = "x.lua:1: a value is expected, not '#'",
      ["os.exit()"] = "x.lua:1: a table in braces is expected, not 'os'",
      ["{} os.exit()"] = "x.lua:1: the end of the file is expected, not 'os'",
    }) do
      assert.equal(message, problem(text))
    end
  end)

  it("names the line of a mistake", function()
    assert.equal("x.lua:3: ',' or '}' is expected, not 'b'",
      problem("{\n  a = 1\n  b = 2\n}"))
    assert.equal("x.lua:2: 'a' is set twice, first in line 1",
      problem("{ a = 1,\n a = 2 }"))
    assert.equal("x.lua:2: a string is not closed", problem("{\n'a\n'}"))
    assert.equal("x.lua:1: a value is expected, not the end of the file",
      problem("{ a = "))
    assert.equal("x.lua:1: '1e999' is not a finite number",
      problem("{ 1e999 }"))
    assert.equal("x.lua:1: this escape is not one of Lua's",
      problem([[{"\q"}]]))
    assert.equal("x.lua:1: '[==[' is not closed", problem("{ [==[ ]=] }"))
  end)

  it("shows no control characters of a mistake", function()
    assert.is_nil(problem("{ \27[31m }"):find("%c"))
  end)

  it("bounds depth", function()
    local function nested(depth)
      return ("{"):rep(depth) .. ("}"):rep(depth)
    end
    assert.is_table(parsed(nested(literal.MAX_DEPTH)))
    assert.equal("x.lua:1: more than 16 tables inside of one another",
      problem(nested(literal.MAX_DEPTH + 1)))
    assert.is_truthy(problem(("{"):rep(100000)))
  end)

  it("bounds size", function()
    local blank = (" "):rep(literal.MAX_SIZE - 2)
    assert.same({}, parsed("{" .. blank .. "}"))
    assert.equal("x.lua: larger than 1048576 bytes",
      problem("{" .. blank .. " }"))
  end)

  it("reads what it writes", function()
    for _, value in ipairs({
      "", "plain", "\0\1\127\255", "\"\\\n\r\t", "é€", 0, -1, math.maxinteger,
      0.1, 1e300, true, false,
    }) do
      assert.equal(value, parsed("{" .. literal.format(value) .. "}")[1])
    end
    assert.same({ { "a", "b" } },
      parsed("{" .. literal.format({ "a", "b" }) .. "}"))
  end)

  it("returns why a file cannot be read", function()
    local value, message = literal.read("/nonexistent/x.lua")
    assert.is_nil(value)
    assert.equal("/nonexistent/x.lua: open: No such file or directory", message)
    assert.is_nil(literal.read("/"))
  end)
end)

describe("kadenza.literal, with malicious texts", function()
  local SAMPLE <const> = [==[
-- a node
return {
  listen = { "0.0.0.0:6881", '[::]:6881' }, ["k"] = 0x14, --[[ wide ]]
  limits = { queries_per_s = 1e3; bytes_per_s = -5 }, id = [=[
ab]]c]=], escapes = "\x41\u{20AC}\065\z
    \n\"", json = true, none = nil, { { 1, 2. } },
};
]==]

  it("reads the text before it is changed", function()
    assert.is_table(parsed(SAMPLE))
  end)

  it("ends with an error or a value when cut anywhere", function()
    for cut = 0, #SAMPLE do
      local value, rest = literal.parse(SAMPLE:sub(1, cut), "x")
      assert.is_truthy(value or type(rest) == "string")
    end
  end)

  it("ends so if any byte is changed", function()
    for place = 1, #SAMPLE do
      for byte in ("\0\n\"{}[\\\255"):gmatch(".") do
        local text = SAMPLE:sub(1, place - 1) .. byte .. SAMPLE:sub(place + 1)
        local value, rest = literal.parse(text, "x")
        assert.is_truthy(value or type(rest) == "string")
      end
    end
  end)

  it("reads only what Lua would", function()
    local tokens = {
      "{", "}", "[", "]", "=", ",", ";", "a", "1", "-", "'x'", "[[y]]", "nil",
      "true", "--\n", "--[[", "]]", "\\", "end", ".", "..", "(", "\n", " ",
    }
    local random = 1
    for _ = 1, 3000 do
      local parts = {}
      for i = 1, 12 do
        random = (random * 1103515245 + 12345) % 2147483648
        parts[i] = tokens[random // 65536 % #tokens + 1]
      end
      local text = "{" .. table.concat(parts) .. "}"
      if literal.parse(text, "x") then
        assert(load("return " .. text), text)
      end
    end
  end)

  it("takes time in proportion to the size", function()
    for _, part in ipairs({
      "{},", "[=", "[[", "--[[", "--\n", "\\", "'", "-", "1,", "\"\\\n", "a=",
      "[1]=1,", "[==[", "\n",
    }) do
      local text = "{" .. part:rep((literal.MAX_SIZE - 1) // #part)
      local start = os.clock()
      literal.parse(text, "x")
      assert.is_true(os.clock() - start < 10, part)
    end
  end)
end)
