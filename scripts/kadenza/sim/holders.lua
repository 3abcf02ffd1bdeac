--- Counts the holders of records in a simulation. It reads the stores of the
--- nodes; no node sends anything.
--
-- Tested by tests/spec/sim/run_spec.lua.

local M = {}

-- The core's default of `k`: a record is stored at so many contacts.
local K <const> = 8

-- Copies are counted among so many nodes closest to a key.
local NEAR <const> = 64

-- Returns the first 64 bits of an id. They are enough to tell which of two
-- nodes is closer to a key.
local function head(id)
  return (string.unpack(">i8", id))
end

-- Returns the head of a node's id, from a cache.
local function head_of(net, node)
  local known = net.heads[node]
  if not known then
    known = head(node:id())
    net.heads[node] = known
  end
  return known
end

-- Inserts a node into the list of the `k` closest, sorted by distance.
local function insert(closest, k, node, distance)
  local last = closest[k]
  if last and not math.ult(distance, last.distance) then
    return
  end
  local i = last and k or #closest + 1
  while i > 1 and math.ult(distance, closest[i - 1].distance) do
    closest[i] = closest[i - 1]
    i = i - 1
  end
  closest[i] = { node = node, distance = distance }
end

--- Returns the open nodes closest to a key, closest first, without hostile
--- nodes.
---@param net kadenza.Sim
---@param key string
---@param count integer
---@return kadenza.Node[] nodes
function M.closest(net, key, count)
  local closest, target = {}, head(key)
  for _, node in ipairs(net.nodes) do
    if node:is_open() and not net.hostiles[node] then
      insert(closest, count, node, head_of(net, node) ~ target)
    end
  end
  for i, entry in ipairs(closest) do
    closest[i] = entry.node
  end
  return closest
end

--- Returns the bucket size `k` of a network: a record is stored at so many
--- contacts.
---@param net kadenza.Sim
---@return integer k
function M.k_of(net)
  return net.config.k or K
end

--- Returns how many of the `k` open nodes closest to a key hold a record of it,
--- the number of these nodes (k, or fewer in a small network), and how many of
--- the 64 closest nodes hold one.
---@param net kadenza.Sim
---@param key string
---@param kind string
---@return integer holding
---@return integer of
---@return integer near
function M.count(net, key, kind)
  local k = M.k_of(net)
  local closest = M.closest(net, key, math.max(k, NEAR))
  local holding, near = 0, 0
  for place, node in ipairs(closest) do
    if #node:held(key, kind) > 0 then
      near = near + 1
      holding = holding + (place <= k and 1 or 0)
    end
  end
  return holding, math.min(k, #closest), near
end

return M
