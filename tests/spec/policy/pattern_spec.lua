-- Compares the matcher with Lua's string library on the same subjects and
-- patterns.

local pattern = require("kadenza.policy.pattern")

local ATOMS <const> = { "a", "b", ".", "%a", "%d", "[ab]", "[^a]", "[a-c%d]",
  "%.", "(a)", "(.-)", "()", "*", "+", "-", "?", "$", "^", "%1", "%b()",
  "%f[%w]", "%f[^%w]", "x", "[%]]", "[]a]", "[^]]", "%s", ":", "(%w+)" }
local CHARS <const> = { "a", "b", "c", "1", "(", ")", ".", " ", "x", "]", "\0",
  "$", ":" }

-- A generator of its own, so every run tests the same cases.
local state = 1

local function random(n)
  state = (state * 6364136223846793005 + 1442695040888963407)
  return (state >> 33) % n + 1
end

local function text_of(list, max)
  local parts = {}
  for i = 1, random(max + 1) - 1 do
    parts[i] = list[random(#list)]
  end
  return table.concat(parts)
end

local function compare(name, ...)
  local expected = table.pack(pcall(string[name], ...))
  if expected[1] then -- what is malformed may be found out at other moments
    assert.same(expected, table.pack(pcall(pattern[name], ...)),
      ("%s(%q, %q)"):format(name, ...))
  end
end

local function collect(gmatch, subject, text)
  local found = {}
  for first, second in gmatch(subject, text) do
    found[#found + 1] = tostring(first) .. "|" .. tostring(second)
  end
  return found
end

describe("kadenza.policy.pattern", function()
  it("finds, matches and replaces like string", function()
    for _ = 1, 4000 do
      local subject, text = text_of(CHARS, 10), text_of(ATOMS, 6)
      compare("find", subject, text, random(25) - 13)
      compare("match", subject, text)
      compare("gsub", subject, text, "<%0>")
      compare("gsub", subject, text, "%1", 2)
      local fine, expected = pcall(collect, string.gmatch, subject, text)
      if fine then
        assert.same(expected, collect(pattern.gmatch, subject, text))
      end
    end
  end)

  it("replaces with tables and functions", function()
    compare("gsub", "a=1 b=2 c=3", "(%w)=(%d)", { a = "x", b = false })
    compare("gsub", "a=1 b=2 c=3", "(%w)=(%d)", function(name, value)
      return name ~= "b" and value .. name or nil
    end)
    compare("gsub", "abc", "", "-")
    compare("gsub", "abc", "^%w", "%%")
  end)

  it("raises the same errors as string", function()
    for _, text in ipairs({ "[a", "%", "%f", "(a", "%2", "[%", "%b" }) do
      assert.has_error(function()
        pattern.match("aaa", text)
      end)
    end
    assert.has_error(function()
      pattern.gsub("a", "a", "%")
    end)
    assert.has_error(function()
      pattern.gsub("a", "a", function()
        return {}
      end)
    end)
  end)
end)
