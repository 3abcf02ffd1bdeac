--- The hook of a route: unpacks the request, calls the policy's function, and
--- checks and packs what it returns. It runs in the policy's state.
--
-- A request and a response cross the states as packed plain values. What a
-- function returns is checked by type, value and range; a mistake is an error
-- that names it, and counts as a failure of the hook.
--
-- Tested by tests/spec/policy/http_spec.lua.

local core = require("kadenza.core")
local plain_json = require("kadenza.plain_json")
local suggest = require("kadenza.suggest")

local M = {}

--- Largest body of a response, in bytes.
M.MAX_BODY = 1000000

local MAX_HEADERS <const> = 64
local MAX_HEADER <const> = 4096 -- bytes of a name and its value
local MAX_REASON <const> = 1000 -- bytes

-- Headers that the server writes.
local TAKEN <const> = { ["content-length"] = true, connection = true,
  ["transfer-encoding"] = true, date = true, upgrade = true, trailer = true,
  ["keep-alive"] = true, te = true }

-- Statuses without a body.
local EMPTY <const> = { [204] = true, [205] = true, [304] = true }

local COPIED <const> = 16 -- bytes that are copied in the time of an instruction

-- Charges a policy in a VM for the bytes that C copies.
local function charge_copy(bytes)
  if core.charge then
    core.charge(#bytes // COPIED)
  end
end

-- Without methods of strings: policies pay for them.

local function fail(...)
  error(string.format(...), 0)
end

----------------------------------------------------------------- request --

---@class kadenza.HttpRequest
local Request = {}

--- Returns the body as a value of JSON; nil and a message if it is none.
---@return any value
---@return string? message
function Request:json()
  if core.charge then
    core.charge(#self.body)
  end
  return plain_json.decode(self.body)
end

--- The fields of a request.
M.FIELDS = { method = true, path = true, params = true, query = true,
  headers = true, body = true, from = true, json = true }

local META <const> = {
  __name = "kadenza.HttpRequest",
  __metatable = false,
  __index = function(_, name)
    if not M.FIELDS[name] then
      error(string.format("an HTTP request has no field '%s'%s",
        tostring(name), suggest.hint(tostring(name), M.FIELDS)), 2)
    end
    return Request[name]
  end,
}

local function to_request(packed)
  charge_copy(packed)
  return setmetatable(core.unpack_plain(packed), META)
end

---------------------------------------------------------------- response --

local function check_header(name, value, seen)
  if type(name) ~= "string"
    or not string.find(name, "^[%w!#$%%&'*+.^_`|~-]+$")
  then
    fail("returned a header whose name is not one: '%s'", tostring(name))
  elseif type(value) ~= "string" and math.type(value) ~= "integer" then
    fail("returned a header '%s' that is a %s, not a string", name,
      type(value))
  end
  local lower, text = string.lower(name), tostring(value)
  if TAKEN[lower] then
    fail("returned a header '%s', which the server writes itself", name)
  elseif seen[lower] then
    fail("returned the header '%s' twice", name)
  elseif text == "" then
    fail("returned a header '%s' without a value", name)
  elseif #name + #text > MAX_HEADER then
    fail("returned a header '%s' of more than %d bytes", name, MAX_HEADER)
  elseif string.find(text, "[%c\127]") then
    fail("returned a header '%s' with a control character", name)
  end
  return lower, text
end

local function check_headers(headers)
  if type(headers) ~= "table" then
    fail("returned headers that are a %s, not a table", type(headers))
  end
  local checked, count = {}, 0
  for name, value in next, headers do
    count = count + 1
    if count > MAX_HEADERS then
      fail("returned more than %d headers", MAX_HEADERS)
    end
    local lower, text = check_header(name, value, checked)
    checked[lower] = text
  end
  return checked
end

local function check_status(status, least)
  if math.type(status) ~= "integer" or status < least or status > 599 then
    fail("returned a status that is not an integer in %d to 599", least)
  end
  return status
end

-- Returns the body of a response, and its type.
local function body_of(given)
  local body, json = rawget(given, "body"), rawget(given, "json")
  if json ~= nil and body ~= nil then
    fail("returned both a body and json")
  elseif json ~= nil then
    return plain_json.encode(json, "response.json"), "application/json"
  elseif body ~= nil and type(body) ~= "string" then
    fail("returned a body that is a %s, not a string", type(body))
  end
  return body or "", body and "text/plain; charset=utf-8"
end

local RESPONSE_KEYS <const> = { status = true, headers = true, body = true,
  json = true }

local function check_keys(given)
  for key in next, given do
    if not RESPONSE_KEYS[key] then
      fail("returned a response with the unknown field '%s'%s", tostring(key),
        suggest.hint(tostring(key), RESPONSE_KEYS))
    end
  end
end

-- Returns the status in a response or refusal, or the default.
local function status_of(status, least, default)
  return status == nil and default or check_status(status, least)
end

local function check_response(given)
  check_keys(given)
  local headers = check_headers(rawget(given, "headers") or {})
  local status = status_of(rawget(given, "status"), 200, 200)
  local body, kind = body_of(given)
  charge_copy(body)
  if #body > M.MAX_BODY then
    fail("returned a body of more than %d bytes", M.MAX_BODY)
  elseif body ~= "" and EMPTY[status] then
    fail("returned a body with the status %d, which has none", status)
  end
  headers["content-type"] = headers["content-type"] or kind or nil
  return { status = status, headers = headers, body = body }
end

local function check_refusal(reason, status)
  if type(reason) ~= "string" then
    fail("returned %s where a response, a table, or nil and a reason, is "
      .. "expected", reason == nil and "nothing" or "a reason that is a "
      .. type(reason))
  elseif #reason > MAX_REASON then
    fail("returned a reason of more than %d bytes", MAX_REASON)
  end
  return { reason = reason, status = status_of(status, 400, 400) }
end

-- Returns what a function of a policy has returned, checked and packed.
local function pack_result(response, reason, status)
  if response == nil then
    return core.pack_plain(check_refusal(reason, status), "the response")
  elseif type(response) ~= "table" then
    fail("returned %s where a response, a table, or nil and a reason, is "
      .. "expected", type(response))
  end
  return core.pack_plain(check_response(response), "the response")
end

--- Returns the hook of a route: a function of packed bytes and a context, which
--- returns packed bytes.
---@param fn kadenza.HttpHandler
---@return async fun(packed: string, ctx: kadenza.Context): string
function M.wrap(fn)
  return function(packed, context)
    return pack_result(fn(to_request(packed), context))
  end
end

return M
