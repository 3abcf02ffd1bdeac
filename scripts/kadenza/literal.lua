--- Literals: Lua tables as data. Nothing is executed.
--
--     local options, lines = literal.parse("{ k = 8, -- wide\n}", "node.lua")
--     print(options.k, lines[options].k)          -- 8   1
--     print(literal.parse("{ k = os.exit() }", "node.lua"))
--     -- nil   node.lua:1: a value is expected, not 'os'
--
-- A text may contain strings (quoted, with all escapes, or in long brackets),
-- finite numbers, booleans, nil, tables of these, and comments; `return` may
-- precede the table, and a byte order mark and a `#` line the text. Expressions
-- are errors. Reading takes linear time. Size and depth are limited.

local chunk_text = require("kadenza.chunk_text")
local core = require("kadenza.core")
local lexer = require("kadenza.lexer")
local shown = require("kadenza.shown")

local M = {}

--- Largest size of a text in bytes.
M.MAX_SIZE = 1 << 20

--- Largest depth of nested tables.
M.MAX_DEPTH = 16

-- Bytes of an unexpected text that an error shows.
local SHOWN <const> = 20

local CONSTANTS <const> = { ["true"] = true, ["false"] = false }

local ESCAPES <const> = {
  a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v",
  ["\\"] = "\\", ['"'] = '"', ["'"] = "'", ["\n"] = "\n",
}

local Reader = {}
Reader.__index = Reader

---------------------------------------------------------------- problems --

-- A mistake in the text, which `parse` returns. Other errors are bugs here.
local Problem = {}

-- Returns the line of a place. Calls have ascending places, so that each byte
-- is read once.
function Reader:line_of(place)
  while self.newline and self.newline < place do
    self.line = self.line + 1
    self.newline = self.text:find("\n", self.newline + 1, true)
  end
  return self.line
end

function Reader:fail(...)
  local message = string.format(...)
  error(setmetatable({
    text = ("%s:%d: %s"):format(self.name, self:line_of(self.at), message),
  }, Problem), 0)
end

-- Returns the word at the reader's place for an error message.
function Reader:shown()
  if self.at > #self.text then
    return "the end of the file"
  end
  local word = self.text:match("^[%w_]+", self.at)
    or self.text:match("^[^\128-\255]", self.at)
    or self.text:match("^" .. utf8.charpattern, self.at)
    or self.text:sub(self.at, self.at)
  local safe = word:sub(1, SHOWN):gsub("%c", function(char)
    return ("\\%d"):format(char:byte())
  end)
  return "'" .. safe .. "'"
end

function Reader:expect(what)
  self:fail("%s is expected, not %s", what, self:shown())
end

------------------------------------------------------------------ lexing --

-- Skips a match of the pattern at the reader's place, and returns it, or its
-- first capture; nil if there is no match.
function Reader:take(pattern)
  local first, last, capture = self.text:find("^" .. pattern, self.at)
  if not first then
    return nil
  end
  self.at = last + 1
  return capture or self.text:sub(first, last)
end

-- Skips a long bracket; returns its text as Lua reads it, or nil.
function Reader:take_long()
  local first, last, close = lexer.long_bracket(self.text, self.at)
  if not first then
    return nil
  elseif not close then
    self:fail("'%s' is not closed",
      self.text:sub(self.at, first - 1):sub(1, SHOWN))
  end
  self.at = close + 1
  local text = self.text:sub(first, last):gsub("\r\n", "\n")
  return (text:gsub("^\n", ""))
end

-- Skips blanks and comments.
function Reader:skip()
  local is_unclosed
  self.at, is_unclosed = lexer.skip(self.text, self.at)
  if is_unclosed then
    self:take_long() -- raises
  end
end

----------------------------------------------------------------- strings --

function Reader:take_code_point()
  local digits = self:take("u{(%x+)}")
  local code = digits and #digits <= 16 and tonumber(digits, 16)
  if not code or code < 0 or code > 0x7FFFFFFF then
    self:fail("a \\u escape needs a code point in braces")
  end
  return utf8.char(code)
end

-- Skips an escape behind its backslash; returns the character.
function Reader:take_escape()
  local plain = ESCAPES[self.text:sub(self.at, self.at)]
  if plain then
    self.at = self.at + 1
    return plain
  elseif self:take("\r\n") then
    return "\n"
  elseif self:take("z%s*") then
    return ""
  elseif self.text:find("^u", self.at) then
    return self:take_code_point()
  end
  local hex = self:take("x(%x%x)")
  if hex then
    return string.char(tonumber(hex, 16))
  end
  local number = tonumber(self:take("%d%d?%d?"))
  if not number or number > 255 then
    self:fail("this escape is not one of Lua's")
  end
  return string.char(number)
end

