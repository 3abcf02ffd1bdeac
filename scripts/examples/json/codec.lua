--- A policy with which a node speaks JSON, through lua-cjson (Debian:
--- lua-cjson). The file must be trusted, because cjson is a C module:
--
--     kad.node {
--       policies = { { file = "scripts/examples/json/codec.lua",
--         trusted = true } },
--     }
--
-- JSON has neither bytes nor large integers. A string that is not printable
-- ASCII, or that begins with one of the following prefixes, becomes "hex:" with
-- its bytes in hexadecimal; an integer of more than 14 digits becomes "int:"
-- with its digits.

local cjson = require("cjson").new()

local LARGEST <const> = 100000000000000

-- Deeper than any valid message; deeper input is malformed.
cjson.decode_max_depth(20)

local function write_string(text)
  local plain = not text:find("[^ -~]")
  if plain and not text:find("^hex:") and not text:find("^int:") then
    return text
  end
  return "hex:" .. text:gsub(".", function(byte)
    return string.format("%02x", byte:byte())
  end)
end

local function read_string(text)
  local kind, rest = text:match("^(%l%l%l):(.*)$")
  if kind == "int" then
    return math.tointeger(tonumber(rest))
  elseif kind == "hex" then
    return (rest:gsub("%x%x", function(digits)
      return string.char(tonumber(digits, 16))
    end))
  end
  return text
end

-- Converts a value of a message to one that JSON can represent.
local function to_json(value)
  if type(value) == "string" then
    return write_string(value)
  elseif math.type(value) == "integer"
    and (value >= LARGEST or value <= -LARGEST) then
    return "int:" .. value
  elseif type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, item in pairs(value) do
    copy[type(key) == "string" and write_string(key) or key] = to_json(item)
  end
  return copy
end

-- Converts a value of JSON back. cjson returns all numbers as floats.
local function from_json(value)
  if type(value) == "string" then
    return read_string(value)
  elseif type(value) == "number" then
    return math.tointeger(value)
  elseif type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, item in pairs(value) do
    copy[type(key) == "string" and read_string(key) or key] = from_json(item)
  end
  return copy
end

return {
  name = "json",
  codec = {
    encode = function(message)
      return cjson.encode(to_json(message))
    end,
    decode = function(bytes)
      local fine, message = pcall(cjson.decode, bytes)
      return fine and type(message) == "table" and from_json(message) or nil
    end,
  },
}
