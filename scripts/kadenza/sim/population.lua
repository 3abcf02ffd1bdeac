--- The nodes of a simulation: opens them, joins them and chooses among them.
--- These functions are methods of `kadenza.Sim`.

local errors = require("kadenza.errors")
local group = require("kadenza.group")
local log = require("kadenza.log")
local node_module = require("kadenza.node")
local random = require("kadenza.sim.random")
local task = require("kadenza.task")

---@class kadenza.Sim
local Sim = {}

local PORT <const> = 6881

-- Nodes have public addresses, each in a /24 subnet of its own: the first byte
-- is 20 to 99, and each of these blocks has 65,536 subnets.
local FIRST_BLOCK <const> = 20
local BLOCKS <const> = 80
local SUBNETS <const> = 65536
local MAX_OPENED <const> = BLOCKS * SUBNETS * 254 - 1

-- The i-th node begins to join SPREAD * log(1 + i / CROWD) seconds after the
-- first: ten nodes a second, and of several thousand 2 % a second, so that the
-- memory of joins under way stays small compared with that of the nodes.
local SPREAD <const> = 50
local CROWD <const> = 500

local JOIN_SECONDS <const> = 600 -- for nodes to join, after the last has begun
local RETRY_SECONDS <const> = 1 -- until a node joins by another node
local POLL_SECONDS <const> = 0.1 -- between two checks whether all have joined

-- Draws of a node until one is ready and has joined.
local DRAWS <const> = 8

