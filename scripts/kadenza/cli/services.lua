--- What `kadenza run` serves beside its node, such as a console or HTTP.
--
-- A service is a module. Its `prepare(settings)` returns an object, or nil if
-- the settings do not ask for it. The object has the methods
--
--     start(running)     the node is open: running.node, running.settings
--     announce()         prints where it serves, before the addresses of the
--                        node; optional
--     begin_reload()     SIGHUP: the configuration will be read; optional
--     reload(settings)   it was read again, or has a mistake; optional
--     leave()            the node is about to stop; optional
--     stop()             also if it was never started; raises nothing
--
-- `prepare` does what needs no node, such as reading files and binding ports.
-- It and `start` end the program with a fault (kadenza.cli.fault) if it fails:
-- the node has then sent nothing, and says nothing of listening.
--
--- Tested by tests/spec/cli/services_spec.lua.

local log = require("kadenza.log")

local M = {}

---@class kadenza.cli.Service
---@field start fun(self, running: table)
---@field announce? fun(self)
---@field begin_reload? fun(self)
---@field reload? fun(self, settings: kadenza.cli.Settings)
---@field leave? fun(self)
---@field stop fun(self)

-- The modules, in the order of their start. The last one tells that all have
-- started.
local MODULES <const> = { "kadenza.cli.console", "kadenza.cli.http",
  "kadenza.cli.service_manager" }

---@class kadenza.cli.Services
---@field private list kadenza.cli.Service[]
local Services = {}
Services.__index = Services

--- Prepares those services that the settings ask for.
---@param settings kadenza.cli.Settings
---@param modules? table[]  instead of all services
---@return kadenza.cli.Services services  for a `<close>` variable
function M.prepare(settings, modules)
  local services = setmetatable({ list = {} }, Services)
  local _ <close> = setmetatable({}, { __close = function(_, problem)
    if problem then
      services:stop()
    end
  end })
  for _, module in ipairs(modules or MODULES) do
    if type(module) == "string" then
      module = require(module)
    end
    table.insert(services.list, module.prepare(settings))
  end
  return services
end

--- Starts them.
---@param running table
function Services:start(running)
  for _, service in ipairs(self.list) do
    service:start(running)
  end
end

-- Calls a method of those that have it, in order.
local function call_all(self, name)
  for _, service in ipairs(self.list) do
    if service[name] then
      service[name](service)
    end
  end
end

--- Has them print where they serve.
function Services:announce()
  call_all(self, "announce")
end

--- Tells them that the configuration will be read again.
function Services:begin_reload()
  call_all(self, "begin_reload")
end

--- Tells them that the node is about to stop.
function Services:leave()
  call_all(self, "leave")
end

--- Passes the options on that a reload has read. A service that fails keeps
--- what it had.
---@param settings kadenza.cli.Settings
function Services:reload(settings)
  for _, service in ipairs(self.list) do
    if service.reload then
      local succeeded, problem = pcall(service.reload, service, settings)
      if not succeeded then
        log.error("a service was not reloaded", {
          error = type(problem) == "table" and problem.message
            or tostring(problem),
        })
      end
    end
  end
end

--- Stops them, the last one first.
function Services:stop()
  while #self.list > 0 do
    table.remove(self.list):stop()
  end
end

Services.__close = Services.stop

return M
