--- HTTP clients of specs, on luv: in the process of the server, or beside it.
---
---     local client = http.connect(address)
---     client:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
---     http.drive(network, function() return client.ended end)
---     local reply = http.parse(client.received)    -- status, headers, body
---
--- They send the bytes that a spec gives them, whether or not they are HTTP.

local uv = require("luv")

local M = {}

local SECONDS <const> = 15
local TICK_MS <const> = 5

local Client = {}
Client.__index = Client

-- Open clients; close_all closes those that a spec left.
local open = {}

--- Connects to a server.
---@param address string  "ADDRESS:PORT"
---@return table client  with `received`, the bytes so far, and `ended`
function M.connect(address)
  local host, port = address:match("^%[?(.-)%]?:(%d+)$")
  local client = setmetatable({ received = "", tcp = uv.new_tcp() }, Client)
  open[client] = true
  client.tcp:connect(host, tonumber(port), function(problem)
    if problem then
      client.ended, client.problem = true, problem
      return
    end
    client.connected = true
    if not client.is_deaf then
      client:read()
    end
  end)
  return client
end

--- Begins to read what arrives.
function Client:read()
  self.tcp:read_start(function(problem, data)
    if data then
      self.received = self.received .. data
    else
      self.ended, self.problem = true, problem
    end
  end)
end

--- Sends bytes, once connected.
---@param bytes string
function Client:send(bytes)
  if self.connected then
    self.tcp:write(bytes)
    return
  end
  local retry = uv.new_timer()
  retry:start(1, 0, function()
    retry:close()
    if not self.ended then
      self:send(bytes)
    end
  end)
end

--- Closes the connection.
function Client:close()
  if open[self] then
    open[self] = nil
    self.tcp:close()
  end
end

--- Resets the connection: the server gets an error.
function Client:reset()
  if open[self] then
    open[self] = nil
    self.tcp:close_reset()
  end
end

--- Closes all clients.
function M.close_all()
  for client in pairs(open) do
    client:close()
  end
  uv.run("nowait")
end

-- Networks that `drive` runs: a descriptor can have one poll.
local driven = setmetatable({}, { __mode = "k" })

-- Polls the descriptor of a network; returns nil if an outer call does.
local function poll_of(network, turn)
  if not network or driven[network] then
    return nil
  end
  local poll = assert(uv.new_poll(network:fd()))
  poll:start("r", turn)
  driven[network] = true
  return poll
end

--- Runs a network, or nil, and the clients until `is_over` returns true. That
--- may run them, too.
---@param network? table
---@param is_over fun(): any
---@param seconds? number
function M.drive(network, is_over, seconds)
  local turn = function()
    if network then
      network:step()
    end
  end
  local tick, poll = uv.new_timer(), poll_of(network, turn)
  tick:start(0, TICK_MS, turn)
  local deadline = uv.now() + (seconds or SECONDS) * 1000
  while not is_over() and uv.now() < deadline do
    uv.run("once")
  end
  tick:close()
  if poll then
    poll:close()
    driven[network] = nil
  end
  uv.run("nowait")
  if not is_over() then
    error("the HTTP clients still wait", 2)
  end
end

-- Decodes a chunked body; returns it and what follows it, or nil: not all of it
-- is there.
local function unchunk(text)
  local parts, at = {}, 1
  while true do
    local size, from = text:match("^(%x+)\r\n()", at)
    if not size then
      return nil
    end
    size = tonumber(size, 16)
    if #text < from + size + 1 then
      return nil
    elseif size == 0 then
      return table.concat(parts), text:sub(from + 2)
    end
    parts[#parts + 1] = text:sub(from, from + size - 1)
    at = from + size + 2
  end
end

--- Reads a response at the start of a text.
---@param text string
---@param is_head? boolean  the request was HEAD
---@return table? reply  { status, headers, body, rest }; nil: it is not whole
function M.parse(text, is_head)
  local head, rest = text:match("^(HTTP/1%.1 %d%d%d.-\r\n)\r\n(.*)$")
  if not head then
    return nil
  end
  local reply = { status = tonumber(head:match("%d%d%d")), headers = {} }
  for name, value in head:gmatch("\n([^:\r\n]+):%s*(.-)\r") do
    reply.headers[name:lower()] = value
  end
  if reply.headers["transfer-encoding"] == "chunked" then
    reply.body, reply.rest = unchunk(rest)
  else
    local size = is_head and 0
      or tonumber(reply.headers["content-length"] or "0")
    reply.body = #rest >= size and rest:sub(1, size) or nil
    reply.rest = rest:sub(size + 1)
  end
  return reply.body and reply
end

--- Returns the text of a request.
---@param method string
---@param path string
---@param headers? table<string, string>
---@param body? string
---@return string text
function M.format(method, path, headers, body)
  local lines = { ("%s %s HTTP/1.1"):format(method, path) }
  headers = headers or {}
  headers.Host = headers.Host or "localhost"
  if body then
    headers["Content-Length"] = tostring(#body)
  end
  for name, value in pairs(headers) do
    lines[#lines + 1] = ("%s: %s"):format(name, value)
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

--- Sends a request on a connection of its own, and returns the response.
---@param network? table
---@param address string
---@param method string
---@param path string
---@param headers? table<string, string>
---@param body? string
---@return table reply
function M.request(network, address, method, path, headers, body)
  local client, reply = M.connect(address), nil
  client:send(M.format(method, path, headers, body))
  M.drive(network, function()
    reply = M.parse(client.received, method == "HEAD")
    return reply or client.ended
  end)
  client:close()
  return reply or error("no whole response: " .. client.received, 2)
end

return M
