--- Who holds what in a simulation, by looking into every node: nothing is sent.

local M = {}

-- Contacts that a record is stored at: the core's default of `k`.
local K <const> = 8

-- How far from a key copies are looked for: among so many of the closest nodes.
local NEAR <const> = 64

-- Returns the beginning of an id as a number: two ids of a simulation that have
-- the same are as good as equally close to a key.
local function head(id)
  return (string.unpack(">i8", id))
end

-- The same of a node, remembered.
local function head_of(net, node)
  local known = net.heads[node]
  if not known then
    known = head(node:id())
    net.heads[node] = known
  end
  return known
end

-- Puts a node in its place among the `k` closest, sorted by distance.
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

--- Returns the live nodes closest to a key, closest first, without hostile
--- ones.
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

--- Returns how many contacts a record is to be stored at.
---@param net kadenza.Sim
---@return integer k
function M.width(net)
  return net.config.k or K
end

--- Returns how many of the `k` live nodes closest to a key hold records of it,
--- how many these are (k, or all that live where they are fewer), and how many
--- of the 64 closest do.
---@param net kadenza.Sim
---@param key string
---@param kind string
---@return integer holding
---@return integer of
---@return integer near
function M.count(net, key, kind)
  local k = M.width(net)
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
