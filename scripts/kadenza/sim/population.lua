--- The nodes of a simulation: how they open, join, and are chosen.
--- `kadenza.sim` makes these functions methods of its networks.

local chance = require("kadenza.sim.chance")
local errors = require("kadenza.errors")
local group = require("kadenza.group")
local log = require("kadenza.log")
local node_module = require("kadenza.node")
local task = require("kadenza.task")

---@class kadenza.Sim
local Sim = {}

local PORT <const> = 6881

-- Nodes have addresses of the open internet, in subnets of their own: so many
-- blocks of addresses that begin with the same byte, each of so many subnets.
local FIRST_BLOCK <const> = 20
local BLOCKS <const> = 80
local SUBNETS <const> = 65536
local MAX_OPENED <const> = BLOCKS * SUBNETS * 254 - 1

-- The i-th node begins to join SPREAD * log(1 + i / CROWD) seconds after the
-- first: ten a second, and when there are thousands, a fiftieth of them: what
-- joining takes for a while stays little beside what the nodes are.
local SPREAD <const> = 50
local CROWD <const> = 500

-- Seconds after the last has begun that joining may take, and until a node
-- tries again, by another.
local JOIN_SECONDS <const> = 600
local RETRY_SECONDS <const> = 1

-- Seconds between two looks whether all have joined.
local LOOK_SECONDS <const> = 0.1

-- How often a node is drawn anew that is closed or has not joined itself.
local DRAWS <const> = 8

local function address_of(index)
  local subnet = index % (BLOCKS * SUBNETS)
  return string.format("%d.%d.%d.%d:%d", FIRST_BLOCK + subnet // SUBNETS,
    subnet >> 8 & 255, subnet & 255, 1 + index // (BLOCKS * SUBNETS),
    PORT)
end

--- Returns an address, in a subnet of its own, that no node has had.
---@return string address  "ip:port"
function Sim:fresh_address()
  if self.opened >= MAX_OPENED then
    error("no address is left", 2)
  end
  self.opened = self.opened + 1
  return address_of(self.opened)
end

------------------------------------------------------------------- places --

-- Returns the place of every node in `nodes`. It is made anew after that list
-- was changed otherwise than at its end.
local function places_of(self)
  if not self.places or #self.nodes ~= self.placed then
    self.places = {}
    for i, node in ipairs(self.nodes) do
      self.places[node] = i
    end
    self.placed = #self.nodes
  end
  return self.places
end

--- Returns the place of a node in `nodes`, or nil.
---@param node kadenza.Node
---@return integer? place
function Sim:place_of(node)
  local place = places_of(self)[node]
  if place and self.nodes[place] ~= node then
    self.places = nil
    place = places_of(self)[node]
  end
  return place
end

-- Adds a node to the list: at the end, or at the place of one that has gone.
local function insert(self, node, place)
  place = place or #self.nodes + 1
  local before = self.nodes[place]
  self.nodes[place] = node
  if self.places then
    self.places[node] = place
    self.placed = #self.nodes
    if before then
      self.places[before] = nil
    end
  end
end

--- Takes a node off `nodes`. For those that end it: users have kill and leave.
---@param node kadenza.Node
function Sim:take_out(node)
  local place = self:place_of(node)
  if place then
    table.remove(self.nodes, place)
    self.places = nil
  end
end

------------------------------------------------------------------ opening --

local function open_at(self, wishes, place)
  if wishes ~= nil and type(wishes) ~= "table" then
    error("options must be a table, not " .. type(wishes), 0)
  end
  local all = { policies = self.policies }
  for name, value in pairs(self.config) do
    all[name] = value
  end
  for name, value in pairs(wishes or {}) do
    all[name] = value
  end
  all.listen = all.listen or self:fresh_address()
  local opened, message, code =
    errors.at_level(-1, node_module.open_in, self.network, all, self.forget)
  if not opened then
    return nil, message, code
  end
  insert(self, opened, place)
  self:draw_nat(opened)
  return opened
end

--- Opens one more node and returns it. It has not joined.
---@param wishes? kadenza.NodeOptions
---@return kadenza.Node? node
---@return string? message
---@return kadenza.Code? code
function Sim:open(wishes)
  return errors.at_level(1, open_at, self, wishes) -- a tail call: blames ours
end

--- Opens a node at the place of another, which has been ended.
---@param place integer  in `nodes`
---@param wishes? kadenza.NodeOptions
---@return kadenza.Node node
function Sim:open_at(place, wishes)
  return assert(open_at(self, wishes, place))
end

------------------------------------------------------------------ choosing --

--- Returns the number of nodes that live.
---@return integer count
function Sim:alive()
  local count = 0
  for _, node in ipairs(self.nodes) do
    count = count + (node:is_open() and 1 or 0)
  end
  return count
end

-- Tells whether a node does what is asked of it.
local function is_ready(self, node)
  return node:is_open() and not self.asleep[node] and not self.hostiles[node]
end

