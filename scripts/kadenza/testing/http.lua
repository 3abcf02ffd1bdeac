--- Requests over HTTP in tests: a policy serves them in virtual time, and no
--- server and no socket is needed.
--
-- Tested by tests/spec/testing/http_spec.lua.

local check = require("kadenza.check")
local plain_json = require("kadenza.plain_json")

local M = {}

---@class kadenza.testing.RequestFields
---@field query? table<string, string>
---@field headers? table<string, string>  names in lower case
---@field body? string
---@field json? any  the body, encoded
---@field from? string  the client; default "192.0.2.1:50000"

--- What the client of a request receives.
---@class kadenza.testing.Response
---@field status integer
---@field headers table<string, string>
---@field body string
---@field json? any  the body of "application/json", decoded
---@field error? string  why there is no response of the policy
local Response = {}
Response.__name = "kadenza.testing.Response"

function Response:__tostring()
  return self.status .. ": " .. (self.error or self.body)
end

local FROM <const> = "192.0.2.1:50000"
local OPTIONS <const> = { query = "table", headers = "table", body = "string",
  json = {}, from = "string" }

--- Returns a request for `start`.
---@param method string
---@param path string
---@param options? kadenza.testing.RequestFields
---@param level integer  of errors, as of `error`
---@return kadenza.HttpRequestFields request
function M.request(method, path, options, level)
  check.kind(method, "string", "method", level + 1)
  check.kind(path, "string", "path", level + 1)
  options = check.with_defaults(options, level + 1, OPTIONS)
  local headers, body = {}, options.body
  if options.json ~= nil then
    headers["content-type"] = "application/json"
    body = plain_json.encode(options.json, "json")
  end
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  return { method = method, path = path, query = options.query,
    headers = headers, body = body, from = options.from or FROM }
end

-- Returns the results of node:serve_http as a response.
local function to_response(answer, message, status)
  if not answer then
    return setmetatable({ status = status, headers = {}, body = "",
      error = message }, Response)
  end
  if answer.headers["content-type"] == "application/json" then
    answer.json = plain_json.decode(answer.body)
  end
  return setmetatable(answer, Response)
end

--- Starts a request. `done(response)` is called when it has ended.
---@param node kadenza.Node
---@param request kadenza.HttpRequestFields
---@param done fun(response: kadenza.testing.Response)
function M.start(node, request, done)
  node:serve_http(request, function(...)
    done(to_response(...))
  end)
end

return M
