--- JSON of plain values, for programs and policies: `kad.json`.
--
--     kad.json.encode({ name = "lunch", votes = { "Ann", "Bob" } })
--     kad.json.decode('{"name":"lunch"}').name
--     kad.json.encode(kad.json.array({}))  -- [], not {}
--
-- What JSON cannot represent is an error that names the place. In a policy, the
-- code of this module counts as the policy's own.
--
-- Tested by tests/spec/plain_json_spec.lua.

local dkjson = require("dkjson")

local core = require("kadenza.core")
local errors = require("kadenza.errors")
local number_text = require("kadenza.number_text")
local sorted = require("kadenza.sorted")

local M = {}

-- Largest depth of nested tables.
local MAX_DEPTH <const> = 32

local ARRAY <const> = { __jsontype = "array" }

-- Without methods of strings: policies pay for them.
local quote <const> = dkjson.quotestring

--- Stands for null inside of tables, where nil would be no field.
M.null = dkjson.null

--- Marks a list as an array: without that an empty one is an object.
---@generic T
---@param list T[]
---@return T[] list
function M.array(list)
  if type(list) ~= "table" then
    error("a list is needed, not " .. type(list), 2)
  end
  return setmetatable(list, ARRAY)
end

local function fail(place, problem)
  error(place .. " " .. problem, 0)
end

local function encode_string(text, place)
  if core.charge then
    core.charge(#text)
  end
  if not utf8.len(text) then
    fail(place, "has bytes that are not UTF-8: encode them, as with kad.hex")
  end
  return quote(text)
end

local function encode_number(value, place)
  if value ~= value or value == math.huge or value == -math.huge then
    fail(place, "is " .. tostring(value) .. ", which JSON does not have")
  end
  return number_text(value)
end

local add_value -- function(parts, value, place, depth)

-- Adds a list. Every key is one of its places.
local function add_array(parts, list, place, depth)
  local count = rawlen(list)
  for key in next, list do
    if math.type(key) ~= "integer" or key < 1 or key > count then
      fail(place, "is neither a list nor an object: it has items and names")
    end
  end
  for i = 1, count do
    parts[#parts + 1] = i == 1 and "[" or ","
    add_value(parts, rawget(list, i), place .. "[" .. i .. "]", depth)
  end
  parts[#parts + 1] = count == 0 and "[]" or "]"
end

local function add_object(parts, object, place, depth)
  for key in next, object do
    if type(key) ~= "string" then
      fail(place, "has a name that is a " .. type(key))
    end
  end
  local separator = "{"
  for _, key in ipairs(sorted(object)) do
    parts[#parts + 1] = separator .. encode_string(key, place) .. ":"
    add_value(parts, rawget(object, key), place .. "." .. key, depth)
    separator = ","
  end
  parts[#parts + 1] = separator == "{" and "{}" or "}"
end

local function add_table(parts, value, place, depth)
  local meta = getmetatable(value)
  if value == M.null then
    parts[#parts + 1] = "null"
  elseif depth > MAX_DEPTH then
    fail(place, "is nested too deep, or contains itself")
  elseif meta ~= nil and meta ~= ARRAY then
    fail(place, "has a metatable: a plain table is needed")
  elseif meta == ARRAY or rawlen(value) > 0 then
    add_array(parts, value, place, depth + 1)
  else
    add_object(parts, value, place, depth + 1)
  end
end

function add_value(parts, value, place, depth)
  local kind = type(value)
  if kind == "table" then
    add_table(parts, value, place, depth)
  elseif kind == "string" then
    parts[#parts + 1] = encode_string(value, place)
  elseif kind == "number" then
    parts[#parts + 1] = encode_number(value, place)
  elseif kind == "boolean" or value == nil then
    parts[#parts + 1] = value == nil and "null" or tostring(value)
  else
    fail(place, "is a " .. kind .. ", which JSON does not have")
  end
end

local function encode(value, name)
  local parts = {}
  add_value(parts, value, name, 1)
  return table.concat(parts)
end

--- Returns a value as a text of JSON. Names of an object are in order. Raises,
--- and names the place, for a value that JSON cannot represent.
---@param value any
---@param name? string  of the value in errors; default "value"
---@return string text
function M.encode(value, name)
  local text = errors.at_level(2, encode, value, name or "value")
  return text
end

-- Returns the place behind the string that begins at `at`.
local function skip_string(text, at)
  repeat
    at = string.find(text, '["\\]', at + 1)
    if at and string.byte(text, at) == 0x5C then
      at = at + 1 -- a backslash, and what it escapes
    elseif at then
      return at + 1
    end
  until not at
  return #text + 1
end

-- Tells whether a text is nested too deep: the reader would recurse.
local function is_too_deep(text)
  local depth, at = 0, string.find(text, '[%[%]{}"]')
  while at do
    local byte = string.byte(text, at)
    if byte == 0x22 then
      at = skip_string(text, at)
    else
      local opens = byte == 0x5B or byte == 0x7B
      depth, at = depth + (opens and 1 or -1), at + 1
      if depth > MAX_DEPTH then
        return true
      end
    end
    at = string.find(text, '[%[%]{}"]', at)
  end
  return false
end

local function malformed(message)
  return nil, message, "KAD_EMALFORMED"
end

--- Returns the value of a text of JSON. A null inside of tables is
--- `kad.json.null`.
---@param text string
---@return any value
---@return string? message  what is wrong with the text; then the value is nil
---@return kadenza.Code? code
function M.decode(text)
  if type(text) ~= "string" then
    error("a text is needed, not " .. type(text), 2)
  end
  if not utf8.len(text) then
    return malformed("it has bytes that are not UTF-8")
  elseif is_too_deep(text) then
    return malformed("it is nested too deep")
  end
  local value, at, message = dkjson.decode(text, 1, M.null, nil, nil)
  if message then
    return malformed(message)
  elseif string.find(text, "[^ \t\r\n]", at) then
    return malformed("something follows the value")
  elseif value == M.null then
    return nil
  end
  return value
end

return M
