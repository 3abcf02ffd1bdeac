--- The HTTP API for programs: records, peers, lookups and custom queries under
--- `/v1`. docs/http.md describes it for users, `kadenza.web.api.openapi` for
--- programs.
--- Tested by tests/spec/web/api.

local gateway = require("kadenza.web.api.gateway")
local lookup = require("kadenza.web.api.lookup")
local openapi = require("kadenza.web.api.openapi")
local peers = require("kadenza.web.api.peers")
local query = require("kadenza.web.api.query")
local records = require("kadenza.web.api.records")
local storing = require("kadenza.web.api.storing")
local watches = require("kadenza.web.api.watches")

local M = {}

---@class kadenza.web.Api
---@field gateway kadenza.web.Gateway
---@field watches kadenza.web.Watches
---@field description? string  of the API, once a client has asked for it
local Api = {}
Api.__index = Api

--- The routes: method, path, handler, and what the router checks first.
M.ROUTES = {
  { "GET", "/v1/records/:key", records.get },
  { "PUT", "/v1/records/:key", storing.put, { auth = "write" } },
  { "GET", "/v1/peers/:info_hash", peers.get },
  { "POST", "/v1/peers/:info_hash", peers.post, { auth = "write" } },
  { "GET", "/v1/lookup/:target", lookup.get },
  { "POST", "/v1/queries/:method", query.post, { auth = "write" } },
  { "GET", "/v1/openapi.json", openapi.get },
}

--- Makes the state that the handlers share.
---@param running { node: kadenza.Node }  `node` may be set later
---@param limits? { max_operations?: integer, cache_bytes?: integer,
---  max_clients?: integer, max_feeds?: integer }
---@return kadenza.web.Api api
function M.new(running, limits)
  limits = limits or {}
  local made = gateway.new({ running = running,
    max_operations = limits.max_operations, cache_bytes = limits.cache_bytes })
  return setmetatable({ gateway = made, watches = watches.new({
    gateway = made, max_clients = limits.max_clients,
    max_feeds = limits.max_feeds }) }, Api)
end

--- Ends all watches: the node is about to stop.
function Api:leave()
  self.watches:close()
end

--- Adds the routes to a server.
---@param server table  of `kadenza.web.server`
---@param running { node: kadenza.Node }
---@return kadenza.web.Api api
function M.add(server, running)
  local api = M.new(running)
  for _, route in ipairs(M.ROUTES) do
    local method, path, handler, options = table.unpack(route, 1, 4)
    server:route(method, path, function(request)
      return handler(api, request)
    end, options)
  end
  return api
end

return M
