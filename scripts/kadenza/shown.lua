--- Shows bytes as text for people: nothing in it controls a terminal, reorders
--- or hides other text, or ends a line.
--
--     shown.line("a\27[2J\u{202e}b\255")   -- a\x1b[2J\u{202e}b\xff
--
-- It also finds the unsafe characters for the writers of other formats.

-- Without methods of strings: policies pay for a match by a method.

local M = {}

-- Ranges of unsafe code points: controls, format characters (category Cf:
-- directions, zero widths, tags), separators of lines, fillers that look empty,
-- and noncharacters. The last two of each plane are noncharacters, too.
local UNSAFE <const> = {
  0x00, 0x1F, 0x7F, 0x9F, 0xAD, 0xAD, 0x34F, 0x34F, 0x600, 0x605,
  0x61C, 0x61C, 0x6DD, 0x6DD, 0x70F, 0x70F, 0x890, 0x891, 0x8E2, 0x8E2,
  0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180F, 0x200B, 0x200F,
  0x2028, 0x202E, 0x2060, 0x206F, 0x3164, 0x3164, 0xFDD0, 0xFDEF,
  0xFEFF, 0xFEFF, 0xFFA0, 0xFFA0, 0xFFF0, 0xFFFB, 0x110BD, 0x110BD,
  0x110CD, 0x110CD, 0x13430, 0x1343F, 0x1BCA0, 0x1BCA3, 0x1D173, 0x1D17A,
  0xE0000, 0xE0FFF,
}

--- Tells whether a code point must not reach a terminal.
---@param code integer
---@return boolean
function M.is_unsafe(code)
  if code & 0xFFFE == 0xFFFE then
    return true
  end
  for i = 1, #UNSAFE, 2 do
    if code <= UNSAFE[i + 1] then
      return code >= UNSAFE[i]
    end
  end
  return false
end

-- Replaces the unsafe characters of a text that is UTF-8.
local function replace_characters(text, replace_code)
  local function replace(char)
    local code = utf8.codepoint(char)
    return M.is_unsafe(code) and replace_code(code) or nil
  end
  text = string.gsub(text, "[%c\127]", replace)
  return (string.gsub(text, "[\194-\244][\128-\191]+", replace))
end

--- Returns bytes with each unsafe character replaced by `replace_code(code)`,
--- and each byte that is not UTF-8 by `replace_byte(byte)`. A result of nil
--- leaves a character as it is.
---@param bytes string
---@param replace_code fun(code: integer): string?
---@param replace_byte fun(byte: integer): string
---@return string text
function M.replace(bytes, replace_code, replace_byte)
  if not string.find(bytes, "[%c\127-\255]") then
    return bytes
  end
  local parts, at = {}, 1
  while at <= #bytes do
    local _, wrong = utf8.len(bytes, at)
    local good = string.sub(bytes, at, (wrong or #bytes + 1) - 1)
    parts[#parts + 1] = replace_characters(good, replace_code)
    parts[#parts + 1] = wrong
      and replace_byte(string.byte(bytes, wrong)) or nil
    at = (wrong or #bytes) + 1
  end
  return table.concat(parts)
end

local function show_byte(byte)
  return string.format("\\x%02x", byte)
end

local function show_code(code)
  return code < 0x80 and show_byte(code) or string.format("\\u{%x}", code)
end

-- The characters that a text of several lines keeps.
local KEPT <const> = { [0x09] = true, [0x0A] = true }

local function show_code_of_lines(code)
  return not KEPT[code] and show_code(code) or nil
end

--- Returns bytes as one line of UTF-8: unsafe characters become `\x1b` or
--- `\u{202e}`, bytes that are not UTF-8 `\xff`.
---@param bytes string
---@return string line
function M.line(bytes)
  return M.replace(bytes, show_code, show_byte)
end

--- Returns bytes like `line`, but keeps newlines and tabs.
---@param bytes string
---@return string lines
function M.lines(bytes)
  return M.replace(bytes, show_code_of_lines, show_byte)
end

--- Returns the first `count` bytes of a text, without a part of a character at
--- the end.
---@param text string
---@param count integer
---@return string start
function M.start(text, count)
  local last = #text > count and utf8.len(text)
    and utf8.offset(text, 0, count + 1) - 1
  return string.sub(text, 1, last or count)
end

return M
