--- The target of an HTTP request: a path, and a query behind it.
--
--     target.split("/v1/records/a%2Fb?type=value&watch")
--     -- "/v1/records/a%2Fb", "type=value&watch"
--     target.query("type=value&watch")   -- { type = "value", watch = "" }
--
-- Every function bounds what it makes. Names and values are bytes.

local M = {}

-- Names of a query that are read. More are an error.
local MAX_NAMES <const> = 64

--- Decodes percent-encoding.
---@param text string
---@return string? bytes  nil: a '%' is not followed by two hexadecimal digits
function M.decode(text)
  if not text:find("%", 1, true) then
    return text
  end
  local decoded, count = text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  local _, signs = text:gsub("%%", "")
  return count == signs and decoded or nil
end

--- Splits a target. One with a scheme and a host, as for a proxy, is taken for
--- its path.
---@param text string
---@return string? path  begins with '/', or is '*'; still encoded
---@return string? query  without the '?'; nil: there is none
function M.split(text)
  local path, query = text:match("^([^?#]*)%??([^#]*)")
  local behind = path:match("^https?://[^/]*(.*)$")
  if behind then
    path = behind == "" and "/" or behind
  end
  if path ~= "*" and path:sub(1, 1) ~= "/" then
    return nil
  end
  return path, query ~= "" and query or nil
end

-- Decodes a name or a value of a query, where '+' is a blank.
local function decode_field(text)
  return M.decode((text:gsub("+", " ")))
end

--- Reads a query. A name without '=' has the value "". Of a name that is there
--- more than once, the first value counts.
---@param text? string
---@return table<string, string>? fields  nil: it is malformed
function M.query(text)
  local fields, count = {}, 0
  for field in (text or ""):gmatch("[^&]+") do
    local name, value = field:match("^([^=]*)=?(.*)$")
    name, value = decode_field(name), decode_field(value)
    count = count + 1
    if not (name and value) or count > MAX_NAMES then
      return nil
    end
    if fields[name] == nil then
      fields[name] = value
    end
  end
  return fields
end

return M
