--- Makes bytes that writers of text must survive.

local M = {}

--- Pieces that other programs have tripped over.
M.PIECES = {
  "", "a", "two words", " ", "  ", "\n", "\r\n", "\t", "\\", "\\n", "\\\\",
  '"', "'", "=", "%", "%41", "{}", "\0", "\27[2J", "\27]0;x\7", "\8", "\127",
  "\u{80}", "\u{85}", "\u{9B}2J", "\u{A0}", "\u{AD}", "é", "e\u{301}",
  "\u{61C}", "\u{200B}", "\u{200D}", "\u{202E}", "\u{2028}", "\u{2066}",
  "\u{3000}", "漢字", "\u{FEFF}", "\u{FFFD}", "\u{FFFF}", "😀", "\u{1D173}",
  "\u{E0001}", "\u{10FFFF}", "\155", "\155" .. "2J", "\255", "\192\128",
  "\237\160\128", "\237\160\189\237\184\128", "\244\144\128\128", "\226\128",
  "\240\159", "a\255b", "nan", "null", "</script>", "<!--", "&amp;", "]]>",
}

--- Returns `count` random texts, made of pieces and of random bytes.
---@param count integer
---@return string[] texts
function M.random(count)
  math.randomseed(count, 1)
  local texts = {}
  for i = 1, count do
    local parts = {}
    for j = 1, math.random(0, 6) do
      parts[j] = math.random(4) == 1 and string.char(math.random(0, 255))
        or M.PIECES[math.random(#M.PIECES)]
    end
    texts[i] = table.concat(parts)
  end
  return table.move(M.PIECES, 1, #M.PIECES, count + 1, texts)
end

--- Returns the text of bytes with U+FFFD in the place of each byte that is not
--- UTF-8.
---@param bytes string
---@return string text
function M.to_utf8(bytes)
  local parts, at = {}, 1
  while at <= #bytes do
    local char = utf8.len(bytes, at, at)
      and utf8.char(utf8.codepoint(bytes, at))
    parts[#parts + 1] = char or "\u{FFFD}"
    at = at + #(char or " ")
  end
  return table.concat(parts)
end

--- Tells whether a text contains no character that controls a terminal or
--- reorders text. Asks the tables of Python.
---@param text string
---@return boolean
function M.is_harmless(text)
  local process = require("tests.spec.support.process")
  local done = process.run({ "-c", [[
import sys, unicodedata
text = sys.stdin.buffer.read().decode("utf-8")
bad = [c for c in text if unicodedata.category(c) in
    ("Cc", "Cf", "Zl", "Zp", "Cs") and c != "\n"]
print(ascii("".join(bad)))
]] }, { path = "/usr/bin/python3", stdin = text })
  assert(done.status == 0, done.stderr)
  return done.stdout == "''\n"
end

return M