-- BEP 42 binds ids to some bits of an address. The last byte has the others, so
-- that different subnets give different ids.
local function address_of(index)
  local subnet = index % (BLOCKS * SUBNETS)
  local unbound = subnet >> 6 & 3 | (subnet >> 12 & 15) << 2
  local last = (index // (BLOCKS * SUBNETS) + 4 * unbound) % 254
  return string.format("%d.%d.%d.%d:%d", FIRST_BLOCK + subnet // SUBNETS,
    subnet >> 8 & 255, subnet & 255, 1 + last, PORT)
end

--- Returns an address that no node has had, in a subnet of its own.
---@return string address  "ip:port"
function Sim:fresh_address()
  if self.opened >= MAX_OPENED then
    error("no address is left", 2)
  end
  self.opened = self.opened + 1
  return address_of(self.opened)
end

------------------------------------------------------------------- places --

-- Returns the place of every node in `nodes`, from a cache. It is rebuilt after
-- a change of the list other than at its end.
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

-- Adds a node to the list: at the end, or at the place of a node that ended.
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

--- Removes a node from `nodes`; the caller ends it. Programs use net:kill and
--- net:leave.
---@param node kadenza.Node
function Sim:take_out(node)
  local place = self:place_of(node)
  if place then
    table.remove(self.nodes, place)
    self.places = nil
  end
end

------------------------------------------------------------------ opening --

local function open_at(self, given, place)
  if given ~= nil and type(given) ~= "table" then
    error("options must be a table, not " .. type(given), 0)
  end
  local all = { policies = self.policies }
  for name, value in pairs(self.config) do
    all[name] = value
  end
  for name, value in next, given or {} do -- without __pairs
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
---@param given? kadenza.NodeOptions
---@return kadenza.Node? node
---@return string? message
---@return kadenza.Code? code
function Sim:open(given)
  -- A tail call: an error names the line of our caller.
  return errors.at_level(1, open_at, self, given)
end

--- Opens a node at the place of another one, which has ended.
---@param place integer  in `nodes`
---@param given? kadenza.NodeOptions
---@return kadenza.Node node
function Sim:open_at(place, given)
  return assert(open_at(self, given, place))
end

------------------------------------------------------------------ choosing --

--- Returns the number of open nodes.
---@return integer count
function Sim:alive()
  local count = 0
  for _, node in ipairs(self.nodes) do
    count = count + (node:is_open() and 1 or 0)
  end
  return count
end

-- Returns whether a node is open, awake and honest.
local function is_ready(self, node)
  return node:is_open() and not self.suspended[node] and not self.hostiles[node]
end

-- Draws a ready node among the first `last` of the list: one that has joined,
-- if DRAWS draws find one, or any other. With `joiner`, a different node on the
-- same side of a partition and behind no NAT. nil if no draw finds a node.
local function draw_host(self, joiner, last)
  local found
  local side = joiner and self.sides[joiner]
  for _ = 1, DRAWS do
    local node =
      self.nodes[random.integer(self.network, math.min(last, #self.nodes))]
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

-- Returns the open nodes.
local function list_open(self)
  local list = {}
  for _, node in ipairs(self.nodes) do
    if node:is_open() then
      list[#list + 1] = node
    end
  end
  return list
end

--- Returns a random node that has joined, or another open node if few have
--- joined; nil if none is open.
---@return kadenza.Node? node
function Sim:draw_joined()
  return #self.nodes > 0 and draw_host(self, nil, #self.nodes)
    or list_open(self)[1]
end

-- Returns how many of `count` nodes `what` means: a number, or a share below 1.
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

-- Returns the nodes that `what` means; `level` as for `error`.
local function choose(self, what, level)
  if what == nil then
    what = 1
  end
  if type(what) == "number" then
    local list = list_open(self)
    return random.sample(self.network, list, count_of(what, #list, level + 1))
  end
  local list = { what }
  if type(what) == "table" and not node_module.is(what) then
    list = {}
    for i = 1, rawlen(what) do
      list[i] = rawget(what, i)
    end
  end
  for _, node in ipairs(list) do
    check_node(self, node, level + 1)
  end
  return list
end

--- Chooses nodes. Every method that takes nodes accepts the same argument.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  a number of random
---  open nodes, a share of them between 0 and 1, a node or a list of nodes; one
---  random node without it
---@return kadenza.Node[] nodes
function Sim:choose(what)
  -- A tail call: an error names the line of our caller.
  return choose(self, what, 1)
end

------------------------------------------------------------------- joining --

-- Joins a node by a random node, and by others until one answers: datagrams may
-- be lost, and nodes end. A node that is alone has no node to join by. Returns
-- false when the node is closed.
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

--- Joins a node by random nodes, and repeats it until one answers. Returns
--- false when the node is closed before.
---@async
---@param node kadenza.Node
---@return boolean joined
function Sim:let_join(node)
  return join(self, node)
end

local function count_running(tasks)
  local count = 0
  for _, item in ipairs(tasks) do
    count = count + (item:status() == "running" and 1 or 0)
  end
  return count
end

-- Opens nodes; in a partition, each on the side of a random node.
local function open_many(self, count, given)
  local opened = {}
  for i = 1, count do
    local side = next(self.sides) and self.sides[self:draw_joined()]
    local node, message = open_at(self, given)
    opened[i] = node or error(message, 0)
    if side then
      self:put_on_side(node, side)
    end
  end
  return opened
end

-- Opens nodes; an error names the line of the program.
local function open_checked(self, count, given)
  local succeeded, opened = pcall(open_many, self, count, given)
  if not succeeded then
    error(opened, 3)
  end
  return opened
end

--- Waits until joins have ended, or JOIN_SECONDS have passed: then logs a
--- warning, and the joins go on.
---@async
---@param joins kadenza.Task[]
function Sim:await_joins(joins)
  local results = group.timeout(JOIN_SECONDS, function()
    return group.all(joins)
  end)
  if not results then
    log.warn("not every node could join", { left = count_running(joins) })
  end
end

--- Opens nodes and joins each by a random node. Returns when they have joined,
--- or after ten minutes: then logs a warning, and they go on trying. Outside of
--- a task, runs the network until then.
---@async
---@param count? integer  of nodes, for a list; without it, opens one node
---@param given? kadenza.NodeOptions
---@return kadenza.Node|kadenza.Node[] joined
function Sim:join(count, given)
  local one = type(count) ~= "number"
  if one then
    count, given = 1, count
  elseif math.type(count) ~= "integer" or count < 0 then
    error("the number of nodes must be an integer that is not negative", 2)
  end
  local opened = open_checked(self, count, given)
  self:in_task(function()
    local joins = {}
    for i, node in ipairs(opened) do
      joins[i] = task.spawn(self.network, join, self, node)
    end
    self:await_joins(joins)
  end)
  return one and opened[1] or opened
end

-- Starts to join all nodes but the first, one after the other. Each joins by a
-- node that has begun before it, so that they become one overlay. Returns the
-- tasks under way by number of the node, and in `left` the number of nodes that
-- have not joined.
local function start_joins(self)
  local began = self:now()
  local joins = { left = #self.nodes - 1 }
  self.joining = joins
  for i = 2, #self.nodes do
    local node = self.nodes[i]
    task.sleep(began + SPREAD * math.log(1 + i / CROWD) - self:now())
    joins[i] = task.spawn(self.network, function()
      join(self, node, i - 1)
      joins[i] = nil -- frees the memory of the join
      joins.left = joins.left - 1
    end)
  end
  return joins
end

--- Joins the nodes of a new network. Logs a warning if some could not join.
function Sim:join_all()
  self:perform(function()
    local count = #self.nodes
    local joins = start_joins(self)
    local deadline = self:now() + JOIN_SECONDS
    while joins.left > 0 and self:now() < deadline do
      task.sleep(POLL_SECONDS)
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
