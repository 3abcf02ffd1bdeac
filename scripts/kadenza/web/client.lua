--- The client of a response that is a stream: what its handler writes to.
---
---     return { status = 200, stream = function(client)
---       while client:write("tick\n") do
---         kad.sleep(1)
---       end
---     end }
---
--- The response ends when the function returns. If the client leaves, the
--- functions of `on_close` are called, and then the function is canceled where
--- it waits; `client:wait` returns instead.
--- Tested by tests/spec/web/server_spec.lua.

local task = require("kadenza.task")

local M = {}

---@class kadenza.web.Client
---@field private closers fun()[]
local Client = {}
Client.__index = Client
Client.__name = "kadenza.web.Client"

---@param httpd table  the server of the module kadenza.httpd
---@param id integer  of the request
---@param wake fun()  has the server run
---@return kadenza.web.Client client
function M.new(httpd, id, wake)
  return setmetatable({ httpd = httpd, id = id, wake = wake, closers = {},
    open = true }, Client)
end

--- Sends bytes after those before.
---@param bytes string
---@return true? written  nil: the client has left, or reads so slowly that more
---  waits for it than the limit
---@return string? message
function Client:write(bytes)
  if not self.open then
    return nil, "the client has gone"
  end
  local written, message = self.httpd:write(self.id, bytes)
  self.wake()
  return written, message
end

--- Tells whether the client still listens.
---@return boolean
function Client:is_open()
  return self.open
end

--- Calls `fn` when the client leaves, or the response ends. At once if that has
--- happened.
---@param fn fun()
function Client:on_close(fn)
  if self.open then
    table.insert(self.closers, fn)
  else
    fn()
  end
end

--- Waits until the client leaves.
---@async
function Client:wait()
  if self.open then
    task.wait(function(resume)
      table.insert(self.closers, resume)
    end)
  end
end

--- Ends the stream for its handler. For the server.
function Client:close()
  if not self.open then
    return
  end
  self.open = false
  local closers = self.closers
  self.closers = {}
  for _, fn in ipairs(closers) do
    fn()
  end
end

return M
