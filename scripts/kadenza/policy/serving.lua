--- Requests over HTTP for the policies of a node, in the program's state: finds
-- the route of a request, calls its hook, and returns the response.
--
--     local response, message, status = node:serve_http({ method = "GET",
--       path = "/poll/lunch" }) -- in a task
--
-- It knows nothing of sockets: a server of HTTP calls it, or a test.
--
-- Tested by tests/spec/policy/http_spec.lua.

local answers = require("kadenza.policy.answers")
local check = require("kadenza.check")
local core = require("kadenza.core")
local route = require("kadenza.policy.route")
local task = require("kadenza.task")

local M = {}

--- Largest body of a request, in bytes. Policies store records of 1,000 bytes;
--- to read a longer body as JSON could cost a hook its budget.
M.MAX_BODY = 65536

local NO_ROUTE <const> = "no policy serves this path"

-- What a caller is told when a hook was not called.
local REFUSALS <const> = {
  failed = { "the policy failed", 500 },
  open = { "the policy keeps failing: try again in 30 seconds", 503 },
  stopped = { "the policies are stopped", 503 },
  busy = { "too many requests wait for policies", 503 },
  closing = { "the node is closing", 503 },
  late = { "the policy did not answer in time", 504 },
}

---@class kadenza.HttpCall
---@field private done? fun(...)  nil once it has been called

-- The calls of one handle of policies.
local Service = {}
Service.__index = Service

local function new_service(node, handle)
  local self = setmetatable({
    handle = handle,
    net = node.net,
    all = node.served_calls, -- of all handles of the node
    calls = {}, -- id → call
    early = {}, -- id → answer that came before the id was known
    routes = core.unpack_plain(assert(handle:ask("routes", ""))),
  }, Service)
  answers.take(handle, "requests", function(id, succeeded, bytes)
    self:take_answer(id, succeeded, bytes)
  end)
  return self
end

