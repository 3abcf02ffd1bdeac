--- Matches Lua patterns in Lua. This is slower than Lua's string library, but
--- the meter counts each step, so a match that takes too long can be stopped.
--- The sandbox uses it for patterns that might take unbounded time.
--
--     pattern.find("key = value", "^(%w+)%s*=%s*(%w+)$")

local M = {}

local OPEN <const> = -1 -- length of a capture without its end yet
local POSITION <const> = -2 -- length of a position capture
local CLOSE <const> = (")"):byte()

local Matcher = {}
Matcher.__index = Matcher

-- Returns the place after the single item (a character, class or set) at `p`.
function Matcher:item_end(p)
  local char = self.pattern:sub(p, p)
  if char == "%" then
    if p == #self.pattern then
      error("malformed pattern (ends with '%')", 0)
    end
    return p + 2
  elseif char ~= "[" then
    return p + 1
  end
  p = p + 1
  if self.pattern:sub(p, p) == "^" then
    p = p + 1
  end
  repeat
    char = self.pattern:sub(p, p)
    if char == "" then
      error("malformed pattern (missing ']')", 0)
    end
    p = p + (char == "%" and 2 or 1)
  until self.pattern:sub(p, p) == "]"
  return p + 1
end

-- Tells whether the character at `s` matches the item.
function Matcher:is_single(s, p, stop)
  local char = self.subject:sub(s, s)
  if char == "" then
    return false
  end
  local item = self.pattern:sub(p, stop - 1)
  if #item == 1 then
    return item == "." or item == char
  end
  return string.find(char, item) ~= nil
end

-- Returns the byte that any match of the pattern from `p` on begins with; nil
-- if there is no single one.
function Matcher:next_byte(p)
  while self.pattern:byte(p) == CLOSE do
    p = p + 1
  end
  local char, suffix = self.pattern:sub(p, p), self.pattern:sub(p + 1, p + 1)
  if string.find(char, "^[%w%s@:;,=/_\"'<>&#!~`]") and suffix ~= "*"
    and suffix ~= "-" and suffix ~= "?"
  then
    return char:byte()
  end
  return nil
end

function Matcher:longest(s, p, stop)
  local item = self.pattern:sub(p, stop - 1)
  local _, last = string.find(self.subject, "^" .. item .. "*", s)
  local following = self:next_byte(stop + 1)
  local byte, subject = string.byte, self.subject
  for i = (last or s - 1) + 1, s, -1 do
    if not following or byte(subject, i) == following then
      local found = self:match(i, stop + 1)
      if found then
        return found
      end
    end
  end
  return nil
end

function Matcher:shortest(s, p, stop)
  while true do
    local found = self:match(s, stop + 1)
    if found then
      return found
    elseif not self:is_single(s, p, stop) then
      return nil
    end
    s = s + 1
  end
end

function Matcher:open_capture(s, p, kind)
  local level = #self.captures + 1
  self.captures[level] = { from = s, len = kind }
  local found = self:match(s, p)
  if not found then
    self.captures[level] = nil
  end
  return found
end

function Matcher:close_capture(s, p)
  for level = #self.captures, 1, -1 do
    local capture = self.captures[level]
    if capture.len == OPEN then
      capture.len = s - capture.from
      local found = self:match(s, p)
      if not found then
        capture.len = OPEN
      end
      return found
    end
  end
  error("invalid pattern capture", 0)
end

-- %bxy: returns the place after the balanced text at `s`, or nil.
function Matcher:balanced(s, p)
  local open, close = self.pattern:sub(p, p), self.pattern:sub(p + 1, p + 1)
  if close == "" then
    error("malformed pattern (missing arguments to '%b')", 0)
  elseif self.subject:sub(s, s) ~= open then
    return nil
  end
  local depth = 1
  for i = s + 1, #self.subject do
    local char = self.subject:sub(i, i)
    if char == close then
      depth = depth - 1
      if depth == 0 then
        return i + 1
      end
    elseif char == open then
      depth = depth + 1
    end
  end
  return nil
end

-- %f[set]: tells whether `s` is a frontier of the set.
function Matcher:is_frontier(s, p, stop)
  local set = self.pattern:sub(p, stop - 1)
  local before, after = self.subject:sub(s - 1, s - 1), self.subject:sub(s, s)
  before = s > 1 and before or "\0"
  after = after ~= "" and after or "\0"
  return not string.find(before, set) and string.find(after, set) ~= nil
end

