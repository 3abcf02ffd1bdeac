--- The words of a Lua text with their lines: what the linter reads. The text is
--- known to be Lua that compiles, so that nothing here has to be refused.

local M = {}

---@class kadenza.Token
---@field kind "name"|"keyword"|"string"|"number"|"symbol"
---@field text string  as it is written; of a string, nothing
---@field value? string  of a short string, without its quotes
---@field line integer

local KEYWORDS <const> = {}
for word in ([[and break do else elseif end false for function goto if in local
  nil not or repeat return then true until while]]):gmatch("%a+") do
  KEYWORDS[word] = true
end

-- The longest come first.
local SYMBOLS <const> = { "...", "<<", ">>", "//", "==", "~=", "<=", ">=", "::",
  ".." }

-- Returns the end of a long bracket that begins at `at`, or nil if none does.
local function long_end(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then
    return nil
  end
  return select(2, text:find("]" .. level .. "]", at, true)) or #text
end

local function comment_end(text, at)
  return long_end(text, at + 2) or (text:find("\n", at, true) or #text + 1) - 1
end

local function quoted_end(text, at)
  local quote = text:sub(at, at)
  local place = at + 1
  while place <= #text and text:sub(place, place) ~= quote do
    place = place + (text:sub(place, place) == "\\" and 2 or 1)
  end
  return place
end

local function number_end(text, at)
  local pattern = text:find("^0[xX]", at) and "^0[xX][%x.]*[pP]?[+-]?%x*"
    or "^[%d.]+[eE]?"
  local last = select(2, text:find(pattern, at))
  if text:find("^[eEpP]", last) and text:find("^[+-]%d", last + 1) then
    last = last + 1
  end
  return select(2, text:find("^%w*", last + 1))
end

local function symbol_at(text, at)
  for _, symbol in ipairs(SYMBOLS) do
    if text:sub(at, at + #symbol - 1) == symbol then
      return symbol
    end
  end
  return text:sub(at, at)
end

local function word_end(text, at)
  return select(2, text:find("^[%w_]+", at))
end

-- Returns the kind of what begins at `at`, and its end. A comment has no kind.
local function take(text, at)
  local char = text:sub(at, at)
  if char:find("[%a_]") then
    local last = word_end(text, at)
    return KEYWORDS[text:sub(at, last)] and "keyword" or "name", last
  elseif text:find("^%-%-", at) then
    return nil, comment_end(text, at)
  elseif char:find("[\"']") then
    return "string", quoted_end(text, at)
  elseif text:find("^%[=*%[", at) then
    return "string", long_end(text, at)
  elseif text:find("^%.?%d", at) then
    return "number", number_end(text, at)
  end
  return "symbol", at + #symbol_at(text, at) - 1
end

local function make_token(text, kind, at, last, line)
  if kind == "string" then
    return { kind = kind, text = "", value = text:sub(at + 1, last - 1),
      line = line }
  end
  return { kind = kind, text = text:sub(at, last), line = line }
end

local function count_lines(text)
  return select(2, text:gsub("\n", ""))
end

--- Reads the words of a text.
---@param text string
---@return kadenza.Token[] tokens
function M.read(text)
  local tokens, line, at = {}, 1, 1
  while at <= #text do
    local kind, last = nil, select(2, text:find("^%s+", at))
    if not last then
      kind, last = take(text, at)
    end
    if kind then
      tokens[#tokens + 1] = make_token(text, kind, at, last, line)
    end
    line = line + count_lines(text:sub(at, last))
    at = last + 1
  end
  return tokens
end

return M
