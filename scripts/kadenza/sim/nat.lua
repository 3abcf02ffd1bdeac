--- Nodes behind NATs: `kadenza.sim` makes these functions methods of its
--- networks.

local chance = require("kadenza.sim.chance")
local check = require("kadenza.check")
local errors = require("kadenza.errors")

---@class kadenza.Sim
local Sim = {}

local M = { methods = Sim }

-- Drawn in this order: the same seed gives the same kinds.
local KINDS <const> = { "full_cone", "restricted", "port_restricted",
  "symmetric" }
local NAMES <const> = "open, " .. table.concat(KINDS, ", ")

local OPTIONS <const> = { idle = "integer" }
local MAX_IDLE <const> = 86400

local function check_idle(idle, level)
  if idle and (idle < 1 or idle > MAX_IDLE) then
    error("option 'idle' must be in 1 to " .. MAX_IDLE, level + 1)
  end
end

--- Raises unless the table holds shares of kinds.
---@param given table
---@param level integer  whom to blame, as of `error`
function M.check(given, level)
  local kinds, sum = { idle = "integer" }, 0
  for _, kind in ipairs(KINDS) do
    kinds[kind] = "number"
  end
  check.options(given, level + 1, kinds)
  check_idle(given.idle, level + 1)
  for _, kind in ipairs(KINDS) do
    local share = given[kind] or 0
    if not (share >= 0 and share <= 1) then
      error(("option '%s' must be in 0 to 1"):format(kind), level + 1)
    end
    sum = sum + share
  end
  if sum > 1 + 1e-9 then
    error("option 'nat': the shares are more than 1 together", level + 1)
  end
end

local function set(self, node, kind, given)
  assert(self.network:set_nat(node.core, kind, given))
  self.nats[node] = kind ~= "open" and kind or nil
end

--- Puts a node that has just been opened behind a NAT, or not, as the options
--- of the network say. The first one can be reached: others join by it.
---@param node kadenza.Node
function Sim:draw_nat(node)
  local shares = self.nat_shares
  if not shares or #self.nodes < 2 then
    return
  end
  local drawn = chance.uniform(self.network)
  for _, kind in ipairs(KINDS) do
    drawn = drawn - (shares[kind] or 0)
    if drawn < 0 then
      return set(self, node, kind, { idle = shares.idle })
    end
  end
end

--- Puts nodes behind NATs of their own, or lets them out (`open`). All but
--- `symmetric` ones give a node one outer address. A `full_cone` lets in
--- whatever comes to it, a `restricted` one what comes from an ip, and a
--- `port_restricted` one what comes from an address, that the node has sent to;
--- a `symmetric` one has another outer address for each that is sent to. They
--- forget an address when the node has sent nothing by it for `idle` seconds,
--- 60 without it. Others do not join by such nodes.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@param kind "open"|"full_cone"|"restricted"|"port_restricted"|"symmetric"
---@param given? { idle?: integer }
---@return kadenza.Node[] nodes
function Sim:nat(what, kind, given)
  given = given or {}
  check.options(given, 2, OPTIONS)
  check_idle(given.idle, 2)
  local is_known = kind == "open"
  for _, name in ipairs(KINDS) do
    is_known = is_known or kind == name
  end
  if not is_known then
    error(("the kind must be one of %s, not '%s'"):format(NAMES,
      tostring(kind)), 2)
  end
  local nodes = errors.at_level(2, self.choose, self, what)
  for _, node in ipairs(nodes) do
    if node:is_open() then
      set(self, node, kind, given)
    end
  end
  return nodes
end

return M
