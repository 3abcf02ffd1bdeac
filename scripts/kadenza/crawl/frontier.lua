--- The nodes that a crawl knows, and those of them that wait for a query.
--
-- Subnets take turns, and each has at most one query in flight: however many
-- nodes of one subnet are named, others are not delayed. A local address is a
-- subnet of its own.

local core = require("kadenza.core")

local M = {}

--- A node that a crawl knows.
---@class kadenza.crawl.Entry
---@field address string
---@field id string  as another node has named it, or its own after a reply
---@field kind? "sampled"|"plain"|"silent"  what the last query showed: it gives
---  samples, it answers without them, it does not answer
---@field due number  when it may be asked again, by the network's clock
---@field num integer  info hashes that it holds, as it says
---@field is_open? boolean  it waits for a query or an answer
---@field is_plain? boolean  the next query asks for contacts only

---@class kadenza.crawl.Frontier
---@field list kadenza.crawl.Entry[]  all nodes in the order they were named
---@field waiting integer  nodes that wait for a query
---@field open integer  nodes that were asked and have not answered
---@field kinds table<string, integer>  nodes of each kind
---@field num integer  sum of the entries' `num`
local Frontier = {}
Frontier.__index = Frontier

--- Makes a frontier without nodes.
---@param max_nodes integer  that are known
---@param max_subnet integer  of one /24 or /64
---@return kadenza.crawl.Frontier frontier
function M.new(max_nodes, max_subnet)
  return setmetatable({
    max_nodes = max_nodes,
    max_subnet = max_subnet,
    list = {},
    by_address = {},
    subnets = {}, -- those with nodes that wait or were asked, by name
    sizes = {}, -- nodes that are known, by subnet
    ready = { first = 1, last = 0 }, -- subnets that can be asked, in order
    waiting = 0,
    open = 0,
    kinds = { sampled = 0, plain = 0, silent = 0 },
    num = 0,
  }, Frontier)
end

----------------------------------------------------------------- subnets --

-- Returns the groups of a part of an IPv6 address.
local function groups_of(text)
  local groups = {}
  for group in text:gmatch("[^:]+") do
    groups[#groups + 1] = group
  end
  return groups
end

--- Returns the subnet of an address: its /24 or /64, or itself if it is local.
---@param address string  "ip:port" as the core writes it
---@return string subnet
function M.subnet(address)
  if core.is_local(address) then
    return address
  end
  local four = address:match("^(%d+%.%d+%.%d+)%.")
  if four then
    return four
  end
  local host = address:match("^%[(.*)%]") or address
  local head, tail = host:match("^(.-)::(.*)$")
  local groups, rest = groups_of(head or host), groups_of(tail or "")
  while #groups + #rest < 8 do
    groups[#groups + 1] = "0"
  end
  table.move(rest, 1, #rest, #groups + 1, groups)
  return table.concat(groups, ":", 1, 4)
end

------------------------------------------------------------------- queue --

local function push(queue, item)
  queue.last = queue.last + 1
  queue[queue.last] = item
end

local function pop(queue)
  local item = queue[queue.first]
  queue[queue.first] = nil
  queue.first = queue.first + 1
  return item
end

local function is_empty(queue)
  return queue.first > queue.last
end

-- Lets an entry wait for a query: behind the others of its subnet, or `first`.
local function enqueue(self, entry, first)
  local name = M.subnet(entry.address)
  local subnet = self.subnets[name]
  if not subnet then
    subnet = { first = 1, last = 0, is_busy = false }
    self.subnets[name] = subnet
  end
  if not subnet.is_busy and is_empty(subnet) then
    push(self.ready, subnet)
  end
  if first then
    subnet.first = subnet.first - 1
    subnet[subnet.first] = entry
  else
    push(subnet, entry)
  end
  entry.is_open = true
  self.waiting = self.waiting + 1
end

--- Tells whether a node can be asked now: one waits, and its subnet is free.
---@return boolean
function Frontier:is_ready()
  return not is_empty(self.ready)
end

--- Returns the next node to ask. One must be ready. `put_back` or `finish`
--- follows.
---@return kadenza.crawl.Entry entry
function Frontier:take()
  local subnet = pop(self.ready)
  local entry = pop(subnet)
  subnet.is_busy = true
  self.waiting, self.open = self.waiting - 1, self.open + 1
  return entry
end

-- Lets the subnet of an entry that was taken be asked again.
local function release(self, entry)
  local name = M.subnet(entry.address)
  local subnet = self.subnets[name]
  self.open = self.open - 1
  subnet.is_busy = false
  if is_empty(subnet) then
    self.subnets[name] = nil
  else
    push(self.ready, subnet)
  end
end

--- Lets a node that was taken wait again, before others of its subnet.
---@param entry kadenza.crawl.Entry
function Frontier:put_back(entry)
  release(self, entry)
  enqueue(self, entry, true)
end

--- Notes what the query to a node that was taken has shown.
---@param entry kadenza.crawl.Entry
---@param kind "sampled"|"plain"|"silent"
---@param due number  when it may be asked again
---@param num? integer  of info hashes; without it, that of before stays
function Frontier:finish(entry, kind, due, num)
  release(self, entry)
  entry.is_open, entry.is_plain = nil, nil
  entry.due = due
  self:describe(entry, kind, num or entry.num)
end

--- Sets the kind and the number of info hashes of a node.
---@param entry kadenza.crawl.Entry
---@param kind? string
---@param num integer
function Frontier:describe(entry, kind, num)
  local kinds = self.kinds
  if entry.kind then
    kinds[entry.kind] = kinds[entry.kind] - 1
  end
  if kind then
    kinds[kind] = kinds[kind] + 1
  end
  self.num = self.num - entry.num + num
  entry.kind, entry.num = kind, num
end

------------------------------------------------------------------- nodes --

--- Adds a node, which waits for a query until `due` is set by `finish`. Returns
--- nil and the reason if it is not added: it is "known", all are "full", or its
--- subnet is "crowded".
---@param address string
---@param id string
---@param due? number  it was asked before: it does not wait
---@return kadenza.crawl.Entry? entry
---@return "known"|"full"|"crowded"? reason
function Frontier:add(address, id, due)
  if self.by_address[address] then
    return nil, "known"
  elseif #self.list >= self.max_nodes then
    return nil, "full"
  end
  local name = M.subnet(address)
  local size = self.sizes[name] or 0
  if size >= self.max_subnet then
    return nil, "crowded"
  end
  local entry = { address = address, id = id, due = due or 0, num = 0 }
  self.sizes[name] = size + 1
  self.by_address[address] = entry
  self.list[#self.list + 1] = entry
  if not due then
    enqueue(self, entry)
  end
  return entry
end

return M
