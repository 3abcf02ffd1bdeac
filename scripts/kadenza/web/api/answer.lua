--- Responses with an answer that may be kept: their validators and ages.
--- Tested by tests/spec/web/api/records_spec.lua.

local json = require("kadenza.json")
local kad = require("kadenza")

local M = {}

--- How long an answer that may change is fresh, in seconds.
M.FRESH_SECONDS = 10

local LONGEST <const> = 86400

--- Returns how long an answer is fresh: no longer than the record lives.
---@param ttl? integer  seconds that the record lives
---@param is_final? boolean  the answer can never change
---@return integer seconds
function M.life(ttl, is_final)
  local most = is_final and LONGEST or M.FRESH_SECONDS
  return math.max(math.min(ttl or most, most), 1)
end

--- Tells whether a client has what an ETag names (RFC 9110, If-None-Match).
---@param request table
---@param etag string  `"…"` or `W/"…"`
---@return boolean
function M.has(request, etag)
  local given = request.headers["if-none-match"]
  if not given then
    return false
  elseif given:match("^%s*%*%s*$") then
    return true
  end
  local opaque = etag:match('"[^"]*"')
  for other in given:gmatch('"[^"]*"') do
    if other == opaque then
      return true
    end
  end
  return false
end

--- Tells whether a client wants an answer that is not kept.
---@param request table
---@return boolean
function M.wants_fresh(request)
  local control = request.headers["cache-control"]
  return control ~= nil and control:lower():find("no-cache", 1, true) ~= nil
end

-- Returns how precisely a range of an Accept header names a media type: 0 if
-- it does not.
local function precision_of(range, kind)
  local name = range:match("^%s*([^;%s]*)"):lower()
  return name == kind and 3 or name == kind:match("^[^/]+") .. "/*" and 2
    or name == "*/*" and 1 or 0
end

-- Returns the quality of a media type in an Accept header, 0 to 1: that of the
-- most precise range.
local function quality_of(accept, kind)
  local quality, precision = 0, 0
  for range in accept:gmatch("[^,]+") do
    local found = precision_of(range, kind)
    if found > precision then
      precision = found
      quality = tonumber(range:match(";%s*[qQ]=([%d.]+)") or 1) or 1
    end
  end
  return quality
end

--- Returns the media type that a client likes best, the first of several; nil
--- if it takes none.
---@param request table
---@param kinds string[]
---@return string? kind
function M.choose(request, kinds)
  local accept = request.headers["accept"]
  if not accept or accept == "*/*" then
    return kinds[1]
  end
  local chosen, best = nil, 0
  for _, kind in ipairs(kinds) do
    local quality = quality_of(accept, kind)
    if quality > best then
      chosen, best = kind, quality
    end
  end
  return chosen
end

--- Returns the headers of an answer. `Age` says how long it has been kept.
---@param answer kadenza.web.Answer
---@param now number
---@return table<string, string> headers
function M.headers(answer, now)
  local life = math.tointeger(math.floor(answer.life))
  return {
    ["Cache-Control"] = ("max-age=%d%s"):format(life,
      answer.is_final and ", immutable" or ""),
    ["Age"] = tostring(math.tointeger(math.floor(math.max(
      now - answer.began, 0)))),
  }
end

--- Returns the response of an answer that has a `document`.
---@param answer kadenza.web.Answer
---@param order string[]  names of fields that come first
---@return table response
function M.document(answer, order)
  answer.text = answer.text or json.encode(answer.document, order) .. "\n"
  local headers = M.headers(answer, kad.now())
  headers["Content-Type"] = "application/json"
  return { status = 200, headers = headers, body = answer.text }
end

return M
