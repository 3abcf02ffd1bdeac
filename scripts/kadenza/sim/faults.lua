--- What can go wrong in a simulation: nodes that end, are cut off or restart.
--- `kadenza.sim` makes these functions methods of its networks.

local group = require("kadenza.group")
local node_module = require("kadenza.node")
local options = require("kadenza.options")
local task = require("kadenza.task")

---@class kadenza.Sim
local Sim = {}

-- Ends nodes; those that are closed already are left out. Returns those ended.
local function end_all(self, nodes, finish)
  local ended = {}
  for _, node in ipairs(nodes) do
    if node:is_open() then
      ended[#ended + 1] = node
      self:take_out(node)
      finish(node)
    end
  end
  return ended
end

--- Ends nodes at once, as a power failure does: nothing of theirs runs any
--- more, and nobody is told. They leave `nodes`, and the next ones close up.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@return kadenza.Node[] ended
function Sim:kill(what)
  local nodes = options.call(2, self.choose, self, what)
  self.counts.crashed = self.counts.crashed + #nodes
  return end_all(self, nodes, node_module.crash)
end

--- Closes nodes as node:close does: their policies hear of it. They leave
--- `nodes`, and the next ones close up.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@return kadenza.Node[] ended
function Sim:leave(what)
  local nodes = options.call(2, self.choose, self, what)
  self.counts.left = self.counts.left + #nodes
  return end_all(self, nodes, function(node)
    node:close()
  end)
end

------------------------------------------------------------------ restart --

--- Returns what a node keeps over its restart: where it was, who it was, and,
--- as from a state folder, whom it knew.
---@param node kadenza.Node
---@return table memory
function Sim:remember(node)
  local contacts = {}
  for i, contact in ipairs(node:contacts()) do
    contacts[i] = contact.address
  end
  return {
    wishes = {
      id = node:id(),
      listen = node:addresses(),
      bootstrap = contacts,
    },
    side = self.sides[node],
  }
end

--- Opens a node again that was remembered. It has not joined.
---@param memory table
---@return kadenza.Node node
function Sim:open_again(memory)
  local node = assert(self:open(memory.wishes))
  self.sides[node] = memory.side
  return node
end

--- Lets such a node join by whom it knew, or by others when those are gone.
---@async
---@param node kadenza.Node
function Sim:join_again(node)
  if #node.known == 0 or not node:bootstrap() then
    self:let_join(node)
  end
end

--- Ends nodes as `kill` does and opens them again: with their ids and addresses
--- and the contacts they had, but without records. Returns the new ones, in the
--- order of those before, when they have joined. Outside of a task, time passes
--- meanwhile.
---@async
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@param seconds? number  that they are away; 0 without it
---@return kadenza.Node[] nodes
function Sim:restart(what, seconds)
  local nodes = options.call(2, self.choose, self, what)
  options.check_number(seconds or 0, "seconds", 2)
  local memories, returned = {}, {}
  for i, node in ipairs(nodes) do
    memories[i] = self:remember(node)
  end
  self:kill(nodes)
  self:in_task(function()
    task.sleep(seconds or 0)
    local joins = {}
    for i, memory in ipairs(memories) do
      returned[i] = self:open_again(memory)
      joins[i] = task.spawn(self.network, self.join_again, self, returned[i])
    end
    group.all(joins)
  end)
  return returned
end

return Sim
