--- The targets of a crawl's queries (BEP 51: each node is asked once, for a
--- target near its id).
--
-- A node knows the nodes around its own id best. If each were asked for its own
-- id only, a few nodes that are closest to each other would name only each
-- other, and might never be named. So every second one is asked for a region
-- beside its own, a subtree that differs from its id at one bit: in turn at
-- each bit down to the depth at which a subtree has fewer nodes than a reply.
-- Tested by tests/spec/crawl_spec.lua.

local M = {}

local REPLY <const> = 8 -- contacts in a reply of most nodes
local MORE_BITS <const> = 3 -- a subtree behind that depth has a node or two

---@class kadenza.crawl.Targets
---@field private node kadenza.Node
local Targets = {}
Targets.__index = Targets

-- Returns the number of first bits that two ids have in common.
local function common_bits(a, b)
  for i = 1, #a do
    local differing = a:byte(i) ~ b:byte(i)
    if differing ~= 0 then
      local bits = 0
      while differing < 128 do
        differing, bits = differing << 1, bits + 1
      end
      return (i - 1) * 8 + bits
    end
  end
  return #a * 8
end

local function is_ip6(address)
  return address:byte() == 0x5B -- [
end

-- Returns the depth at which a subtree has about as many nodes of a family as a
-- reply. The node's own contacts have answered: others cannot
-- invent them.
local function depth_of(node, ip6)
  local own, depths = node:id(), {}
  for _, contact in ipairs(node:contacts()) do
    if is_ip6(contact.address) == ip6 then
      depths[#depths + 1] = common_bits(own, contact.id)
    end
  end
  table.sort(depths, function(a, b)
    return a > b
  end)
  return depths[math.min(REPLY, #depths)] or 0
end

--- Makes the targets for a crawl through a node that has joined.
---@param node kadenza.Node
---@return kadenza.crawl.Targets targets
function M.new(node)
  return setmetatable({
    node = node,
    network = node:network(),
    depths = { [false] = depth_of(node, false), [true] = depth_of(node, true) },
    turn = 0,
  }, Targets)
end

-- Returns an id that differs from `id` at a bit, and is random behind it.
local function beside(id, bit, random)
  local at, mask = bit // 8 + 1, 0x80 >> bit % 8
  local kept = ~(mask - 1) & 0xFF
  local byte = id:byte(at)
  byte = (byte ~ mask) & kept | random:byte(at) & ~kept & 0xFF
  return id:sub(1, at - 1) .. string.char(byte) .. random:sub(at + 1)
end

--- Returns the target of the next query, for a node.
---@param entry kadenza.crawl.Entry
---@return string target
function Targets:near(entry)
  self.turn = self.turn + 1
  if self.turn % 2 == 0 then
    return entry.id
  end
  local bits = self.depths[is_ip6(entry.address)] + MORE_BITS
  local bit = self.turn // 2 % math.min(bits, #entry.id * 8)
  return beside(entry.id, bit, self.network:random(#entry.id))
end

return M
