--- Nodes behind NATs. These functions are methods of `kadenza.Sim`.

local check = require("kadenza.check")
local errors = require("kadenza.errors")
local random = require("kadenza.sim.random")

---@class kadenza.Sim
local Sim = {}

local M = { methods = Sim }

-- In the order in which they are drawn: the same seed gives the same kinds.
local KINDS <const> = { "full_cone", "restricted", "port_restricted",
  "symmetric" }
local NAMES <const> = "open, " .. table.concat(KINDS, ", ")

local OPTIONS <const> = { idle = { kind = "integer", from = 1, to = 86400 } }
local SHARES <const> = {} -- rules of the shares
for _, kind in ipairs(KINDS) do
  SHARES[kind] = { kind = "number", from = 0, to = 1 }
end

--- Raises an error unless the table holds shares of kinds.
---@param given table
---@param level integer  of the caller that made the mistake, as for `error`
function M.check(given, level)
  check.options(given, level + 1, OPTIONS, SHARES)
  local sum = 0
  for _, kind in ipairs(KINDS) do
    sum = sum + (given[kind] or 0)
  end
  if sum > 1 + 1e-9 then
    error("option 'nat': the sum of the shares is more than 1", level + 1)
  end
end

local function set(self, node, kind, given)
  assert(self.network:set_nat(node.core, kind, given))
  self.nats[node] = kind ~= "open" and kind or nil
end

--- Puts a new node behind a NAT at random, by the shares of the network's
--- options. The first node is never behind a NAT, because others join by it.
---@param node kadenza.Node
function Sim:draw_nat(node)
  local shares = self.nat_shares
  if not shares or #self.nodes < 2 then
    return
  end
  local drawn = random.uniform(self.network)
  for _, kind in ipairs(KINDS) do
    drawn = drawn - (shares[kind] or 0)
    if drawn < 0 then
      return set(self, node, kind, { idle = shares.idle })
    end
  end
end

--- Puts each node behind a NAT of its own, or removes its NAT (`open`). The
--- kinds differ in their outer addresses and in the datagrams that they let in:
---
--- - `full_cone`: one outer address; lets in every datagram;
--- - `restricted`: one outer address; lets in datagrams from each ip that the
---   node has sent to;
--- - `port_restricted`: one outer address; lets in datagrams from each address
---   that the node has sent to;
--- - `symmetric`: one outer address for each address that the node sends to.
---
--- A mapping ends when the node has sent nothing through it for `idle` seconds,
--- 60 without it. Other nodes do not join by nodes behind NATs.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@param kind "open"|"full_cone"|"restricted"|"port_restricted"|"symmetric"
---@param given? { idle?: integer }
---@return kadenza.Node[] nodes
function Sim:nat(what, kind, given)
  given = given or {}
  check.options(given, 2, OPTIONS)
  if kind ~= "open" and not SHARES[kind] then
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
