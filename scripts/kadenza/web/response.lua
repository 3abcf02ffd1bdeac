--- Responses of handlers, as an HTTP server sends them.
---
---     { status = 200, json = { found = true } }
---     { status = 200, headers = { ["Content-Type"] = "text/html" }, body = … }
---     response.error(404, "not_found", "no such record")

local json = require("kadenza.json")

local M = {}

--- Codes of errors that are the server's own, by status.
M.CODES = {
  [400] = "bad_request", [401] = "unauthorized", [403] = "forbidden",
  [404] = "not_found", [405] = "method_not_allowed",
  [421] = "misdirected_request", [500] = "internal_server_error",
  [503] = "service_unavailable",
}

--- Returns a response with an error.
---@param status integer
---@param code string  for programs
---@param message string  for people
---@param headers? table<string, string>
---@return table response
function M.error(status, code, message, headers)
  return { status = status, headers = headers,
    json = { error = { code = code, message = message } } }
end

-- The server's own business.
local RESERVED <const> = { connection = true, ["content-length"] = true,
  ["transfer-encoding"] = true, date = true }

local DEFAULTS <const> = {
  { "cache-control", "Cache-Control", "no-store" },
  { "x-content-type-options", "X-Content-Type-Options", "nosniff" },
}

-- No header at all; never changed.
local NONE <const> = {}

-- Appends a header to a list: name, value, name, value. A list of values is as
-- many headers.
local function add_header(list, name, value)
  if type(value) == "table" then
    for _, one in ipairs(value) do
      add_header(list, name, one)
    end
    return
  end
  list[#list + 1] = name
  list[#list + 1] = tostring(value)
end

-- Returns the type of a response that names none.
local function type_of(response)
  if response.json ~= nil then
    return "application/json"
  elseif response.stream then
    return "application/octet-stream"
  end
  return "text/plain; charset=utf-8"
end

-- Adds the headers of a handler; returns their names in lower case.
local function add_given(list, headers)
  local given = {}
  for name, value in pairs(headers) do
    local lower = type(name) == "string" and name:lower()
    if not lower or RESERVED[lower] then
      error(("a handler must not set the header '%s'"):format(tostring(name)),
        0)
    end
    given[lower] = true
    add_header(list, name, value)
  end
  return given
end

local function status_of(response)
  local status = response.status or 200
  if math.type(status) ~= "integer" or status < 200 or status > 599 then
    error("the status of a response must be from 200 to 599", 0)
  end
  return status
end

local function body_of(response)
  if response.json ~= nil then
    return json.encode(response.json) .. "\n"
  end
  local body = response.body or ""
  if type(body) ~= "string" then
    error("the body of a response must be a string, not " .. type(body), 0)
  end
  return body
end

local function encode(response)
  local status, body = status_of(response), body_of(response)
  local list = {}
  local given = response.headers and add_given(list, response.headers) or NONE
  if not given["content-type"] and (body ~= "" or response.stream) then
    add_header(list, "Content-Type", type_of(response))
  end
  for _, default in ipairs(DEFAULTS) do
    if not given[default[1]] then
      add_header(list, default[2], default[3])
    end
  end
  return status, list, body
end

--- Returns the status, the headers as a list (name, value, name, value …) and
--- the body. Raises for a response that is none.
---
--- A handler that returns one response again and again, and never changes it,
--- may set `is_kept`: then it is encoded once. The list must not be changed.
---@param response table
---@return integer status
---@return string[] headers
---@return string body
function M.encode(response)
  if type(response) ~= "table" then
    error("a handler must return a response, not " .. type(response), 0)
  elseif not response.is_kept then
    return encode(response)
  end
  local encoded = response.encoded
  if not encoded then
    encoded = table.pack(encode(response))
    response.encoded = encoded
  end
  return encoded[1], encoded[2], encoded[3]
end

return M
