--- The functions of Lua's string library that take patterns, for policies. Here
--- the meter counts each step of a match, and a match that takes too long is
--- stopped like any other code.
--
--     pattern.find("key = value", "^(%w+)%s*=%s*(%w+)$")

local matcher = require("kadenza.core").pattern

local M = {}

-- The characters that make a text a pattern.
local SPECIAL <const> = "[%^%$%*%+%?%.%(%[%%%-]"

local function is_text(value)
  return type(value) == "string" or type(value) == "number"
end

-- Tells whether the arguments have the types that Lua's string functions take:
-- the last one is an integer, or nil.
local function are_valid(subject, pattern, number)
  return is_text(subject) and is_text(pattern)
    and (number == nil or math.tointeger(tonumber(number)) ~= nil)
end

-- Returns the place in a text that an index means; nil if it is behind the end.
local function place_of(index, text)
  index = math.tointeger(tonumber(index or 1))
  if index < 0 then
    index = math.max(#text + index + 1, 1)
  end
  return index <= #text + 1 and math.max(index, 1) or nil
end

-- Returns the first match from `start` on: its first byte, and the byte after
-- it. A match that ends before byte `rejected` does not count.
local function search(state, start, rejected)
  matcher.begin(state, start, rejected)
  local first, after
  repeat -- each round takes bounded time, and the meter can preempt the loop
    first, after = matcher.advance(state)
  until first ~= false
  return first, after
end

--- Like string.find.
---@param subject string
---@param pattern string
---@param init integer?
---@param plain boolean?
function M.find(subject, pattern, init, plain)
  if not are_valid(subject, pattern, init) then
    return string.find(subject, pattern, init, true) -- raises the error
  end
  subject, pattern = tostring(subject), tostring(pattern)
  local start = place_of(init, subject)
  if not start then
    return nil
  elseif plain or not string.find(pattern, SPECIAL) then
    return matcher.find_plain(subject, pattern, start)
  end
  local state = matcher.new(subject, pattern, true)
  local first, after = search(state, start)
  if not first then
    return nil
  end
  return first, after - 1, matcher.captures(state, false)
end

--- Like string.match.
---@param subject string
---@param pattern string
---@param init integer?
function M.match(subject, pattern, init)
  if not are_valid(subject, pattern, init) then
    return string.match(subject, pattern, init) -- raises the error
  end
  subject = tostring(subject)
  local start = place_of(init, subject)
  local state = start and matcher.new(subject, pattern, true)
  if not state or not search(state, start) then
    return nil
  end
  return matcher.captures(state, true)
end

--- Like string.gmatch.
---@param subject string
---@param pattern string
---@param init integer?
function M.gmatch(subject, pattern, init)
  if not are_valid(subject, pattern, init) then
    return string.gmatch(subject, pattern, init) -- raises the error
  end
  subject = tostring(subject)
  local state = matcher.new(subject, pattern, false)
  local start, last = place_of(init, subject), nil
  return function()
    local first, after
    if start then
      first, after = search(state, start, last)
    end
    start, last = after, after
    if first then
      return matcher.captures(state, true)
    end
    return nil
  end
end

-- Returns what a "%" and the character behind it stand for in a replacement.
local function expand(state, char, whole)
  if char == "%" then
    return "%"
  elseif char == "0" then
    return whole
  elseif char:find("^%d") then
    return tostring(matcher.capture(state, tonumber(char)))
  end
  error("invalid use of '%' in replacement string", 6)
end

-- Returns the replacement for a match.
local function replace(state, replacement, whole)
  local value
  if type(replacement) == "table" then
    value = replacement[matcher.capture(state, 1)]
  elseif type(replacement) == "function" then
    value = replacement(matcher.captures(state, true))
  elseif string.find(replacement, "%", 1, true) then
    value = string.gsub(replacement, "%%(.?)", function(char)
      return expand(state, char, whole)
    end)
  else
    value = replacement
  end
  if not value then
    return whole
  elseif not is_text(value) then
    error("invalid replacement value (a " .. type(value) .. ")", 3)
  end
  return tostring(value)
end

local REPLACEMENTS <const> = { string = true, number = true, table = true,
  ["function"] = true }

-- Replaces up to `limit` matches. Returns the parts of the result, and the
-- number of replacements.
local function replace_all(subject, state, replacement, limit)
  local start, last, count, parts = 1, nil, 0, {}
  while count < limit do
    local first, after = search(state, start, last)
    if not first then
      break
    end
    count = count + 1
    parts[#parts + 1] = subject:sub(start, first - 1)
    parts[#parts + 1] = replace(state, replacement,
      subject:sub(first, after - 1))
    start, last = after, after
  end
  parts[#parts + 1] = subject:sub(start)
  return parts, count
end

--- Like string.gsub.
---@param subject string
---@param pattern string
---@param replacement string|table|function
---@param limit integer?
function M.gsub(subject, pattern, replacement, limit)
  if not are_valid(subject, pattern, limit)
    or not REPLACEMENTS[type(replacement)]
  then
    return string.gsub(subject, pattern, replacement, limit) -- raises the error
  end
  subject, pattern = tostring(subject), tostring(pattern)
  if type(replacement) == "number" then
    replacement = tostring(replacement)
  end
  limit = limit and math.tointeger(tonumber(limit)) or #subject + 1
  if pattern:sub(1, 1) == "^" then
    limit = math.min(limit, 1)
  end
  local parts, count = replace_all(subject, matcher.new(subject, pattern, true),
    replacement, limit)
  return table.concat(parts), count
end

return M
