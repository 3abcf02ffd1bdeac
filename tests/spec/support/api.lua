--- The HTTP API over an overlay in virtual time, without a server: requests are
--- passed to the handlers as the router passes them.

local api = require("kadenza.web.api")
local json_reader = require("kadenza.json_reader")
local kad = require("kadenza")
local support = require("tests.spec.support")

local M = {}

---@class ApiClient
local Client = {}
Client.__index = Client

-- Decodes `%xx`.
local function unescape(text)
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

local function split(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    parts[#parts + 1] = part
  end
  return parts
end

-- Returns the parameters of a path that matches a pattern, or nil.
local function match(pattern, path)
  local wanted, parts, params = split(pattern), split(path), {}
  if #wanted ~= #parts then
    return nil
  end
  for i, part in ipairs(wanted) do
    local name = part:match("^:(.*)$")
    if name then
      params[name] = unescape(parts[i])
    elseif part ~= parts[i] then
      return nil
    end
  end
  return params
end

local function read_query(text)
  local query = {}
  for name, value in text:gmatch("([^&=]+)=?([^&]*)") do
    query[unescape(name)] = unescape(value)
  end
  return query
end

--- Makes a client of the API of a node.
---@param node? kadenza.Node
---@param limits? table
---@return ApiClient client
function M.client(node, limits)
  local running = { node = node }
  return setmetatable({ running = running, api = api.new(running, limits) },
    Client)
end

--- Sends a request. Returns the response; `document` is its JSON.
---@async
---@param method string
---@param url string  path and query
---@param headers? table<string, string>
---@param body? string
---@return table response
function Client:send(method, url, headers, body)
  local path, query = url:match("^([^?]*)%??(.*)$")
  for _, route in ipairs(api.ROUTES) do
    local params = route[1] == method and match(route[2], path)
    if params then
      local response = route[3](self.api, { method = method, path = path,
        params = params, query = read_query(query), headers = headers or {},
        body = body or "", from = "127.0.0.1:5000" })
      local shown = setmetatable({}, { __index = response })
      shown.document = response.json or response.body
        and json_reader.read(response.body)
      return shown
    end
  end
  error("no route for " .. method .. " " .. url, 2)
end

function Client:get(url, headers)
  return self:send("GET", url, headers)
end

function Client:put(url, body, headers)
  return self:send("PUT", url, headers, body)
end

local JSON <const> = { ["content-type"] = "application/json" }

--- Sends a JSON body, a text or a table of plain texts and numbers.
function Client:json(method, url, body)
  local text = type(body) == "table"
    and require("kadenza.json").encode(body) or body
  return self:send(method, url, JSON, text)
end

--- Returns a spec that runs `fn(client, nodes, net)` as a task of an overlay;
--- the client is that of the first node.
---@param fn async fun(client: ApiClient, nodes: kadenza.Node[], net: table)
---@param options? table  of `kad.sim`; `limits` of the API
---@return fun()
function M.overlay(fn, options)
  return support.spec(function()
    local all = { nodes = 16, seed = 7 }
    for name, value in pairs(options or {}) do
      all[name] = value
    end
    local limits = all.limits
    all.limits = nil
    local net <close> = kad.sim(all)
    net:perform(function()
      fn(M.client(net.nodes[1], limits), net.nodes, net)
    end)
  end)
end

--- A client of server-sent events, which takes `limit` bytes.
---@param limit? integer
---@return table stream
function M.reader(limit)
  local reader = { text = "", closers = {}, is_gone = false }
  function reader:write(bytes)
    if self.is_gone or limit and #self.text + #bytes > limit then
      return nil
    end
    self.text = self.text .. bytes
    return true
  end
  function reader:is_open()
    return not self.is_gone
  end
  function reader:on_close(fn)
    self.closers[#self.closers + 1] = fn
  end
  function reader:leave()
    self.is_gone = true
    for _, fn in ipairs(self.closers) do
      fn()
    end
  end
  --- Returns the events as "NAME VALUE", and their ids.
  function reader:events()
    local events, ids = {}, {}
    for name, id, data in
      self.text:gmatch("event: (%S+)\nid: (%S+)\ndata: ([^\n]*)\n\n") do
      local document = assert(json_reader.read(data))
      events[#events + 1] = name .. (document.value and " " .. document.value
        or "")
      ids[#ids + 1] = id
    end
    return events, ids
  end
  return reader
end

return M
