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

-- Returns the results of a call; an error without its place.
local function results_of(fn, ...)
  local results = table.pack(pcall(fn, ...))
  if not results[1] then
    results[2] = results[2]:gsub("^[^ ]*:%d+: ", ""):gsub(" in pattern$", "")
      :gsub("'string%.", "'")
  end
  return results
end

local function compare(name, ...)
  assert.same(results_of(string[name], ...), results_of(pattern[name], ...),
    ("%s(%s, %s)"):format(name, tostring((...)), tostring((select(2, ...)))))
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
    for _ = 1, 1500 do
      local subject, text = text_of(CHARS, 10), text_of(ATOMS, 6)
      compare("find", subject, text, random(25) - 13)
      compare("match", subject, text)
      compare("gsub", subject, text, "<%0>")
      compare("gsub", subject, text, "%1", 2)
      assert.same(results_of(collect, string.gmatch, subject, text),
        results_of(collect, pattern.gmatch, subject, text))
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

  it("takes numbers, and indexes of any kind, like string", function()
    for _, init in ipairs({ 0, 1, -1, 3, 9, -9, 2.0, "2", 1 << 62, -1 << 63 })
    do
      for _, name in ipairs({ "find", "match", "gmatch" }) do
        local fn = name == "gmatch" and function(library)
          return library.gmatch(12.5, "%d", init)()
        end or function(library)
          return library[name](12.5, "%d", init)
        end
        assert.same({ fn(string) }, { fn(pattern) })
      end
      compare("find", "a.b", ".", init, true)
    end
    compare("gsub", 12.5, 2, 3)
    compare("gsub", "aaa", "a", "b", 2.0)
    compare("gsub", "aaa", "a", "b", -1)
  end)

  it("raises the same errors for arguments of a wrong type", function()
    for _, name in ipairs({ "find", "match", "gmatch" }) do
      compare(name, {}, "a")
      compare(name, "a", {})
      compare(name, "a", "a", {})
      compare(name, "a", "a", 1.5)
    end
    compare("gsub", "a", "a", nil)
    compare("gsub", "a", "a", true)
    compare("gsub", "a", "a", "b", "c")
  end)

  it("matches a long subject in slices", function()
    local subject = ("a"):rep(12000) .. "b"
    for _, text in ipairs({ "a*b", "(a-)b", "a+()b$", "^.*b", "%w?%w*c" }) do
      compare("find", subject, text)
    end
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
