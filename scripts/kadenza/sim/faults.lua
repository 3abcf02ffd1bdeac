--- Faults in a simulation: nodes crash, close, restart, sleep or move, networks
--- split, clocks are wrong. These functions are methods of `kadenza.Sim`.

local check = require("kadenza.check")
local errors = require("kadenza.errors")
local node_module = require("kadenza.node")
local task = require("kadenza.task")

---@class kadenza.Sim
local Sim = {}

local MAX_DRIFT <const> = 100000 -- of a clock, millionths
local MAX_AHEAD <const> = 3155760000 -- seconds: a hundred years
local SKEW <const> = {
  drift = { kind = "integer", from = -MAX_DRIFT, to = MAX_DRIFT },
  ahead = { kind = "integer", from = -MAX_AHEAD, to = MAX_AHEAD },
}

-- Seconds until the address of a node that has ended is free again.
local LEAST_ABSENCE <const> = 0.001

-- Ends the open nodes of a list, counts them, and returns them.
local function end_all(self, nodes, counter, finish)
  local ended = {}
  for _, node in ipairs(nodes) do
    if node:is_open() then
      ended[#ended + 1] = node
      self:take_out(node)
      finish(node)
    end
  end
  self.counts[counter] = self.counts[counter] + #ended
  return ended
end

--- Ends nodes at once, as a power failure does: they send nothing, and no hook
--- or callback of theirs runs. Removes them from `nodes`.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@return kadenza.Node[] ended
function Sim:kill(what)
  local nodes = errors.at_level(2, self.choose, self, what)
  return end_all(self, nodes, "crashed", node_module.crash)
end

--- Closes nodes as node:close does, which calls the hooks of their policies.
--- Removes them from `nodes`.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@return kadenza.Node[] ended
function Sim:leave(what)
  local nodes = errors.at_level(2, self.choose, self, what)
  return end_all(self, nodes, "left", function(node)
    node:close()
  end)
end

--------------------------------------------------------------- partitions --

-- Returns the lists of nodes to cut off.
local function groups_of(self, given, level)
  if type(given) ~= "table" or node_module.is(given[1]) then
    return { errors.at_level(level + 1, self.choose, self, given or 0.5) }
  end
  local groups = {}
  for i, group_given in ipairs(given) do
    groups[i] = errors.at_level(level + 1, self.choose, self, group_given)
  end
  return groups
end

--- Cuts nodes off from all others: no datagram passes. A new node is on the
--- side of the node that it joins by or that it replaces.
---@param groups? integer|number|kadenza.Node[]|kadenza.Node[][]  the nodes: a
---  share or a number of random ones, a list, or several lists, which are also
---  cut off from each other; half of the nodes by default
---@return kadenza.Node[][] groups  that are cut off
function Sim:partition(groups)
  local lists = groups_of(self, groups, 2)
  for _, list in ipairs(lists) do
    self.last_side = self.last_side + 1
    for _, node in ipairs(list) do
      self:put_on_side(node, self.last_side)
    end
  end
  return lists
end

--- Puts a node on a side of a partition.
---@param node kadenza.Node
---@param side? integer
function Sim:put_on_side(node, side)
  self.sides[node] = side
  if node:is_open() then
    self.network:set_group(node.core, side or 0)
  end
end

--- Ends all partitions.
function Sim:heal()
  self.network:heal()
  for node in pairs(self.sides) do
    self.sides[node] = nil
  end
end

---------------------------------------------------- suspension, movement --

--- Suspends nodes, as a laptop that is closed: they receive nothing and do
--- nothing. `resume` ends this, or the end of the time.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@param seconds? number  until they resume
---@param clock_stands? boolean  their clocks stand still meanwhile, so that to
---  them no time has passed
---@return kadenza.Node[] suspended
function Sim:suspend(what, seconds, clock_stands)
  local nodes = errors.at_level(2, self.choose, self, what)
  task.milliseconds(seconds or 0, 2)
  for _, node in ipairs(nodes) do
    if node:is_open() then
      self.network:suspend(node.core, clock_stands)
      self.suspended[node] = true
    end
  end
  if seconds then
    self:spawn(function()
      task.sleep(seconds)
      self:resume(nodes)
    end)
  end
  return nodes
end

--- Resumes nodes that are suspended.
---@param what? kadenza.Node|kadenza.Node[]  all of them without it
function Sim:resume(what)
  if what == nil then
    what = {}
    for _, node in ipairs(self.nodes) do
      what[#what + 1] = self.suspended[node] and node or nil
    end
  end
  for _, node in ipairs(errors.at_level(2, self.choose, self, what)) do
    if node:is_open() then
      self.network:resume(node.core)
    end
    self.suspended[node] = nil
  end
end

--- Gives nodes new addresses, as a phone gets when it changes its network.
--- Datagrams to the old addresses are lost.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@return kadenza.Node[] moved
function Sim:move(what)
  local nodes = errors.at_level(2, self.choose, self, what)
  for _, node in ipairs(nodes) do
    if node:is_open() then
      local addresses = {}
      for i in ipairs(node:addresses()) do
        addresses[i] = self:fresh_address()
      end
      assert(self.network:move(node.core, addresses))
    end
  end
  return nodes
end

--- Makes the clocks of nodes wrong from now on.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@param error_of { drift?: integer, ahead?: integer }  `drift` in millionths:
---  a clock with 1000 runs 0.1 % fast; `ahead` in seconds of the wall clock;
---  both may be negative
---@return kadenza.Node[] nodes
function Sim:skew(what, error_of)
  local nodes = errors.at_level(2, self.choose, self, what)
  if type(error_of) ~= "table" then
    error("drift and ahead must be in a table, not a " .. type(error_of), 2)
  end
  check.options(error_of, 2, SKEW)
  for _, node in ipairs(nodes) do
    self.network:set_clock(node.core, error_of.drift or 0, error_of.ahead or 0)
  end
  return nodes
end

------------------------------------------------------------------ restart --

--- Returns what a node keeps over a restart: its addresses, its id and, as in a
--- state folder, the addresses of its contacts.
---@param node kadenza.Node
---@return table memory
function Sim:remember(node)
  local contacts = {}
  for i, contact in ipairs(node:contacts()) do
    contacts[i] = contact.address
  end
  return {
    options = {
      id = node:id(),
      move_id = true, -- as the id of a state folder
      listen = node:addresses(),
      bootstrap = contacts,
    },
    side = self.sides[node],
    nat = self.nats[node],
  }
end

--- Opens a node again from its memory. It has not joined.
---@param memory table
---@return kadenza.Node node
function Sim:open_again(memory)
  local node = assert(self:open(memory.options))
  self:put_on_side(node, memory.side)
  self:nat(node, memory.nat or "open")
  return node
end

--- Joins such a node by its old contacts, or by a random node if none of them
--- answers.
---@async
---@param node kadenza.Node
function Sim:join_again(node)
  if #node.bootstrap_names == 0 or not node:bootstrap() then
    self:let_join(node)
  end
end

--- Ends nodes as `kill` does and opens them again with their ids, addresses
--- and contacts, but without records. Returns the new nodes, in the same order,
--- when they have joined, or after ten minutes as `join` does. Outside of a
--- task, runs the network until then.
---@async
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@param seconds? number  between end and restart; 0 without it
---@return kadenza.Node[] nodes
function Sim:restart(what, seconds)
  local nodes = errors.at_level(2, self.choose, self, what)
  task.milliseconds(seconds or 0, 2)
  local memories, returned = {}, {}
  for i, node in ipairs(nodes) do
    if not node:is_open() then
      error("closed node", 2)
    end
    memories[i] = self:remember(node)
  end
  self:kill(nodes)
  self:in_task(function()
    task.sleep(math.max(seconds or 0, LEAST_ABSENCE))
    local joins = {}
    for i, memory in ipairs(memories) do
      returned[i] = self:open_again(memory)
      joins[i] = task.spawn(self.network, self.join_again, self, returned[i])
    end
    self:await_joins(joins)
  end)
  return returned
end

return Sim
