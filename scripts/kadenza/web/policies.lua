--- What policies serve over HTTP: their routes are those of the server, as long
--- as they are loaded.
--- Tested by tests/spec/cli/http_policies_spec.lua.

local log = require("kadenza.log")
local policy = require("kadenza.policy")
local response = require("kadenza.web.response")
local serving = require("kadenza.policy.serving")

local M = {}

-- Codes of errors beside those of the server.
local CODES <const> = { [413] = "content_too_large", [504] = "gateway_timeout" }

---@class kadenza.web.Policies
---@field private removers fun()[]
local Policies = {}
Policies.__index = Policies

-- Serves a request by a policy.
local function answer(route, request)
  local answered, message, status = route.serve(request)
  if answered then
    return answered
  end
  return response.error(status,
    CODES[status] or response.CODES[status] or "refused", message)
end

-- Adds a route. One that the node itself has stays the node's.
local function add_route(self, route)
  local added, remove = pcall(self.server.route, self.server, route.method,
    route.pattern, function(request)
      return answer(route, request)
    end, { auth = route.auth })
  if added then
    table.insert(self.removers, remove)
  else
    log.error("a policy cannot have this route: the node serves it itself",
      { policy = route.policy, method = route.method, path = route.pattern })
  end
end

-- Removes the routes of the policies.
local function remove_all(self)
  for _, remove in ipairs(self.removers) do
    remove()
  end
  self.removers = {}
end

-- Replaces the routes by those of the policies that the node has now.
local function replace(self)
  remove_all(self)
  if not self.is_closed and self.node:is_open() then
    for _, route in ipairs(serving.routes(self.node)) do
      add_route(self, route)
    end
  end
end

--- Takes the routes away.
function Policies:close()
  self.is_closed = true
  remove_all(self)
end

--- Adds the routes, and follows each reload.
---@param server kadenza.web.Server
---@param running table  of `kadenza run`
---@return kadenza.web.Policies policies  to be closed
function M.add(server, running)
  local self = setmetatable({ server = server, node = running.node,
    removers = {} }, Policies)
  policy.on_change(running.node, function()
    replace(self)
  end)
  replace(self)
  return self
end

return M
