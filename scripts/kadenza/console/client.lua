--- Talks to the console of a running node, from another process.
--
--     local client = assert(client.open("var/node/console"))
--     local status = assert(client:request("status"))
--
-- All functions wait, in the manner of a file.

local core = require("kadenza.core")
local protocol = require("kadenza.console.protocol")

local M = {}

--- Seconds after which a node that says nothing does not answer.
M.TIMEOUT = 15

-- Milliseconds of one wait: a signal that has come is noticed after it.
local SLICE_MS <const> = 200

---@class kadenza.ConsoleClient
---@field path string
---@field private socket table  of the core
---@field private input string
---@field private last integer  id of a request
local Client = {}
Client.__index = Client
Client.__name = "kadenza.ConsoleClient"

--- Connects to the console of a node.
---@param path string
---@return kadenza.ConsoleClient? client
---@return string? message
---@return kadenza.Code? code  KAD_ENOTFOUND: there is no socket; KAD_EREFUSED:
---  its node does not run; KAD_EACCESS: it belongs to another user
function M.open(path)
  local socket, message, code = core.connect_local(path)
  if not socket then
    return nil, message, code
  end
  return setmetatable({ path = path, socket = socket, input = "", last = 0 },
    Client)
end

-- Waits for the socket, for some seconds, or without a limit; returns nil,
-- a message and a code if they have passed, or if the user has interrupted the
-- wait.
local function await(self, mode, seconds)
  local left = (seconds or math.huge) * 1000
  while left > 0 do
    local slice = math.ceil(math.min(left, SLICE_MS))
    if core.was_interrupted() then
      return nil, "interrupted", "KAD_ECANCELED"
    elseif self.socket:wait(mode, slice) then
      return true
    end
    left = left - slice
  end
  return nil, self.path .. ": the node does not answer", "KAD_ETIMEOUT"
end

local function gone(self)
  return nil, self.path .. ": the node has ended the connection", "KAD_ECLOSED"
end

local function write(self, line, seconds)
  local from = 1
  while from <= #line do
    local written = self.socket:write(line, from)
    if written == nil then
      return true -- what the node said before it closed is read next
    elseif written then
      from = from + written
    else
      local ready, message, code = await(self, "w", seconds)
      if not ready then
        return nil, message, code
      end
    end
  end
  return true
end

-- Returns the next line.
local function read_line(self, seconds)
  local from = 1
  while true do
    local at = self.input:find("\n", from, true)
    if at then
      local line = self.input:sub(1, at - 1)
      self.input = self.input:sub(at + 1)
      return line
    elseif #self.input > protocol.MAX_REPLY then
      return nil, self.path .. ": not a console of kadenza", "KAD_EMALFORMED"
    end
    from = #self.input + 1
    local bytes = self.socket:read()
    if bytes == nil or bytes == "" then
      return gone(self)
    elseif bytes then
      self.input = self.input .. bytes
    else
      local ready, message, code = await(self, "r", seconds)
      if not ready then
        return nil, message, code
      end
    end
  end
end

local function read_reply(self, seconds)
  local line, message, code = read_line(self, seconds)
  if not line then
    return nil, message, code
  end
  local reply, raw = protocol.parse_reply(line)
  if not reply or reply.id ~= nil and reply.id ~= self.last then
    return nil, self.path .. ": not a console of kadenza", "KAD_EMALFORMED"
  elseif reply.error then
    return nil, tostring(reply.error.message), tostring(reply.error.code)
  end
  return reply, raw
end

-- Sends a request. Returns true, or nil, a message and a code.
local function send(self, command, parameters, seconds)
  local request = {}
  for name, value in pairs(parameters or {}) do
    request[name] = value
  end
  self.last = self.last + 1
  request.id, request.command = self.last, command
  return write(self, protocol.request(request), seconds)
end

--- Sends a request and waits for its result.
---@param command string
---@param parameters? table
---@param seconds? number  that it may say nothing; default: TIMEOUT
---@return table? result
---@return string message_or_raw  the result as JSON; or why there is none
---@return string? code
function Client:request(command, parameters, seconds)
  seconds = seconds or M.TIMEOUT
  local sent, message, code = send(self, command, parameters, seconds)
  if not sent then
    return nil, message, code
  end
  local reply, raw, kind = read_reply(self, seconds)
  if not reply then
    return nil, raw, kind
  elseif not reply.ok then
    return nil, self.path .. ": not a console of kadenza", "KAD_EMALFORMED"
  end
  return reply.ok, raw
end

--- Sends a request that is answered with events, and waits for them until
--- `on_event` returns true, or the connection ends.
---@param command string
---@param parameters? table
---@param on_event fun(event: table, raw: string): boolean?
---@return true? ended  `on_event` has ended it
---@return string? message
---@return string? code  KAD_ECANCELED: the user has interrupted it
function Client:follow(command, parameters, on_event)
  local sent, message, code = send(self, command, parameters, M.TIMEOUT)
  if not sent then
    return nil, message, code
  end
  while true do
    local reply, raw, kind = read_reply(self)
    if not reply then
      return nil, raw, kind
    elseif reply.event and on_event(reply.event, raw) then
      return true
    end
  end
end

--- Waits for the end of the connection, or for a time.
---@param seconds number
---@return boolean open  false: the node has ended it
---@return string? message  the wait was interrupted
function Client:pause(seconds)
  local ready, message, code = await(self, "r", seconds)
  if code == "KAD_ECANCELED" then
    return true, message
  end
  return not ready
end

--- Closes the connection.
function Client:close()
  self.socket:close()
end

Client.__close = Client.close

return M
