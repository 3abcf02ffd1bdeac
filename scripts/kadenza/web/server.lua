--- The HTTP server of the program: routes, and what holds for all of them.
---
---     local server = web.open({ listen = { "127.0.0.1:8080" } })
---     server:route("GET", "/hello/:name", function(request)
---       return { status = 200, json = { hello = request.params.name } }
---     end)
---     server:start(network)
---
--- A handler runs in a task and may wait. It gets
---
---     { method, path, params, query, headers, body, from }
---
--- where the names of headers are in lower case, and returns { status, headers,
--- body }, { status, headers, json } or { status, headers, stream }: see
--- kadenza.web.response and kadenza.web.client. One that raises is answered
--- with 500, and logged. A request whose client leaves is canceled.

local clients = require("kadenza.web.client")
local errors = require("kadenza.errors")
local guard = require("kadenza.web.guard")
local listeners = require("kadenza.web.listener")
local log = require("kadenza.log")
local response = require("kadenza.web.response")
local router = require("kadenza.web.router")
local target = require("kadenza.web.target")
local task = require("kadenza.task")
local throttle = require("kadenza.throttle")

local M = {}

---@class kadenza.web.Server
---@field private listeners kadenza.web.Listener[]
---@field private router kadenza.web.Router
local Server = {}
Server.__index = Server
Server.__name = "kadenza.web.Server"

-- Descriptors that are left for the rest of the process.
local OTHER_FILES <const> = 64

------------------------------------------------------------------ checks --

local REFUSALS <const> = {
  [400] = "the path or the query is malformed",
  [404] = "there is nothing at this path",
  [405] = "this path does not take this method",
  [421] = "this node is not called by that name: see --http-host",
}

local function refuse(status, headers)
  return response.error(status, response.CODES[status], REFUSALS[status],
    headers)
end

-- By what a route asks for.
local TOKEN_PROBLEMS <const> = {
  write = {
    no_token = response.error(403, "writes_disabled",
      "this node takes no writes over HTTP: start it with --http-token-file"),
    unauthorized = response.error(401, "unauthorized",
      "a write needs the header 'Authorization: Bearer TOKEN'",
      { ["WWW-Authenticate"] = "Bearer" }),
  },
  read = {
    no_token = response.error(403, "private",
      "this is served to this machine only: start the node with "
      .. "--http-token-file"),
    unauthorized = response.error(401, "unauthorized",
      "from other machines and sites this needs the header "
      .. "'Authorization: Bearer TOKEN'",
      { ["WWW-Authenticate"] = "Bearer" }),
  },
}

-- The headers of requests that come from elsewhere, although their connection
-- is local: from a page of another site, or through a proxy.
local FOREIGN <const> = { "origin", "forwarded", "x-forwarded-for" }

local function is_foreign(headers)
  for _, name in ipairs(FOREIGN) do
    if headers[name] then
      return true
    end
  end
  return false
end

-- Returns a response if a request lacks the token that its route needs.
local function check_token(self, listener, route, headers)
  if not route.auth or route.auth == "read" and listener.is_loopback
    and not is_foreign(headers)
  then
    return nil
  end
  local allowed, problem = self.guard:check_token(headers.authorization)
  return not allowed and TOKEN_PROBLEMS[route.auth][problem] or nil
end

-- Answers OPTIONS: the methods of a path, and what pages of other sites may do.
local function describe_options(self, raw, allow)
  local headers = { Allow = allow }
  if self.guard:shares_with(raw.headers.origin) then
    headers["Access-Control-Allow-Methods"] = allow
    headers["Access-Control-Allow-Headers"] =
      "Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID"
    headers["Access-Control-Max-Age"] = "600"
  end
  return { status = 204, headers = headers }
end

-- Returns the route of a request and its parameters, or nil and a response.
local function find_route(self, raw, path)
  if raw.method == "OPTIONS" and path == "*" then
    return nil, { status = 204 }
  end
  local route, params, allow = self.router:find(raw.method, path)
  if route then
    return route, params
  elseif params == 405 and raw.method == "OPTIONS" then
    return nil, describe_options(self, raw, allow)
  end
  return nil, refuse(params, { Allow = allow })