-- %1: returns the place after a copy of a capture's text at `s`, or nil.
function Matcher:repeated(s, digit)
  local capture = self.captures[tonumber(digit)]
  if not capture or capture.len == OPEN then
    error("invalid capture index %" .. digit, 0)
  elseif capture.len == POSITION then
    return nil
  end
  local text = self.subject:sub(capture.from, capture.from + capture.len - 1)
  if self.subject:sub(s, s + #text - 1) == text then
    return s + #text
  end
  return nil
end

-- Matches an item with its repetition suffix.
function Matcher:match_item(s, p)
  local stop = self:item_end(p)
  local suffix = self.pattern:sub(stop, stop)
  if suffix == "*" then
    return self:longest(s, p, stop)
  elseif suffix == "-" then
    return self:shortest(s, p, stop)
  elseif suffix == "+" then
    return self:is_single(s, p, stop) and self:longest(s + 1, p, stop) or nil
  elseif suffix == "?" then
    return self:is_single(s, p, stop) and self:match(s + 1, stop + 1)
      or self:match(s, stop + 1)
  end
  if not self:is_single(s, p, stop) then
    return nil
  end
  return self:match(s + 1, stop)
end

function Matcher:match_escape(s, p)
  local kind = self.pattern:sub(p + 1, p + 1)
  if kind == "b" then
    local behind = self:balanced(s, p + 2)
    return behind and self:match(behind, p + 4)
  elseif kind == "f" then
    if self.pattern:sub(p + 2, p + 2) ~= "[" then
      error("missing '[' after '%f' in pattern", 0)
    end
    local stop = self:item_end(p + 2)
    return self:is_frontier(s, p + 2, stop) and self:match(s, stop) or nil
  elseif kind:find("^%d") then
    local behind = self:repeated(s, kind)
    return behind and self:match(behind, p + 2)
  end
  return self:match_item(s, p)
end

-- Matches the pattern from `p` on at `s`. Returns the place after the match, or
-- nil.
function Matcher:match(s, p)
  local char = self.pattern:sub(p, p)
  if char == "" then
    return s
  elseif char == "(" then
    if self.pattern:sub(p + 1, p + 1) == ")" then
      return self:open_capture(s, p + 2, POSITION)
    end
    return self:open_capture(s, p + 1, OPEN)
  elseif char == ")" then
    return self:close_capture(s, p + 1)
  elseif char == "$" and p == #self.pattern then
    return s == #self.subject + 1 and s or nil
  elseif char == "%" then
    return self:match_escape(s, p)
  end
  return self:match_item(s, p)
end

function Matcher:capture(level, first, behind)
  local capture = self.captures[level]
  if not capture and level == 1 then
    return self.subject:sub(first, behind - 1)
  elseif not capture then
    error("invalid capture index %" .. level, 0)
  elseif capture.len == OPEN then
    error("unfinished capture", 0)
  elseif capture.len == POSITION then
    return capture.from
  end
  return self.subject:sub(capture.from, capture.from + capture.len - 1)
end

-- Returns the captures; without captures, the whole match if `whole` is true.
function Matcher:results(first, behind, whole)
  local results = {}
  local count = #self.captures
  if count == 0 and whole then
    count = 1
  end
  for level = 1, count do
    results[level] = self:capture(level, first, behind)
  end
  return table.unpack(results, 1, count)
end

local function new(subject, pattern)
  return setmetatable({
    subject = tostring(subject),
    pattern = tostring(pattern),
    captures = {},
  }, Matcher)
end

-- Returns the first match at `init` or later: its start and the place after it.
local function search(matcher, init)
  local anchored = matcher.pattern:sub(1, 1) == "^"
  local begin = anchored and 2 or 1
  if init > #matcher.subject + 1 then
    return nil
  end
  for s = init, anchored and init or #matcher.subject + 1 do
    matcher.captures = {}
    local behind = matcher:match(s, begin)
    if behind then
      return s, behind
    end
  end
  return nil
end

local function start_of(subject, init)
  init = init or 1
  if init < 0 then
    init = math.max(#subject + init + 1, 1)
  end
  return math.max(init, 1)
end

--- Like string.find.
function M.find(subject, pattern, init)
  if not string.find(pattern, "[%^$*+?.(%[%%-]") then
    return string.find(subject, pattern, init, true)
  end
  local matcher = new(subject, pattern)
  local first, behind = search(matcher, start_of(matcher.subject, init))
  if not first then
    return nil
  end
  return first, behind - 1, matcher:results(first, behind, false)
end

--- Like string.match.
function M.match(subject, pattern, init)
  local matcher = new(subject, pattern)
  local first, behind = search(matcher, start_of(matcher.subject, init))
  if not first then
    return nil
  end
  return matcher:results(first, behind, true)
end

--- Like string.gmatch.
function M.gmatch(subject, pattern, init)
  local matcher = new(subject, pattern)
  local s, last = start_of(matcher.subject, init), nil
  return function()
    while s <= #matcher.subject + 1 do
      matcher.captures = {}
      local behind = matcher:match(s, 1)
      if behind and behind ~= last then
        local first = s
        s, last = behind, behind
        return matcher:results(first, behind, true)
      end
      s = s + 1
    end
    return nil
  end
end

-- Returns the replacement for a match.
local function expand(matcher, replacement, first, behind)
  local whole = matcher.subject:sub(first, behind - 1)
  local value
  if type(replacement) == "table" then
    value = replacement[matcher:capture(1, first, behind)]
  elseif type(replacement) == "function" then
    value = replacement(matcher:results(first, behind, true))
  else
    return (string.gsub(tostring(replacement), "%%(.?)", function(char)
      if char == "%" then
        return "%"
      elseif char == "0" then
        return whole
      elseif char:find("^%d") then
        return tostring(matcher:capture(tonumber(char), first, behind))
      end
      error("invalid use of '%' in replacement string", 0)
    end))
  end
  if not value then
    return whole
  elseif type(value) ~= "string" and type(value) ~= "number" then
    error("invalid replacement value (a " .. type(value) .. ")", 0)
  end
  return tostring(value)
end

--- Like string.gsub.
function M.gsub(subject, pattern, replacement, limit)
  local matcher = new(subject, pattern)
  local anchored = matcher.pattern:sub(1, 1) == "^"
  local s, last, count, parts = 1, nil, 0, {}
  while not limit or count < limit do
    matcher.captures = {}
    local behind = matcher:match(s, anchored and 2 or 1)
    if behind and behind ~= last then
      count = count + 1
      parts[#parts + 1] = expand(matcher, replacement, s, behind)
      s, last = behind, behind
    elseif s <= #matcher.subject then
      parts[#parts + 1] = matcher.subject:sub(s, s)
      s = s + 1
    else
      break
    end
    if anchored then
      break
    end
  end
  parts[#parts + 1] = matcher.subject:sub(s)
  return table.concat(parts), count
end

return M
