--- Reads what a client sends: keys in paths, parameters behind `?`, and the
--- fields of JSON bodies. Rules say what each may be; an unknown name is an
--- error, so that a misspelt option is not ignored.
---
---     local RULES <const> = { type = parameters.TYPE }
---     local options, message = parameters.query(request.query, RULES)
---
--- Tested by tests/spec/web/api/records_spec.lua and the specs beside it.

local core = require("kadenza.core")
local json_reader = require("kadenza.json_reader")
local shown = require("kadenza.shown")

local M = {}

local MAX_NAME <const> = 200 -- characters of a name that is hashed
local MAX_TYPE <const> = 32
local MAX_SALT <const> = 64
local MAX_SHOWN <const> = 40
local MAX_TTL <const> = 0xffffffff
local MAX_HOLDERS <const> = 20

--- A rule reads a text of a query, or a value of JSON: returns the value, or
--- nil, the end of a message that begins with the name, and the status of the
--- response if that is not 400.
---@alias kadenza.web.Rule fun(value: any): any, string?, integer?

local function shown_value(value)
  if type(value) == "string" then
    return "'" .. shown.start(value, MAX_SHOWN) .. "'"
  end
  return math.type(value) and tostring(value) or "a " .. type(value)
end

local function wrong(requirement, value)
  return nil, ("must be %s, not %s"):format(requirement, shown_value(value))
end

------------------------------------------------------------------- rules --

-- Returns the rule of an integer from `from` to `to`. A text has its digits.
local function integer(from, to)
  return function(value)
    local number = value
    if type(value) == "string" then
      number = value:find("^%-?%d+$") and tonumber(value)
    end
    number = json_reader.integer(number)
    if not number or number < from or number > to then
      return wrong(("an integer of %d to %d"):format(from, to), value)
    end
    return number
  end
end

-- Returns the rule of bytes in hexadecimal.
local function hex(bytes)
  return function(value)
    local text = type(value) == "string" and #value == 2 * bytes
      and core.unhex(value)
    if not text then
      return wrong(("%d hexadecimal digits"):format(2 * bytes), value)
    end
    return text
  end
end

-- Returns what is wrong with bytes of which there may be `most`.
local function too_long(bytes, most)
  return nil, ("must have at most %d bytes, not %d"):format(most, #bytes), 413
end

-- Returns the rule of a text of at most `most` bytes.
local function text(most)
  return function(value)
    if type(value) ~= "string" then
      return wrong("a text", value)
    elseif #value > most then
      return too_long(value, most)
    end
    return value
  end
end

-- Returns the rule of base64 of at most `most` bytes.
local function base64(most)
  return function(value)
    local bytes = type(value) == "string" and core.unbase64(value)
    if not bytes then
      return wrong("base64", value)
    elseif #bytes > most then
      return too_long(bytes, most)
    end
    return bytes
  end
end

local SWITCHES <const> = { [""] = true, ["1"] = true, ["true"] = true,
  ["0"] = false, ["false"] = false }

--- A switch: true or false; in a query also the name alone.
---@type kadenza.web.Rule
function M.SWITCH(value)
  local is_on = value
  if type(value) == "string" then
    is_on = SWITCHES[value]
  end
  if type(is_on) ~= "boolean" then
    return wrong("true or false", value)
  end
  return is_on
end

--- A record type: printable ASCII without blanks.
---@type kadenza.web.Rule
function M.TYPE(value)
  if type(value) ~= "string" or #value > MAX_TYPE
    or not value:find("^[!-~]+$") then
    return wrong(("1 to %d printable characters"):format(MAX_TYPE), value)
  elseif value == "peers" then
    return nil, "must not be peers, which have /v1/peers"
  end
  return value
end

M.COUNTER = integer(0, math.maxinteger)
M.HOLDERS = integer(1, MAX_HOLDERS)
M.PORT = integer(1, 65535)
M.PUBLISHER = hex(32)
M.SALT = text(MAX_SALT)
M.SALT_BASE64 = base64(MAX_SALT)
M.SEQ = integer(math.mininteger, math.maxinteger)
M.SIGNATURE = hex(64)
M.TTL = integer(1, MAX_TTL)

--- Returns the rule of a text of at most `most` bytes.
M.text = text

--- Returns the rule of base64 of at most `most` bytes.
M.base64 = base64

------------------------------------------------------------------- parts --

--- Returns the key that a path names: its hexadecimal digits, or `name:TEXT`,
--- whose TEXT is hashed.
---@param path string  the decoded part of the path
---@param bits 160|256
---@return string? key
---@return string? message
function M.key(path, bits)
  local name = path:match("^name:(.*)$")
  local length = name and (utf8.len(name) or #name)
  if name and (length < 1 or length > MAX_NAME) then
    return nil, ("the name of a key must have 1 to %d characters, not %d")
      :format(MAX_NAME, length)
  elseif name then
    return core.key(name, bits)
  elseif #path == bits // 4 and not path:find("%X") then
    return core.unhex(path)
  end
  return nil, ("a key must be %d hexadecimal digits, or name:TEXT, which is "
    .. "hashed, not %s"):format(bits // 4, shown_value(path))
end

-- Reads named values by their rules.
local function read(given, rules)
  local values = {}
  for name, value in pairs(given) do
    local rule = rules[name]
    if not rule then
      return nil, "unknown parameter " .. shown_value(tostring(name)), 400
    end
    local checked, problem, status = rule(value)
    if checked == nil then
      return nil, name .. " " .. problem, status or 400
    end
    values[name] = checked
  end
  return values
end

--- Reads the parameters behind `?`.
---@param query? table<string, string>
---@param rules table<string, kadenza.web.Rule>
---@return table? values
---@return string? message
---@return integer? status
function M.query(query, rules)
  return read(query or {}, rules)
end

--- Makes one field, `NAME`, of its two forms, `NAME` and `NAME_base64`.
---@param values table
---@param name string
---@return true? united
---@return string? message  both are there
function M.unite(values, name)
  local coded = name .. "_base64"
  if values[name] ~= nil and values[coded] ~= nil then
    return nil, ("both %s and %s"):format(name, coded)
  end
  values[name] = values[name] or values[coded]
  values[coded] = nil
  return true
end

-- Returns the media type of a body without its parameters, in lower case.
local function media_type(request)
  local text_of_type = request.headers["content-type"]
  return text_of_type and text_of_type:match("^%s*([^;%s]*)"):lower()
end

M.media_type = media_type

--- Reads a JSON body, an object. If `optional`, an empty body is an empty
--- object.
---@param request table
---@param rules table<string, kadenza.web.Rule>
---@param optional? boolean
---@return table? values
---@return string? message
---@return integer? status
function M.body(request, rules, optional)
  local kind = media_type(request)
  if optional and request.body == "" then
    return {}
  elseif kind ~= "application/json" then
    return nil, "the body must have the Content-Type application/json, not "
      .. (kind and shown_value(kind) or "none"), 415
  end
  local object, problem = json_reader.read(request.body)
  if object == nil then
    return nil, "the body is not JSON: " .. problem, 400
  elseif not json_reader.is_object(object) then
    return nil, "the body must be a JSON object", 400
  end
  return read(object, rules)
end

return M