function Reader:take_quoted()
  local quote = self:take("[\"']")
  if not quote then
    return nil
  end
  local parts = {}
  while true do
    parts[#parts + 1] = self:take("[^\\\n\"']+")
    local char = self.text:sub(self.at, self.at)
    if char == "" or char == "\n" then
      self:fail("a string is not closed")
    end
    self.at = self.at + 1
    if char == quote then
      return table.concat(parts)
    end
    parts[#parts + 1] = char == "\\" and self:take_escape() or char
  end
end

------------------------------------------------------------------ values --

function Reader:take_number()
  local place = self.at
  local sign = self:take("%-")
  self:skip()
  local last = lexer.number_end(self.text, self.at)
  if not last then
    self.at = place
    return nil
  end
  local digits = self.text:sub(self.at, last)
  self.at = last + 1
  local number = tonumber(digits)
  if not number or math.abs(number) == math.huge then
    self:fail("'%s' is not a finite number", digits:sub(1, SHOWN))
  end
  return sign and -number or number
end

-- Skips a constant. Returns true and its value, or false.
function Reader:take_constant()
  local word = self.text:match("^[%a_][%w_]*", self.at)
  if word ~= "nil" and CONSTANTS[word or ""] == nil then
    return false
  end
  self.at = self.at + #word
  return true, CONSTANTS[word]
end

function Reader:value()
  self:skip()
  if self.text:find("^{", self.at) then
    return self:table()
  end
  local value = self:take_quoted() or self:take_long() or self:take_number()
  if value ~= nil then
    return value
  end
  local found, constant = self:take_constant()
  if not found then
    self:expect("a value")
  end
  return constant
end

-- Skips the key of a field and its `=`; returns the key, or nil without one.
function Reader:take_key()
  local name = self.text:match("^([%a_][%w_]*)", self.at)
  if name and not lexer.KEYWORDS[name] then
    local place = self.at
    self.at = self.at + #name
    self:skip()
    if self:take("=") then
      return name
    end
    self.at = place
    self:expect("a value")
  elseif not self.text:find("^%[[^%[=]", self.at) then
    return nil
  end
  self:take("%[")
  local key = self:value()
  self:skip()
  if key == nil or type(key) == "table" or not self:take("]") then
    self:expect("a key and ']'")
  end
  self:skip()
  return self:take("=") and key or self:expect("'='")
end

-- Reads a field into `table`. Returns the index of the next field without a
-- key.
function Reader:field(table, index)
  local key = self:take_key()
  local place = self:line_of(self.at)
  if key == nil then
    key, index = index, index + 1
  elseif math.type(key) == "float" then
    key = math.tointeger(key) or key
  end
  local lines = self.lines[table]
  if lines[key] then
    self:fail("'%s' is set twice, first in line %d",
      tostring(key):sub(1, SHOWN), lines[key])
  end
  lines[key] = place
  table[key] = self:value()
  return index
end

function Reader:table()
  self:take("{")
  self.depth = self.depth + 1
  if self.depth > M.MAX_DEPTH then
    self:fail("more than %d tables inside of one another", M.MAX_DEPTH)
  end
  local result = {}
  self.lines[result] = {}
  local index = 1
  self:skip()
  while not self:take("}") do
    index = self:field(result, index)
    self:skip()
    if not self:take("[,;]") and not self.text:find("^}", self.at) then
      self:expect("',' or '}'")
    end
    self:skip()
  end
  self.depth = self.depth - 1
  return result
end

function Reader:whole()
  self:skip()
  if self:take("return%f[^%w_]") then
    self:skip()
  end
  if not self.text:find("^{", self.at) then
    self:expect("a table in braces")
  end
  local value = self:table()
  self:skip()
  self:take(";")
  self:skip()
  if self.at <= #self.text then
    self:expect("the end of the file")
  end
  return value
end

--- Reads a table from a text. Returns nil and a message with name and line if
--- it is malformed.
---@param text string
---@param name string  of the file, for messages
---@return table? value
---@return table<table, table<any, integer>>|string lines  of the fields, by
---  table and key
function M.parse(text, name)
  if #text > M.MAX_SIZE then
    return nil, ("%s: larger than %d bytes"):format(name, M.MAX_SIZE)
  end
  text = chunk_text(text)
  local reader = setmetatable({
    text = text, name = name, at = 1, depth = 0, lines = {},
    line = 1, newline = text:find("\n", 1, true),
  }, Reader)
  local read, value = pcall(reader.whole, reader)
  if read then
    return value, reader.lines
  elseif getmetatable(value) == Problem then
    return nil, value.text
  end
  error(value, 0)
end

--- Reads a table from a file.
---@param path string
---@param kind? "regular"  files of other kinds are refused: reading may not end
---@return table? value
---@return table<table, table<any, integer>>|string lines
---@return kadenza.Code? code  if the file cannot be read
function M.read(path, kind)
  local text, message, code = core.read_file(path, M.MAX_SIZE, kind)
  if not text then
    return nil, message, code
  end
  return M.parse(text, path)
end

----------------------------------------------------------------- writing --

local QUOTED <const> = { ["\n"] = "\\n", ["\t"] = "\\t", ['"'] = '\\"',
  ["\\"] = "\\\\" }

-- The escapes of `shown` are those of Lua.
local function quote(text)
  return '"' .. shown.line(text:gsub('[\n\t"\\]', QUOTED)) .. '"'
end

local function format_list(list)
  local items = {}
  for i, item in ipairs(list) do
    items[i] = M.format(item)
  end
  return #items == 0 and "{}" or "{ " .. table.concat(items, ", ") .. " }"
end

--- Returns a value as a literal: a string, a number, a boolean, or a list of
--- such values.
---@param value string|number|boolean|table
---@return string text
function M.format(value)
  if type(value) == "string" then
    return quote(value)
  elseif type(value) == "table" then
    return format_list(value)
  elseif math.type(value) == "float" then
    return ("%.17g"):format(value)
  end
  return tostring(value)
end

return M
