--- Consoles of a server in the same process, for specs.
--
--     local console = require("tests.spec.support.console")
--     kad.run(function()
--       local peer = console.connect(path)
--       peer:send('{"id":1,"command":"status"}\n')
--       local line = peer:line()
--     end)

local core = require("kadenza.core")
local kad = require("kadenza")
local task = require("kadenza.task")

local M = {}

local Peer = {}
Peer.__index = Peer

-- Waits until the socket is ready.
local function await(self, mode)
  local network = task.network()
  kad.wait(function(resume)
    local watch
    watch = assert(network:watch(self.socket:fd(), mode, function()
      network:end_watch(watch)
      resume()
    end))
    return function()
      network:end_watch(watch)
    end
  end)
end

--- Connects to a console, once there is room to wait for it.
---@async
---@param path string
---@return table peer
function M.connect(path)
  local socket, message, code
  repeat
    socket, message, code = core.connect_local(path)
    if code == "KAD_EBUSY" then
      kad.sleep(0)
    end
  until code ~= "KAD_EBUSY"
  return setmetatable({ socket = assert(socket, message), input = "" }, Peer)
end

--- Sends bytes. Returns false if the other end has closed.
---@async
function Peer:send(bytes)
  local from = 1
  while from <= #bytes do
    local written = self.socket:write(bytes, from)
    if written == nil then
      return false
    elseif written then
      from = from + written
    else
      await(self, "w")
    end
  end
  return true
end

--- Returns the next line; nil at the end, with what is left.
---@async
function Peer:line()
  local from = 1
  while true do
    local at = self.input:find("\n", from, true)
    if at then
      local line = self.input:sub(1, at - 1)
      self.input = self.input:sub(at + 1)
      return line
    end
    from = #self.input + 1
    local bytes = self.socket:read()
    if bytes == nil or bytes == "" then
      return nil, self.input
    elseif bytes then
      self.input = self.input .. bytes
    else
      await(self, "r")
    end
  end
end

--- Sends a request, and returns the line of the reply.
---@async
function Peer:ask(line)
  self:send(line .. "\n")
  return self:line()
end

--- Closes the connection.
function Peer:close()
  self.socket:close()
end

return M