end

-- Returns the route and the request for its handler, or nil and a response.
local function admit(self, listener, raw)
  local headers = raw.headers
  if not self.guard:allows_host(headers.host, listener.is_loopback) then
    return nil, refuse(421)
  elseif not self.guard:allows_origin(raw.method, headers.origin, headers.host)
  then
    return nil, response.error(403, "forbidden_origin",
      "pages of that site may not write to this node: see --http-origin")
  end
  local path, text = target.split(raw.target)
  local query = path and target.query(text)
  if not query then
    return nil, refuse(400)
  end
  local route, params = find_route(self, raw, path)
  if not route then
    return nil, params
  end
  local problem = check_token(self, listener, route, headers)
  if problem then
    return nil, problem
  end
  return route, { method = raw.method, path = path, params = params,
    query = query, headers = headers, body = raw.body, from = raw.from }
end

--------------------------------------------------------------- responses --

-- Returns the headers of a response with what a page of another site needs to
-- read it. `*` are all headers, because such a page sends no credentials.
local function add_sharing(self, raw, list)
  if not self.guard:shares_with(raw.headers.origin) then
    return list
  end
  local shared = table.move(list, 1, #list, 1, {})
  return table.move({ "Access-Control-Allow-Origin", raw.headers.origin,
    "Vary", "Origin", "Access-Control-Expose-Headers", "*" }, 1, 6,
    #shared + 1, shared)
end

local function log_failure(self, raw, text)
  self.throttled(raw.method .. (raw.target:match("^[^?]*")), function(before)
    log.error("a request over HTTP failed", { method = raw.method,
      target = raw.target, error = text, before = before })
  end)
end

local FAILED <const> = response.error(500, response.CODES[500],
  "the handler of this request failed")

-- Sends a response that is no stream.
local function send(self, listener, raw, answer)
  local status, headers, body = response.encode(answer)
  listener.httpd:respond(raw.id, status, add_sharing(self, raw, headers), body)
  listener:wake()
end

-- Sends the head of a stream; returns its client, or nil.
local function begin_stream(self, listener, raw, answer)
  local status, headers = response.encode(answer)
  local begun = listener.httpd:stream(raw.id, status,
    add_sharing(self, raw, headers))
  listener:wake()
  return begun and clients.new(listener.httpd, raw.id, function()
    listener:wake()
  end)
end

local function run_stream(self, listener, raw, answer)
  local exchange = self.exchanges[listener][raw.id]
  if not exchange then
    error("a handler without a task cannot stream", 0)
  end
  local client = begin_stream(self, listener, raw, answer)
  if not client then
    return
  end
  exchange.client = client
  local succeeded, problem = xpcall(answer.stream, debug.traceback, client)
  if not succeeded then
    log_failure(self, raw, problem)
    listener.httpd:cut(raw.id)
  end
  client:close()
  listener.httpd:finish(raw.id)
  listener:wake()
end

-- Sends what a handler has returned. Raises if that is no response.
local function answer_with(self, listener, raw, answer)
  if type(answer) == "table" and answer.stream and raw.method ~= "HEAD" then
    run_stream(self, listener, raw, answer)
  else
    send(self, listener, raw, answer)
  end
end

-- Runs a handler, in its task if it has one.
local function handle(self, listener, raw, route, request)
  local succeeded, answer = xpcall(route.handler, debug.traceback, request)
  if succeeded then
    succeeded, answer = pcall(answer_with, self, listener, raw, answer)
  end
  if not succeeded then
    log_failure(self, raw, errors.text_of(answer))
    if not pcall(send, self, listener, raw, FAILED) then
      pcall(listener.httpd.cut, listener.httpd, raw.id)
    end
  end
  self.exchanges[listener][raw.id] = nil
end

------------------------------------------------------------------ events --

local function on_request(self, listener, raw)
  local route, request = admit(self, listener, raw)
  if not route then
    send(self, listener, raw, request)
    return
  end
  if route.immediate then
    handle(self, listener, raw, route, request)
    return
  end
  local exchange = {}
  self.exchanges[listener][raw.id] = exchange
  exchange.task =
    task.spawn(self.network, handle, self, listener, raw, route, request)
end

local function on_lost(self, listener, id)
  local exchange = self.exchanges[listener][id]
  self.exchanges[listener][id] = nil
  if not exchange then
    return
  elseif exchange.client then
    exchange.client:close()
  end
  if exchange.task then
    exchange.task:cancel()
  end
end

------------------------------------------------------------------ public --

--- Adds a route. A path that has none is answered with 404.
---@param method string  "GET" also serves HEAD; OPTIONS is served anyway
---@param pattern string  such as "/v1/records/:key"
---@param handler async fun(request: table): table
---@param options? { auth?: "write"|"read", immediate?: boolean }  auth: it
---  needs the bearer token, for "read" only on an address that other machines
---  may reach; immediate: the handler never waits, and needs no task
---@return fun() remove  removes it
function Server:route(method, pattern, handler, options)
  options = options or {}
  return self.router:add(method, pattern, { handler = handler,
    auth = options.auth, immediate = options.immediate })
end

--- Begins to serve.
---@param network kadenza.core.Network
function Server:start(network)
  self.network = network
  self.throttled = throttle.new(network)
  for _, listener in ipairs(self.listeners) do
    listener:start(network, function(message)
      self.throttled("listener", function(before)
        log.error("the HTTP server failed", { error = message,
          before = before })
      end)
    end)
  end
end

--- Replaces what a reload may change.
---@param settings { hosts?: string[], origins?: string[], token?: string }
function Server:configure(settings)
  self.guard = guard.new(settings, self.httpd.are_equal)
end

--- Returns the addresses that it listens on.
---@return string[] addresses  "ADDRESS:PORT"
function Server:addresses()
  local addresses = {}
  for i, listener in ipairs(self.listeners) do
    addresses[i] = listener.address
  end
  return addresses
end

--- Returns the counters of all listeners together, by name.
---@return table<string, integer> stats
function Server:stats()
  local sum = {}
  for _, listener in ipairs(self.listeners) do
    for name, value in pairs(listener.httpd:stats()) do
      sum[name] = (sum[name] or 0) + value
    end
  end
  return sum
end

--- Ends all connections, and cancels what their requests wait for.
function Server:close()
  for _, listener in ipairs(self.listeners) do
    listener:close()
  end
  self.listeners = {}
end

Server.__close = Server.close

-- Binds one more address.
local function add_listener(self, address, limits)
  local listener
  local options = {
    on_request = function(raw)
      on_request(self, listener, raw)
    end,
    on_lost = function(id)
      on_lost(self, listener, id)
    end,
  }
  for name, value in pairs(limits or {}) do
    options[name] = value
  end
  options.other_files = OTHER_FILES + (self:stats().files or 0)
  local message, code
  listener, message, code = listeners.open(self.httpd, address, options)
  if not listener then
    return nil, ("%s: %s"):format(address, message), code
  end
  self.listeners[#self.listeners + 1] = listener
  self.exchanges[listener] = {}
  return true
end

--- Opens a server: binds its addresses. It serves after `start`.
---@param settings { listen: string[], hosts?: string[], origins?: string[],
---  token?: string, limits?: table<string, integer> }
---@param httpd? table  instead of the module kadenza.httpd
---@return kadenza.web.Server? server
---@return string? message
---@return kadenza.Code? code
function M.open(settings, httpd)
  local self = setmetatable({ httpd = httpd or require("kadenza.httpd"),
    router = router.new(), listeners = {}, exchanges = {} }, Server)
  self:configure(settings)
  for _, address in ipairs(settings.listen) do
    local added, message, code = add_listener(self, address, settings.limits)
    if not added then
      self:close()
      return nil, message, code
    end
  end
  return self
end

return M
