--- Writes lines of logfmt: words, then fields `name=value`.
--
--     logfmt.line({ "info", "state" }, { contacts = 12, error = "a b" })
--     -- info state contacts=12 error="a b"
--
-- A value in quotes has the escapes of JSON: `\n`, `\"`, `\\`, `\u202e`. Unsafe
-- characters and backslashes are always in quotes. A value that is not UTF-8
-- has U+FFFD in the place of each wrong byte, and a second field, NAME_hex, has
-- all its bytes. Bytes that a name cannot have are written `%20`.

local core = require("kadenza.core")
local number_text = require("kadenza.number_text")
local shown = require("kadenza.shown")

local M = {}

local ESCAPES <const> = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
  ['"'] = '\\"', ["\\"] = "\\\\" }

--- Returns the escape of a code point in a string of JSON and logfmt.
---@param code integer
---@return string escape
function M.escape(code)
  local short = code < 0x80 and ESCAPES[utf8.char(code)]
  if short then
    return short
  elseif code < 0x10000 then
    return ("\\u%04x"):format(code)
  end
  code = code - 0x10000
  return ("\\u%04x\\u%04x"):format(0xD800 + (code >> 10),
    0xDC00 + (code & 0x3FF))
end

local function replacement()
  return "\u{FFFD}"
end

--- Returns the value of a field, in quotes unless it is plain ASCII without
--- blanks, quotes, `=` and backslashes.
---@param text string
---@return string value
function M.value(text)
  local escaped = shown.replace(text:gsub('["\\]', ESCAPES), M.escape,
    replacement)
  if text ~= "" and escaped == text and not text:find("[ =\128-\255]") then
    return text
  end
  return '"' .. escaped .. '"'
end

--- Returns bytes in hexadecimal as the value of a field. In quotes, since some
--- readers take digits for a number.
---@param bytes string
---@return string value
function M.hex(bytes)
  return '"' .. core.hex(bytes) .. '"'
end

local function percent(char)
  return ("%%%02x"):format(char:byte())
end

-- Returns a name without bytes that logfmt does not allow.
local function name_text(name)
  if name == "" then
    return "_"
  end
  local text = name:gsub('[%%%s%c="\\\127]', percent)
  return shown.replace(text, function(code)
    return (utf8.char(code):gsub(".", percent))
  end, function(byte)
    return percent(string.char(byte))
  end)
end

--- Returns the text of the name or the value of a field.
---@param value any
---@return string text
function M.text(value)
  return type(value) == "number" and number_text(value) or tostring(value)
end

-- Adds a field to those of a line. A name that is in use gets a `_`.
local function add_field(line, name, value)
  while line.used[name] do
    name = name .. "_"
  end
  line.used[name] = true
  line[#line + 1] = name .. "=" .. value
end

--- Returns a line of words and fields, the fields sorted by name.
---@param words string[]  as `is_words` says; or fields, already written
---@param fields table<any, any>
---@return string line
function M.line(words, fields)
  local names, values = {}, {}
  for key, value in pairs(fields) do
    local name = name_text(M.text(key))
    names[#names + 1] = values[name] == nil and name or nil
    values[name] = values[name] or {}
    table.insert(values[name], M.text(value))
  end
  table.sort(names)
  local line = table.move(words, 1, #words, 1, { used = {} })
  for _, word in ipairs(words) do
    line.used[word:match("^(.-)=") or ""] = true
  end
  for _, name in ipairs(names) do
    for _, text in ipairs(values[name]) do
      add_field(line, name, M.value(text))
      if not utf8.len(text) then
        add_field(line, name .. "_hex", M.hex(text))
      end
    end
  end
  return table.concat(line, " ")
end

--- Tells whether a text can stand in a line as words: their readers find the
--- same words, one blank between two.
---@param text string
---@return boolean
function M.is_words(text)
  return not (text == "" or text:find("^ ") or text:find(" $")
    or text:find("  ", 1, true) or text:find('["=\\]'))
    and shown.line(text) == text
end

return M