-- Draws an open node that has joined, if one is found soon, on the same side of
-- a partition as `joiner`, and another one; among the first `last` of the list.
local function draw_host(self, joiner, last)
  local found
  local side = joiner and self.sides[joiner]
  for _ = 1, DRAWS do
    local node =
      self.nodes[chance.integer(self.network, math.min(last, #self.nodes))]
    if node ~= joiner and is_ready(self, node)
      and (not joiner or self.sides[node] == side and not self.nats[node])
    then
      found = node
      if node:state() == "healthy" then
        break
      end
    end
  end
  return found
end

-- Returns the open nodes of the list.
local function list_open(self)
  local list = {}
  for _, node in ipairs(self.nodes) do
    if node:is_open() then
      list[#list + 1] = node
    end
  end
  return list
end

--- Returns a random open node that has joined, or another one if hardly any
--- have; nil if none is open.
---@return kadenza.Node? node
function Sim:draw_joined()
  return #self.nodes > 0 and draw_host(self, nil, #self.nodes)
    or list_open(self)[1]
end

-- Returns how many of `count` nodes a number means: below 1, it is a share.
local function count_of(what, count, level)
  if math.type(what) == "integer" and what >= 0 then
    return what
  elseif what > 0 and what < 1 then
    return math.floor(what * count + 0.5)
  end
  error(("%s is neither a number of nodes nor a share between 0 and 1"):format(
    what), level + 1)
end

local function check_node(self, node, level)
  if not node_module.is(node) then
    error("a node is needed, not " .. type(node), level + 1)
  elseif node:network() ~= self.network then
    error("the node is of another network", level + 1)
  end
end

-- Returns the nodes that `what` means; `level` is whom to blame.
local function choose(self, what, level)
  if what == nil then
    what = 1
  end
  if type(what) == "number" then
    local list = list_open(self)
    return chance.sample(self.network, list, count_of(what, #list, level + 1))
  end
  local list = type(what) == "table" and not node_module.is(what)
    and table.move(what, 1, #what, 1, {}) or { what }
  for _, node in ipairs(list) do
    check_node(self, node, level + 1)
  end
  return list
end

--- Returns live nodes drawn by chance: so many, or a share of all if `what` is
--- between 0 and 1; one, if there is none. A node or a list of nodes is
--- returned as a list: whatever takes nodes takes all of these.
---@param what? integer|number|kadenza.Node|kadenza.Node[]
---@return kadenza.Node[] nodes
function Sim:choose(what)
  return choose(self, what, 1) -- a tail call: blames ours
end

------------------------------------------------------------------- joining --

-- Lets a node join by a random one, and by others when that does not answer:
-- datagrams may be lost, and nodes end. The first one has nobody to join.
-- Returns false when it was closed.
local function join(self, node, last)
  while node:is_open() do
    if #self.nodes == 1 then
      return true
    end
    local host = draw_host(self, node, last or #self.nodes)
    if host and node:bootstrap(host:addresses()) then
      return true
    end
    task.sleep(RETRY_SECONDS)
  end
  return false
end

--- Lets a node join by a random live one, however often it takes. Returns false
--- when the node is closed before.
---@async
---@param node kadenza.Node
---@return boolean joined
function Sim:let_join(node)
  return join(self, node)
end

-- Opens nodes; in a partition, each is on the side of a random other one.
local function open_many(self, count, wishes)
  local opened = {}
  for i = 1, count do
    local side = next(self.sides) and self.sides[self:draw_joined()]
    local node, message = open_at(self, wishes)
    opened[i] = node or error(message, 0)
    if side then
      self:put_on_side(node, side)
    end
  end
  return opened
end

-- Opens nodes; the message is the caller's who named wrong options.
local function open_checked(self, count, wishes)
  local fine, opened = pcall(open_many, self, count, wishes)
  if not fine then
    error(opened, 3)
  end
  return opened
end

--- Opens a node that joins by a random live one, and returns it once it has; or
--- so many nodes at once, and returns their list. Outside of a task, time
--- passes meanwhile.
---@async
---@param count? integer  of the list
---@param wishes? kadenza.NodeOptions
---@return kadenza.Node|kadenza.Node[] joined
function Sim:join(count, wishes)
  local one = type(count) ~= "number"
  if one then
    count, wishes = 1, count
  elseif math.type(count) ~= "integer" or count < 0 then
    error("the number of nodes must be an integer that is not negative", 2)
  end
  local opened = open_checked(self, count, wishes)
  self:in_task(function()
    local joins = {}
    for i, node in ipairs(opened) do
      joins[i] = task.spawn(self.network, join, self, node)
    end
    group.all(joins)
  end)
  return one and opened[1] or opened
end

-- Starts the joining of the nodes there are: all but the first, each a while
-- after the one before, by one of those that have begun: they are one overlay.
-- Returns the tasks under way, by number, and in `left`
-- how many nodes have still to join.
local function start_joins(self)
  local began = self:now()
  local joins = { left = #self.nodes - 1 }
  self.joining = joins
  for i = 2, #self.nodes do
    local node = self.nodes[i]
    task.sleep(began + SPREAD * math.log(1 + i / CROWD) - self:now())
    joins[i] = task.spawn(self.network, function()
      join(self, node, i - 1)
      joins[i] = nil -- and with it all that joining has needed
      joins.left = joins.left - 1
    end)
  end
  return joins
end

--- Lets the nodes of a new network join. It is logged if some could not.
function Sim:join_all()
  self:perform(function()
    local count = #self.nodes
    local joins = start_joins(self)
    local deadline = self:now() + JOIN_SECONDS
    while joins.left > 0 and self:now() < deadline do
      task.sleep(LOOK_SECONDS)
    end
    for i = 2, count do
      if joins[i] then
        joins[i]:cancel()
      end
    end
    self.joining = nil
    if joins.left > 0 then
      log.warn("not every node could join", { left = joins.left })
    end
  end)
end

return Sim
