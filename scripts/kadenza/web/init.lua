--- HTTP beside a node: the server, and the parts that add routes to it.
---
--- A part is a module with `add(server, running)`: `running.node` is the node,
--- `running.settings` the options of `kadenza run`. It may return an object:
--- its `leave` is called when the node is about to stop, its `close` when the
--- server has closed. Both are optional.
--- Tested by tests/spec/cli/http_spec.lua.

local unwind = require("kadenza.unwind")
local server = require("kadenza.web.server")

local M = {}

M.open = server.open

-- The parts, in the order of their start. The policies are the last: a route
-- of the node goes before theirs.
local PARTS <const> = { "kadenza.web.health", "kadenza.web.metrics",
  "kadenza.web.dashboard", "kadenza.web.api", "kadenza.web.policies" }

---@class kadenza.web.Parts
---@field private list table[]
local Parts = {}
Parts.__index = Parts

--- Adds the routes of all parts.
---@param opened kadenza.web.Server
---@param running table
---@return kadenza.web.Parts parts  to be closed
function M.add_parts(opened, running)
  local parts = setmetatable({ list = {} }, Parts)
  for _, name in ipairs(PARTS) do
    table.insert(parts.list, require(name).add(opened, running))
  end
  return parts
end

--- The node is about to stop.
function Parts:leave()
  for _, part in ipairs(self.list) do
    if part.leave then
      part:leave()
    end
  end
end

--- Ends the parts, the last one first.
function Parts:close()
  unwind(self.list, function(part)
    if part.close then
      part:close()
    end
  end)
end

return M
