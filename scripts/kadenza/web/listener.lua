--- One listening socket of an HTTP server, in the loop of a network.
--- Tested by tests/spec/web/server_spec.lua.

local M = {}

---@class kadenza.web.Listener
---@field address string  "ADDRESS:PORT"
---@field is_loopback boolean
---@field httpd table  the server of the module kadenza.httpd
local Listener = {}
Listener.__index = Listener

-- Returns the host and port of "ADDRESS:PORT" or "[ADDRESS]:PORT".
local function split(address)
  local host, port = address:match("^%[(.*)%]:(%d+)$")
  if not host then
    host, port = address:match("^(.*):(%d+)$")
  end
  return host, port
end

--- Tells whether only this machine reaches an address.
---@param address string  "ADDRESS:PORT"
---@return boolean
function M.is_loopback(address)
  return address:find("^127%.") ~= nil or address:find("^%[::1%]:") ~= nil
end

--- Binds an address. Requests are answered after `start`.
---@param httpd table  the module kadenza.httpd
---@param address string
---@param options table  of httpd.open: functions and limits
---@return kadenza.web.Listener? listener
---@return string? message
---@return kadenza.Code? code
function M.open(httpd, address, options)
  local given = {}
  for name, value in pairs(options) do
    given[name] = value
  end
  given.host, given.port = split(address)
  local server, message, code = httpd.open(given)
  if not server then
    return nil, message, code
  end
  return setmetatable({ httpd = server, address = server:address(),
    is_loopback = M.is_loopback(server:address()) }, Listener)
end

--- Begins to serve.
---@param network kadenza.core.Network
---@param on_error fun(message: string)  an error of a function of the server
function Listener:start(network, on_error)
  self.network, self.on_error = network, on_error
  self.watch = assert(network:watch(self.httpd:fd(), "r", function()
    self:turn()
  end))
  self:plan()
end

-- Does the work that is due.
function Listener:turn()
  if not self.watch or self.is_turning then
    return
  end
  self.is_turning = true
  local succeeded, problem = pcall(self.httpd.step, self.httpd)
  self.is_turning = false
  if not succeeded then
    self.on_error(tostring(problem))
  end
  if self.watch then
    self:plan()
  end
end

-- Sets the timer of the next turn, unless one is due before.
function Listener:plan()
  local ms = self.httpd:timeout()
  if not ms then
    return
  end
  local due = self.network:now() + ms / 1000
  if self.timer then
    if self.due <= due then
      return
    end
    self.network:stop_timer(self.timer)
  end
  self.due = due
  self.timer = self.network:start_timer(ms, function()
    self.timer = nil
    self:turn()
  end)
end

--- Has the server run soon: it was called outside of its turn.
function Listener:wake()
  if self.watch and not self.is_turning then
    self:plan()
  end
end

--- Ends all connections.
function Listener:close()
  if self.watch then
    self.network:end_watch(self.watch)
    self.watch = nil
  end
  if self.timer then
    self.network:stop_timer(self.timer)
    self.timer = nil
  end
  self.httpd:close()
end

return M
