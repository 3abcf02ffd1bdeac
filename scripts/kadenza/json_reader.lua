--- Reads JSON from untrusted senders: exactly what RFC 8259 allows, to a
--- bounded depth.
--
--     local value, message = json_reader.read('{"port":6881}')
--     print(value.port)
--
-- Objects and arrays are tables whose metatables tell them apart, as those of
-- dkjson do; `null` is `json_reader.NULL`. Integers of 64 bits keep every
-- digit. dkjson, which builds the value, also reads comments, missing commas
-- and the like, so the text is checked first.
--
-- Tested by tests/spec/json_reader_spec.lua.

local dkjson = require("dkjson")

local M = {}

--- Stands for `null`.
M.NULL = dkjson.null

local MAX_DEPTH <const> = 32

-- Floats up to here stand for one integer each; a greater one may be rounded.
local EXACT <const> = 1 << 53

local WORDS <const> = { ["true"] = true, ["false"] = true, null = true }

-- What may come next: a value, a name, a colon, or a comma or an end. `first`
-- also allows the end of an empty array or object.
local AFTER_OPEN <const> = { ["["] = "value", ["{"] = "name" }
local CLOSES <const> = { ["]"] = "[", ["}"] = "{" }

local function wrong(what, at)
  return nil, ("%s at byte %d"):format(what, at)
end

-- Returns the place of the quote that ends the string that begins at `at`.
local function string_end(text, at)
  while true do
    at = text:find('["\\\0-\31]', at + 1)
    local char = at and text:sub(at, at)
    if char == '"' then
      return at
    elseif char ~= "\\" then
      return nil
    end
    local behind = text:match('^["\\/bfnrt]()', at + 1)
      or text:match("^u%x%x%x%x()", at + 1)
    if not behind then
      return nil
    end
    at = behind - 1
  end
end

-- Tells whether a word is a number of JSON that a double or an integer has.
local function is_number(word)
  -- Part by part: a pattern for all of it would take cubic time.
  local whole, at = word:match("^%-?(%d+)()")
  if not whole or #whole > 1 and whole:sub(1, 1) == "0" then
    return false
  end
  at = word:match("^%.%d+()", at) or at
  at = word:match("^[eE][+-]?%d+()", at) or at
  if at <= #word then
    return false
  end
  local value = tonumber(word)
  return value == value and value ~= math.huge and value ~= -math.huge
end

---@class kadenza.JsonCheck
---@field text string
---@field open string[]  the brackets that are open
---@field want "value"|"name"|":"|","|"end"
---@field may_close boolean  the array or object that is open has no items yet

-- Notes that a value has ended.
local function end_value(check)
  check.want = #check.open > 0 and "," or "end"
  check.may_close = false
end

local handlers = {}

handlers['"'] = function(check, at)
  local last = string_end(check.text, at)
  if not last then
    return wrong("a string that does not end or has a wrong character", at)
  elseif check.want == "name" then
    check.want, check.may_close = ":", false
  elseif check.want == "value" then
    end_value(check)
  else
    return wrong("unexpected string", at)
  end
  return last + 1
end

local function open(check, at)
  local bracket = check.text:sub(at, at)
  if check.want ~= "value" then
    return wrong("unexpected '" .. bracket .. "'", at)
  elseif #check.open == MAX_DEPTH then
    return wrong("nested more than " .. MAX_DEPTH .. " deep", at)
  end
  check.open[#check.open + 1] = bracket
  check.want, check.may_close = AFTER_OPEN[bracket], true
  return at + 1
end

local function close(check, at)
  local bracket = check.text:sub(at, at)
  if check.open[#check.open] ~= CLOSES[bracket]
    or not (check.want == "," or check.may_close) then
    return wrong("unexpected '" .. bracket .. "'", at)
  end
  check.open[#check.open] = nil
  end_value(check)
  return at + 1
end

handlers["["], handlers["{"] = open, open
handlers["]"], handlers["}"] = close, close

handlers[","] = function(check, at)
  if check.want ~= "," then
    return wrong("unexpected ','", at)
  end
  check.want = AFTER_OPEN[check.open[#check.open]]
  return at + 1
end

handlers[":"] = function(check, at)
  if check.want ~= ":" then
    return wrong("unexpected ':'", at)
  end
  check.want = "value"
  return at + 1
end

local function read_word(check, at)
  local word = check.text:match("^[%w.+-]+", at)
  if not word or check.want ~= "value"
    or not (WORDS[word] or is_number(word)) then
    return wrong("no value of JSON", at)
  end
  end_value(check)
  return at + #word
end

-- Returns true if a text is JSON; nil and a reason if not.
local function check_text(text)
  local check = { text = text, open = {}, want = "value", may_close = false }
  local at = text:find("[^ \t\n\r]")
  while at do
    local handle = handlers[text:sub(at, at)] or read_word
    local behind, problem = handle(check, at)
    if not behind then
      return nil, problem
    end
    at = text:find("[^ \t\n\r]", behind)
  end
  if check.want ~= "end" then
    return nil, "the text ends too early"
  end
  return true
end

-- Tells whether all strings of a value are UTF-8: escapes may have made half of
-- a character.
local function has_whole_characters(value)
  if type(value) == "string" then
    return utf8.len(value) ~= nil
  elseif type(value) ~= "table" then
    return true
  end
  for name, item in pairs(value) do
    if not (has_whole_characters(name) and has_whole_characters(item)) then
      return false
    end
  end
  return true
end

--- Reads a text.
---@param text string
---@return any value  nil if it is not JSON
---@return string? message
function M.read(text)
  local length, place = utf8.len(text)
  if not length then
    return wrong("bytes that are not UTF-8", place)
  end
  local is_json, problem = check_text(text)
  if not is_json then
    return nil, problem
  end
  local value, _, message = dkjson.decode(text, 1, M.NULL)
  if value == nil then
    return nil, message
  elseif not has_whole_characters(value) then
    return nil, "an escape that is half of a character"
  end
  return value
end

--- Returns a number as an integer: `60`, `60.0` and `6e1` are the same number
--- of JSON. An integer of more than 64 bits, which was rounded, is none.
---@param value any
---@return integer? integer  nil for another value
function M.integer(value)
  if math.type(value) == "float" and (value > EXACT or value < -EXACT) then
    return nil
  end
  return type(value) == "number" and math.tointeger(value) or nil
end

--- Tells whether a value is an object.
---@param value any
---@return boolean
function M.is_object(value)
  local meta = type(value) == "table" and getmetatable(value)
  return meta and meta.__jsontype == "object" or false
end

--- Tells whether a value is an array.
---@param value any
---@return boolean
function M.is_array(value)
  local meta = type(value) == "table" and getmetatable(value)
  return meta and meta.__jsontype == "array" or false
end

return M