-- Cancels all calls of a node that closes.
local function cancel_all(node)
  local calls = {}
  for call in pairs(node.served_calls) do
    calls[#calls + 1] = call
  end
  for _, call in ipairs(calls) do
    call:finish("closing")
  end
end

-- Returns the service of the policies of a node; nil if it has none.
local function service_of(node)
  local handle = node.policy_handle
  if not handle then
    return nil
  end
  if not node.served_calls then
    node.served_calls = {}
    node:on_close(cancel_all)
  end
  if not node.service or node.service.handle ~= handle then
    node.service = new_service(node, handle)
  end
  return node.service
end

------------------------------------------------------------------- calls --

local Call = {}
Call.__index = Call

-- Ends a call: with a response or a refusal that a hook has packed, or with
-- the name of a refusal.
function Call:finish(why, bytes)
  local done = self.done
  if not done then
    return
  end
  self.done = nil
  self.service.all[self] = nil
  if self.id then -- its hook still waits
    self.service:cancel(self)
  end
  if bytes then
    local answer = core.unpack_plain(bytes)
    if answer.reason then
      done(nil, answer.reason, answer.status)
    else
      done(answer)
    end
  else
    done(nil, table.unpack(REFUSALS[why or "failed"]))
  end
end

-- Takes the answer to a call that was pending. It comes from inside of the
-- policies' state, so it is passed on in the next turn.
function Service:take_answer(id, succeeded, bytes)
  local call = self.calls[id]
  if not call then
    self.early[id] = { bytes = succeeded and bytes or nil }
  elseif self.net:is_open() then
    self.calls[id] = nil
    self.net:stop_timer(call.timer)
    call.id = nil
    self.net:start_timer(0, function()
      call:finish(nil, bytes)
    end)
  end
end

-- Cancels the hook of a call that is pending.
function Service:cancel(call)
  self.calls[call.id] = nil
  if self.net:is_open() then
    self.net:stop_timer(call.timer)
    self.handle:cancel_served(call.id)
  end
end

-- Waits for a call that is pending, up to its deadline.
function Service:await(call, id, deadline_ms)
  local early = self.early[id]
  if early then
    self.early[id] = nil
    call:finish(nil, early.bytes)
    return
  end
  call.id = id
  self.calls[id] = call
  call.timer = self.net:start_timer(deadline_ms, function()
    call:finish("late")
  end)
end

-- Calls the hook of a route. Returns a function that cancels the call.
function Service:call(found, packed, done)
  local call = setmetatable({ service = self, done = done }, Call)
  self.all[call] = true
  self.early = {}
  local result, why = self.handle:serve(found.call, packed)
  if math.type(result) == "integer" then
    self:await(call, result, found.deadline_ms)
  elseif result then
    call:finish(nil, result)
  else
    call:finish(why)
  end
  return function()
    call:finish("closing")
  end
end

---------------------------------------------------------------- requests --

-- The fields of a request, those that it must have first.
local REQUEST <const> = { { "method", "string" }, { "path", "string" },
  { "query", "table" }, { "headers", "table" }, { "body", "string" },
  { "from", "string" } }
local NEEDED <const> = 2

-- Raises unless a part of a request is a table of texts.
local function check_texts(request, name, level)
  for key, value in pairs(request[name] or {}) do
    if type(key) ~= "string" or type(value) ~= "string" then
      error("request." .. name .. " must have texts by their names", level + 1)
    end
  end
end

local function check_request(request, level)
  check.kind(request, "table", "request", level + 1)
  for i, field in ipairs(REQUEST) do
    local name, kind = field[1], field[2]
    if request[name] ~= nil or i <= NEEDED then
      check.kind(request[name], kind, "request." .. name, level + 1)
    end
  end
  check_texts(request, "query", level + 1)
  check_texts(request, "headers", level + 1)
end

-- Returns a request as its hook receives it, packed.
local function pack_request(request, found, params)
  return core.pack_plain({
    method = found.method,
    path = request.path,
    params = params,
    query = request.query or {},
    headers = request.headers or {},
    body = request.body or "",
    from = request.from or "",
  }, "the request")
end

-- Returns the route of a request and its parameters; nil, a message, a status
-- and the methods in use at the path.
local function find_route(service, method, path)
  local found, params = route.find(service and service.routes or {}, method,
    path)
  if found then
    return found, params
  elseif #params > 0 then
    return nil, "no policy serves " .. method .. " here, but "
      .. table.concat(params, ", "), 405, params
  end
  return nil, NO_ROUTE, 404, params
end

-- Tells whether names and values are UTF-8. A policy that shows them as JSON
-- would fail else, and its circuit breaker open, whenever a client likes.
local function are_utf8(texts)
  for name, text in pairs(texts or {}) do
    if not utf8.len(name) or not utf8.len(text) then
      return false
    end
  end
  return true
end

-- Serves a request whose route is known.
local function serve(service, found, request, params, done)
  if route.is_of_node(found, params) then
    done(nil, NO_ROUTE, 404)
    return nil
  elseif not (are_utf8(params) and are_utf8(request.query)) then
    done(nil, "the path or the query is not UTF-8", 400)
    return nil
  elseif #(request.body or "") > M.MAX_BODY then
    done(nil, "the body has more than " .. M.MAX_BODY .. " bytes", 413)
    return nil
  end
  return service:call(found, pack_request(request, found, params), done)
end

---@class kadenza.ServedRoute: kadenza.HttpRoute
---@field serve async fun(request: table): table?, string?, integer?

--- Returns the routes of a node, each with a function that serves a request
--- whose `params` are known; until the policies are replaced.
---@param node kadenza.Node
---@return kadenza.ServedRoute[] routes
function M.routes(node)
  local service, routes = service_of(node), node:http_routes()
  for i, found in ipairs(routes) do
    local own = service.routes[i]
    found.serve = function(request)
      return task.wait(function(resume)
        return serve(service, own, request, request.params, resume)
      end)
    end
  end
  return routes
end

----------------------------------------------------------------- methods --

---@class kadenza.Node
local Node = {}

M.methods = Node

---@class kadenza.HttpRequestFields
---@field method "GET"|"HEAD"|"PUT"|"POST"|"DELETE"|"PATCH"
---@field path string  decoded, without query: "/poll/lunch"
---@field query? table<string, string>
---@field headers? table<string, string>  names in lower case
---@field body? string
---@field from? string  the client, "ip:port"

---@class kadenza.HttpResponse
---@field status integer
---@field headers table<string, string>  names in lower case
---@field body string

--- Passes an HTTP request to the policy that serves it. It is the caller who
--- decides whether the client may send it: see `auth` of `http_routes`.
---@async
---@param request kadenza.HttpRequestFields
---@param callback? fun(response?, message?, status?, methods?)
---@return kadenza.HttpResponse? response
---@return string? message  without a response: why, for the client
---@return integer? status  of HTTP
---@return string[]? methods  with 405: those that are served at this path
function Node:serve_http(request, callback)
  check.open(self, 2)
  check_request(request, 2)
  local service = service_of(self)
  return task.operate(function(done)
    local found, params, status, methods =
      find_route(service, request.method, request.path)
    if found then
      return serve(service, found, request, params, done)
    end
    done(nil, params, status, methods)
  end, callback)
end

---@class kadenza.HttpRoute
---@field method string
---@field pattern string  "/poll/:name"
---@field policy string  the name of the policy that serves it
---@field auth? "write"  the operator's token is needed; nil: anyone may

--- Returns the routes that the node's policies serve, in no order.
---@return kadenza.HttpRoute[] routes
function Node:http_routes()
  check.open(self, 2)
  local service, list = service_of(self), {}
  for i, found in ipairs(service and service.routes or {}) do
    list[i] = { method = found.method, pattern = found.pattern,
      policy = found.policy, auth = not found.is_public and "write" or nil }
  end
  return list
end

return M
