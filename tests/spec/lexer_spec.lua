local lexer = require("kadenza.lexer")

-- Returns the tokens of a text as "kind:text", with the values of strings.
local function tokens_of(text)
  local list = {}
  for i, token in ipairs(lexer.tokens(text)) do
    list[i] = token.kind .. ":" .. (token.value or token.text)
  end
  return list
end

describe("kadenza.lexer", function()
  it("splits a text into tokens", function()
    assert.same({ "keyword:local", "name:x", "symbol:=", "string:a\\\"b",
      "symbol:..", "name:y", "symbol:[", "number:0x1F", "symbol:]" },
      tokens_of([[local x = "a\"b" .. y[0x1F] ]]))
    assert.same({ "name:a", "symbol:<<", "number:1", "symbol:~=",
      "symbol:..." },
      tokens_of("a<<1~=..."))
  end)

  it("counts the lines of tokens over strings and comments", function()
    local lines = {}
    for i, token in ipairs(lexer.tokens("a --[[\n]] b\n'x\\\ny' c [[\n]] d"))
    do
      lines[i] = token.line
    end
    assert.same({ 1, 2, 3, 4, 4, 5 }, lines)
  end)

  it("skips blanks and comments of both kinds", function()
    for text, place in pairs({
      ["x"] = 1, ["  x"] = 3, ["--a\nx"] = 5, ["--[[a\n]]x"] = 9,
      ["--[=[ ]] ]=]x"] = 13, ["-- a"] = 5, [""] = 1, ["--[=x\ny"] = 7,
    }) do
      assert.equal(place, (lexer.skip(text, 1)))
    end
    local place, is_unclosed = lexer.skip(" --[[ a", 1)
    assert.same({ 4, true }, { place, is_unclosed })
  end)

  it("finds the end of a number, with its exponent", function()
    for text, last in pairs({
      ["1"] = 1, ["3.14)"] = 4, [".5,"] = 2, ["1e+3-2"] = 4, ["0x10-5"] = 4,
      ["0xA.8p-1+1"] = 8, ["0x1e+1"] = 4, ["12 "] = 2,
    }) do
      assert.equal(last, lexer.number_end(text, 1))
    end
    assert.is_nil(lexer.number_end("..", 1))
  end)

  it("finds the text in a long bracket", function()
    assert.same({ 5, 7, 11 }, { lexer.long_bracket("[==[a]]]==]", 1) })
    assert.same({ 3 }, { lexer.long_bracket("[[a]", 1) })
    assert.same({}, { lexer.long_bracket("[=a", 1) })
  end)
end)
