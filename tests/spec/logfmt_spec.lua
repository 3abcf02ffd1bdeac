local core = require("kadenza.core")
local logfmt = require("kadenza.logfmt")
local process = require("tests.spec.support.process")
local bytes = require("tests.spec.support.bytes")
local json = require("kadenza.json")

local FOLDER <const> = os.getenv("TMPDIR") or "/tmp"

-- Reads lines of logfmt with lnav, which has a reader of its own; returns what
-- it has read as a text of JSON: a list of objects.
local function read(lines)
  local selects = {}
  for i, line in ipairs(lines) do
    selects[i] = ("SELECT %d AS i, logfmt2json('%s') AS j"):format(i,
      line:gsub("'", "''"))
  end
  local name = os.tmpname()
  local script <close> = assert(io.open(name, "wb"))
  script:write(";", table.concat(selects, " UNION ALL "), " ORDER BY i\n",
    ":write-json-to -\n")
  script:flush()
  local done = process.run({ "-n", "-f", name },
    { path = "lnav", env = { HOME = FOLDER, XDG_CONFIG_HOME = FOLDER,
      LD_PRELOAD = "" } }) -- the sanitizer of the specs is not for lnav
  os.remove(name)
  assert.equal("", done.stderr)
  return done.stdout
end

local function jq(filter, text)
  local done = process.run({ "-c", filter }, { path = "jq", stdin = text })
  assert.equal("", done.stderr)
  return done.stdout
end

describe("kadenza.logfmt", function()
  after_each(process.end_all)

  it("writes words, then fields sorted by name", function()
    assert.equal('info joined a=1 b="two words" c="" d=0.5', logfmt.line(
      { "info", "joined" }, { b = "two words", a = 1, c = "", d = 0.5 }))
  end)

  it("closes a value that ends in a backslash", function()
    assert.equal('a="x\\\\" b=y', logfmt.line({}, { a = "x\\", b = "y" }))
  end)

  it("tells a newline from a backslash and an n", function()
    assert.equal('a="\\n" b="\\\\n"', logfmt.line({}, { a = "\n", b = "\\n" }))
  end)

  it("gives every byte back to another reader", function()
    local lines, texts = {}, {}
    for _, text in ipairs(bytes.random(300)) do
      if text ~= "" and not text:find("\0") then -- lnav 0.11 reads no empty
        texts[#texts + 1] = text                 -- value and no NUL
        lines[#lines + 1] = logfmt.line({}, { a = "x" .. text, b = "end" })
      end
    end
    local found = read(lines)
    local expected, hex = {}, {}
    for i, text in ipairs(texts) do
      expected[i] = json.encode({ bytes.to_utf8("x" .. text), "end" })
      hex[i] = utf8.len(text) and "null" or '"' .. core.hex("x" .. text) .. '"'
    end
    assert.equal(jq(".", table.concat(expected, "\n")),
      jq(".[] | .j | [.a, .b]", found))
    assert.equal(table.concat(hex, "\n") .. "\n",
      jq(".[] | .j | .a_hex", found))
    assert.is_true(bytes.is_harmless(table.concat(lines, "\n")))
  end)

  it("writes names that another reader takes, each once", function()
    local fields, names = {}, {}
    for _, text in ipairs(bytes.random(100)) do
      if not names[text] then
        names[text], names[#names + 1] = true, text
        fields[text] = "v"
      end
    end
    local count = jq(".[] | .j | length", read({ logfmt.line({}, fields) }))
    assert.equal(#names .. "\n", count)
  end)

  it("tells words from texts that would be read as something else", function()
    for _, words in ipairs({ "joined", "two words", "a policy's state: x" }) do
      assert.is_true(logfmt.is_words(words), words)
    end
    for _, text in ipairs({ "", " a", "a ", "a  b", "a=b", 'a"b', "a\\", "\n",
      "\255", "\u{202E}" }) do
      assert.is_false(logfmt.is_words(text), text)
    end
  end)
end)
