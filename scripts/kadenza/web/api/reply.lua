--- The responses of the API that are not specific to one route: errors, and
--- which HTTP status each failure of the node has.
--- Tested by tests/spec/web/api/reply_spec.lua.

local shown = require("kadenza.shown")

local M = {}

--- Seconds after which a client may try again what failed because too much
--- waits.
local RETRY_SECONDS <const> = 1

--- The status of each failure of an operation. docs/http.md has this table.
---@type table<kadenza.Code, integer>
M.STATUSES = {
  KAD_EINVAL = 400,
  KAD_EMALFORMED = 400,
  KAD_ETYPE = 422,
  KAD_EREFUSED = 422,
  KAD_ESIGNATURE = 422,
  KAD_EMARTIAN = 422,
  KAD_EBLOCKED = 422,
  KAD_EOWNID = 422,
  KAD_EID = 422,
  KAD_ESUBNET = 422,
  KAD_EADDRESS = 422,
  KAD_ENOTFOUND = 404,
  KAD_ECAS = 409,
  KAD_ESEQ = 409,
  KAD_ECONFLICT = 409,
  KAD_ETOOBIG = 413,
  KAD_EQUOTA = 429,
  KAD_ESYSTEM = 500,
  KAD_EACCESS = 500,
  KAD_EADDRINUSE = 500,
  KAD_EADDRNOTAVAIL = 500,
  KAD_ECODEC = 500,
  KAD_EREMOTE = 502,
  KAD_EFEWER = 502,
  KAD_ERESOLVE = 502,
  KAD_EFAMILY = 502,
  KAD_ENOROUTE = 502,
  KAD_ENOCONTACTS = 503,
  KAD_EBUSY = 503,
  KAD_EFULL = 503,
  KAD_ECLOSED = 503,
  KAD_ECANCELED = 503,
  KAD_ENOMEM = 503,
  KAD_ETIMEOUT = 504,
}

--- The status of an error number that other nodes sent; 502 for another.
---@type table<integer, integer>
M.REMOTE_STATUSES = {
  [201] = 422, -- refused by the policy of the other nodes
  [204] = 404, -- they do not know the query
  [205] = 413,
  [206] = 422,
  [207] = 413,
  [301] = 409,
  [302] = 409,
}

--- Returns an error response.
---@param status integer
---@param code string  a name for programs
---@param message string  for people
---@param more? table  fields of `error` beside these
---@return table response
function M.error(status, code, message, more)
  local fields = { code = code, message = shown.line(message) }
  for name, value in pairs(more or {}) do
    fields[name] = value
  end
  local response = { status = status, json = { error = fields } }
  if status == 503 or status == 429 then
    response.headers = { ["Retry-After"] = tostring(RETRY_SECONDS) }
  end
  return response
end

--- Returns the response for a request that is malformed, or too large.
---@param message string
---@param status? integer  default: 400
---@return table response
function M.malformed(message, status)
  return M.error(status or 400, status == 413 and "KAD_ETOOBIG"
    or "malformed", message)
end

--- Returns the response for a failed operation of the node.
---@param message string
---@param code kadenza.Code
---@param details? kadenza.Info|table
---@return table response
function M.failure(message, code, details)
  local number = type(details) == "table" and details.krpc or nil
  local status = M.STATUSES[code] or 500
  if code == "KAD_EREMOTE" and number then
    status = M.REMOTE_STATUSES[number] or status
  end
  return M.error(status, code, message, {
    krpc = number,
    seq = type(details) == "table" and details.seq or nil,
  })
end

return M
