--- Shows the values and lines that code at a console gives: as text, within
--- bounds of length, depth and number of items.
--
--     { name = "lunch", votes = { 1, 2 } }
--
-- Tables are read without metamethods. Only a table that has nothing but a
-- metatable, such as a node, is shown by its `__tostring`.
--
-- Tested by tests/spec/policy/display_spec.lua.

local core = require("kadenza.core")
local number_text = require("kadenza.number_text")
local sandbox = require("kadenza.sandbox")
local shown = require("kadenza.shown")

local M = {}

local MAX_TEXT <const> = 65536 -- bytes of all that is shown
local MAX_STRING <const> = 2000 -- bytes of a string in a value
local MAX_MESSAGE <const> = 2000
local MAX_ITEMS <const> = 100 -- of a table
local MAX_DEPTH <const> = 4
local CUT <const> = "… (the rest is not shown)"

local NAME <const> = "^[%a_][%w_]*$"
local KEYWORDS <const> = { ["and"] = true, ["break"] = true, ["do"] = true,
  ["else"] = true, ["elseif"] = true, ["end"] = true, ["false"] = true,
  ["for"] = true, ["function"] = true, ["goto"] = true, ["if"] = true,
  ["in"] = true, ["local"] = true, ["nil"] = true, ["not"] = true,
  ["or"] = true, ["repeat"] = true, ["return"] = true, ["then"] = true,
  ["true"] = true, ["until"] = true, ["while"] = true }

-- Without methods of strings: policies pay for them.

---@class kadenza.Display
local Display = {}
Display.__index = Display

--- Makes an empty text.
---@return kadenza.Display display
function M.new()
  return setmetatable({ parts = {}, size = 0, is_cut = false }, Display)
end

-- Adds a text, as far as there is room.
function Display:put(text)
  if self.is_cut then
    return
  end
  local room = MAX_TEXT - self.size
  if #text > room then
    text, self.is_cut = shown.start(text, room), true
  end
  self.parts[#self.parts + 1] = text
  self.size = self.size + #text
end

------------------------------------------------------------------ values --

local function quote(text)
  local is_long = #text > MAX_STRING
  local line = shown.line(is_long and shown.start(text, MAX_STRING) or text)
  line = string.gsub(line, '"', '\\"')
  return is_long and string.format('"%s…" (%d bytes)', line, #text)
    or '"' .. line .. '"'
end

local function describe_function(fn)
  local source, first = core.place(fn)
  local file = source and string.match(source, "^@(.*)")
  if not file then
    return "function"
  end
  return string.format("function (%s:%d)", shown.line(file), first)
end

-- Tells whether a value is a table that is shown by its items.
local function has_items(value)
  return type(value) == "table"
    and (next(value) ~= nil or getmetatable(value) == nil)
end

local SCALARS <const> = {
  string = quote,
  number = number_text,
  ["function"] = describe_function,
}

-- Returns what tostring gives for a value, without an address.
local function text_of(value)
  local succeeded, text = pcall(tostring, value)
  if not succeeded then
    return type(value)
  end
  text = string.match(text, "^(.+): 0x%x+$") or text
  return shown.line(shown.start(text, MAX_STRING))
end

-- Returns a value that is no table with items as text.
local function describe(value)
  local write = SCALARS[type(value)]
  if write then
    return write(value)
  elseif type(value) == "boolean" or value == nil then
    return tostring(value)
  end
  return text_of(value)
end

-- Returns the items of a table that are shown: those of a list, then others by
-- their names, then the rest; and whether some were left out.
local function items_of(value)
  local names, others, count = {}, {}, 0
  local length = math.min(rawlen(value), MAX_ITEMS)
  for key in next, value do
    local is_item = math.type(key) == "integer" and key >= 1 and key <= length
    if not is_item then
      count = count + 1
      if count > 10 * MAX_ITEMS then
        break
      end
      local list = type(key) == "string" and names or others
      list[#list + 1] = key
    end
  end
  table.sort(names)
  table.move(others, 1, #others, #names + 1, names)
  return length, names, rawlen(value) > length
    or #names > MAX_ITEMS - length
end

local function show_key(key)
  if type(key) == "string" and string.find(key, NAME) and not KEYWORDS[key] then
    return key
  end
  return "[" .. describe(key) .. "]"
end

function Display:put_table(value, depth, parents)
  local length, names, is_cut = items_of(value)
  local separator = "{ "
  for i = 1, length do
    self:put(separator)
    self:put_value(rawget(value, i), depth, parents)
    separator = ", "
  end
  for i = 1, math.min(#names, MAX_ITEMS - length) do
    self:put(separator .. show_key(names[i]) .. " = ")
    self:put_value(rawget(value, names[i]), depth, parents)
    separator = ", "
  end
  self:put(is_cut and separator .. "… }" or separator == "{ " and "{}" or " }")
end

-- Adds a value. `parents` has the tables that it is in.
function Display:put_value(value, depth, parents)
  if self.is_cut then
    return
  end
  local inside = type(value) == "table" and sandbox.inside(value) or value
  if not has_items(inside) then
    self:put(describe(inside))
  elseif parents[inside] then
    self:put("{ contains itself }")
  elseif depth == 0 then
    self:put("{ … }")
  else
    parents[inside] = true
    self:put_table(inside, depth - 1, parents)
    parents[inside] = nil
  end
end

------------------------------------------------------------------- lines --

--- Adds a line with the texts of values, as `print` does.
---@param ... any
function Display:add_line(...)
  for i = 1, select("#", ...) do
    if i > 1 then
      self:put("\t")
    end
    self:put(tostring((select(i, ...))))
  end
  self:put("\n")
end

--- Adds a line with values, as Lua would write them; nothing for no values.
---@param ... any
function Display:add_values(...)
  local count = select("#", ...)
  for i = 1, count do
    self:put_value(select(i, ...), MAX_DEPTH, {})
    self:put(i < count and "\t" or "\n")
  end
end

--- Adds a text as a line.
---@param text string
function Display:add_text(text)
  self:put(text .. "\n")
end

--- Returns all that was added, without a newline at its end. It controls no
--- terminal.
---@return string text
function Display:text()
  local text = table.concat(self.parts)
  if self.is_cut then
    text = text .. "\n" .. CUT
  end
  return shown.lines((string.gsub(text, "\n$", "")))
end

--- Returns the text of an error, within bounds.
---@param problem string
---@return string text
function M.message(problem)
  return shown.start(problem, MAX_MESSAGE)
end

return M
