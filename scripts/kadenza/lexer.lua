--- The lexical elements of Lua text: blanks, comments, long brackets, numbers,
--- and the tokens of a text that compiles (Lua 5.4 manual §3.1).
--
-- A place is the index of a byte in the text.

local M = {}

---@class kadenza.Token
---@field kind "name"|"keyword"|"string"|"number"|"symbol"
---@field text string  as it is written; empty for a string
---@field value? string  of a short string: the text between its quotes
---@field line integer

--- The keywords of Lua.
---@type table<string, true>
M.KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local
  nil not or repeat return then true until while]]):gmatch("%a+") do
  M.KEYWORDS[word] = true
end

-- Symbols of more than one byte, the longest first.
local SYMBOLS <const> = { "...", "<<", ">>", "//", "==", "~=", "<=", ">=", "::",
  ".." }

--- Returns the places of the text in the long bracket that begins at `at`, such
--- as [==[text]==]; nil if none begins there. Returns `first` alone if it is
--- not closed.
---@param text string
---@param at integer
---@return integer? first
---@return integer? last  of the text in the bracket
---@return integer? close  the last byte of the closing bracket
function M.long_bracket(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then
    return nil
  end
  local first = at + #level + 2
  local place, close = text:find("]" .. level .. "]", first, true)
  return first, place and place - 1, close
end

--- Returns the first place from `at` on that is neither blank nor comment. If a
--- long comment is not closed, returns the place of its bracket, and true.
---@param text string
---@param at integer
---@return integer place
---@return true? is_unclosed
function M.skip(text, at)
  while true do
    at = text:find("%S", at) or #text + 1
    if not text:find("^%-%-", at) then
      return at
    end
    local first, _, close = M.long_bracket(text, at + 2)
    if first and not close then
      return at + 2, true
    end
    at = (close or text:find("\n", at, true) or #text) + 1
  end
end

--- Returns the last place of the number that begins at `at`, which may be
--- malformed; nil if none begins there.
---@param text string
---@param at integer
---@return integer? last
function M.number_end(text, at)
  local _, last = text:find("^%.?%d[%w.]*", at)
  local signed_exponent = text:find("^0[xX]", at) and "^[pP][+-]%w*"
    or "^[eE][+-]%w*"
  if last and text:find(signed_exponent, last) then
    _, last = text:find(signed_exponent, last)
  end
  return last
end

------------------------------------------------------------------ tokens --

local function quoted_end(text, at)
  local quote = text:sub(at, at)
  local place = at + 1
  while place <= #text and text:sub(place, place) ~= quote do
    place = place + (text:sub(place, place) == "\\" and 2 or 1)
  end
  return place
end

local function symbol_end(text, at)
  for _, symbol in ipairs(SYMBOLS) do
    if text:sub(at, at + #symbol - 1) == symbol then
      return at + #symbol - 1
    end
  end
  return at
end

-- Returns the kind and the last place of the token that begins at `at`.
local function find_token(text, at)
  local _, last = text:find("^[%a_][%w_]*", at)
  if last then
    return M.KEYWORDS[text:sub(at, last)] and "keyword" or "name", last
  elseif text:find("^[\"']", at) then
    return "string", quoted_end(text, at)
  end
  local first, _, close = M.long_bracket(text, at)
  if first then
    return "string", close or #text
  end
  last = M.number_end(text, at)
  if last then
    return "number", last
  end
  return "symbol", symbol_end(text, at)
end

local function make_token(text, kind, at, last, line)
  if kind == "string" then
    return { kind = kind, text = "", value = text:sub(at + 1, last - 1),
      line = line }
  end
  return { kind = kind, text = text:sub(at, last), line = line }
end

local function count_newlines(text)
  return select(2, text:gsub("\n", ""))
end

--- Returns the tokens of a text, which must compile: mistakes are not reported.
---@param text string
---@return kadenza.Token[] tokens
function M.tokens(text)
  local tokens, line, before = {}, 1, 1
  local at = M.skip(text, 1)
  while at <= #text do
    line = line + count_newlines(text:sub(before, at - 1))
    local kind, last = find_token(text, at)
    tokens[#tokens + 1] = make_token(text, kind, at, last, line)
    before, at = at, M.skip(text, last + 1)
  end
  return tokens
end

return M
