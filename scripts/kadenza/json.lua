--- Writes JSON that every reader takes, and from which a program gets every
--- byte back.
--
--     json.encode({ path = "a\255" })
--     -- {"path":"a\ufffd","path_hex":"61ff"}
--
-- What JSON does not have:
--
-- - Bytes that are not UTF-8: each becomes U+FFFD, and a field NAME_hex beside
--   NAME has all bytes in hexadecimal; beside a list it is a list.
-- - Integers beyond 2^53, which many readers round: a field NAME_text beside
--   NAME has the digits.
-- - Numbers that are not finite: the strings "nan", "inf" and "-inf".
-- - Names that are not UTF-8: their wrong bytes become `%ff`.
--
-- If the document has a field of such a name itself, a `_` is added to the
-- name. Characters that a terminal would obey are escaped.

local dkjson = require("dkjson")

local core = require("kadenza.core")
local escape = require("kadenza.logfmt").escape
local number_text = require("kadenza.number_text")
local shown = require("kadenza.shown")

local M = {}

local ARRAY <const> = { __jsontype = "array" }

-- Integers that a double can hold.
local EXACT <const> = 1 << 53

--- Marks a list as an array, even if it is empty. Another table without items
--- is an object.
---@generic T
---@param list T[]
---@return T[] list
function M.array(list)
  return setmetatable(list, ARRAY)
end

local function is_array(value)
  return getmetatable(value) == ARRAY or #value > 0
end

local function keep() end

-- Returns a text as UTF-8, its wrong bytes replaced.
local function to_utf8(text, replace)
  return shown.replace(text, keep, replace)
end

local function replacement()
  return "\u{FFFD}"
end

local function percent(byte)
  return ("%%%02x"):format(byte)
end

-- A value that dkjson writes as it is.
local Raw = {
  __tojson = function(self)
    return self[1]
  end,
}

local convert -- function(value): any

local function convert_number(value)
  local text = number_text(value)
  return text:find("[ni]") and text or setmetatable({ text }, Raw)
end

local function is_other_than_utf8(value)
  return type(value) == "string" and not utf8.len(value)
end

local function is_rounded(value)
  return math.type(value) == "integer" and (value > EXACT or value < -EXACT)
end

-- Tells whether `is_such` is true of a value, or of an item of a list.
local function has_such(value, is_such)
  if type(value) ~= "table" then
    return is_such(value)
  end
  for _, item in ipairs(value) do
    if type(item) ~= "table" and is_such(item) then
      return true
    end
  end
  return false
end

-- Returns the result of `write` for a value, or for each item of a list.
local function each(value, write)
  if type(value) ~= "table" then
    return write(value)
  end
  local list = {}
  for i, item in ipairs(value) do
    list[i] = write(item)
  end
  return M.array(list)
end

local function hex_of(value)
  return core.hex(tostring(value))
end

-- Returns what to write beside a value, and the end of its name; or nil.
local function beside(value)
  if has_such(value, is_other_than_utf8) then
    return each(value, hex_of), "_hex"
  elseif has_such(value, is_rounded) then
    return each(value, tostring), "_text"
  end
end

-- Adds a field to an object. A name that is in use gets a `_`.
local function add_field(object, order, name, value)
  while object[name] ~= nil do
    name = name .. "_"
  end
  object[name] = value
  order[#order + 1] = name
end

-- Returns the names of an object's fields: those that are in `order` first,
-- then the others.
local function sort_names(fields, order)
  local places, names, by_name = {}, {}, {}
  for i, name in ipairs(order) do
    places[name] = i
  end
  for key, value in pairs(fields) do
    local name = tostring(key)
    while by_name[name] ~= nil do -- 1 and "1"
      name = name .. "_"
    end
    by_name[name] = value
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    local x, y = places[a] or math.huge, places[b] or math.huge
    return x < y or x == y and a < b
  end)
  return names, by_name
end

local function convert_object(fields, order)
  local object, added = {}, {}
  local names, by_name = sort_names(fields, order)
  for _, name in ipairs(names) do
    add_field(object, added, to_utf8(name, percent),
      convert(by_name[name], order))
  end
  local extras = {}
  for _, name in ipairs(names) do
    local value, ending = beside(by_name[name])
    extras[#extras + 1] = value and { to_utf8(name, percent) .. ending, value }
  end
  for _, extra in ipairs(extras) do
    add_field(object, added, extra[1], extra[2])
  end
  return setmetatable(object,
    { __jsontype = "object", __jsonorder = added })
end

local function convert_array(list, order)
  local array = {}
  for i, item in ipairs(list) do
    array[i] = convert(item, order)
  end
  return M.array(array)
end

-- Returns a value as dkjson takes it.
function convert(value, order)
  if type(value) == "number" then
    return convert_number(value)
  elseif type(value) == "boolean" then
    return value
  elseif type(value) == "table" then
    return (is_array(value) and convert_array or convert_object)(value, order)
  end
  return to_utf8(tostring(value), replacement)
end

-- Escapes unsafe characters, which only strings contain. dkjson has escaped
-- controls.
local function escape_unsafe(text)
  return shown.replace(text, function(code)
    return code ~= 0x0A and escape(code) or nil
  end, replacement)
end

--- Returns a value as a text of JSON, on one line unless `indent`.
---@param value any  a table with fields, an array, or a plain value
---@param order? string[]  names of fields that come first
---@param indent? boolean
---@return string text
function M.encode(value, order, indent)
  local converted = convert(value, order or {})
  return escape_unsafe(dkjson.encode(converted, { indent = indent }))
end

return M
