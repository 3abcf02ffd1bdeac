--- The console of `kadenza run`, a service: a socket through which commands
--- such as `kadenza status` see and steer the node that runs.
--- Tested by tests/spec/cli/status_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local rates = require("kadenza.rates")
local requests = require("kadenza.console.requests")
local server = require("kadenza.console.server")

local M = {}

--- The value of the option `console` that turns it off.
M.OFF = "off"

--- The name of the socket in the state folder.
M.FILE = "console"

--- Returns the path of the console of a node with these settings, or nil if it
--- has none.
---@param settings table
---@return string? path
function M.path(settings)
  if settings.console then
    return settings.console ~= M.OFF and settings.console or nil
  end
  return settings.state and settings.state .. "/" .. M.FILE
end

---@class kadenza.cli.Console: kadenza.cli.Service
---@field private path string
---@field private server? kadenza.ConsoleServer
local Console = {}
Console.__index = Console

-- Makes the socket.
local function open(self)
  local opened, message, code = server.open(self.path)
  if not opened then
    fault.failed("--console " .. message, code)
  end
  self.server = opened
end

--- Checks the path, and makes the socket. One in the state folder is made when
--- the node is open: the folder is there then, and locked.
---@param settings table
---@return kadenza.cli.Console? service
function M.prepare(settings)
  local path = M.path(settings)
  if not path then
    return nil
  end
  local fits, message = core.check_local_path(path)
  if not fits then
    fault.misuse("%s: give a shorter one with --console PATH, or none with "
      .. "--console off", message)
  end
  local self = setmetatable({ path = path }, Console)
  if settings.console and core.exists(path:match("^(.*)/") or ".") then
    open(self)
  end
  return self
end

function Console:start(running)
  if not self.server then
    open(self)
  end
  local network = running.node:network()
  running.began = running.began or network:now()
  running.rates = running.rates or rates.watch(running.node)
  self.server:start(network, requests.of(running, self.server))
end

function Console:stop()
  if self.server then
    self.server:close()
    self.server = nil
  end
end

return M
