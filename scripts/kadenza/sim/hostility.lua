--- Hostile nodes, which break the protocol. These functions are methods of
--- `kadenza.Sim`.

local check = require("kadenza.check")
local errors = require("kadenza.errors")
local task = require("kadenza.task")

---@alias kadenza.Behaviour "honest"|"silent"|"liar"|"sybil"|"misplacer"
---|"mislabeler"|"lurer"|"flooder"|"replayer"|"garbage"

---@class kadenza.Sim
local Sim = {}

local KINDS <const> = { silent = true, liar = true, sybil = true,
  misplacer = true, mislabeler = true, lurer = true, flooder = true,
  replayer = true, garbage = true, honest = true }
local NAMES <const> = "silent, liar, sybil, misplacer, mislabeler, lurer, "
  .. "flooder, replayer, garbage or honest"

local OPTIONS <const> = {
  key = "string",
  rate = { kind = "integer", from = 1, to = 1000 },
}

-- Bits that the ids of sybils have in common with their key, so that no honest
-- node is as close.
local COMMON_BITS <const> = 32

local function check_behaviour(kind, given, level)
  if not KINDS[kind] then
    error(("the kind must be %s, not '%s'"):format(NAMES, tostring(kind)),
      level + 1)
  end
  check.options(given, level + 1, OPTIONS)
  if kind == "sybil" and not given.key then
    error("option 'key' is needed: the key that sybils attack", level + 1)
  end
end

local function set(self, node, kind, given)
  self.network:set_behaviour(node.core, kind, given)
  self.hostiles[node] = kind ~= "honest" and { kind = kind, options = given }
    or nil
end

--- Makes nodes hostile from now on:
---
--- - `silent` nodes answer pings and nothing else;
--- - a `liar` names contacts that do not exist, and other liars, and claims to
---   store records that it does not store;
--- - a `sybil` does the same for one key (`key`), see net:sybils;
--- - a `misplacer` is a liar that names ids of its table at wrong addresses;
--- - a `mislabeler` names addresses of its table with invented ids;
--- - a `lurer` names other lurers with invented ids, each closer than its own;
--- - a `flooder` stores junk wherever it can;
--- - a `replayer` sends datagrams again that it has received;
--- - `garbage` sends bytes that are no message.
---
--- The last three send `rate` datagrams a second, 10 without it. `honest` makes
--- nodes honest again. Nodes do not join by hostile nodes, and runs do not use
--- hostile nodes for operations.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@param kind kadenza.Behaviour
---@param given? { key?: string, rate?: integer }
---@return kadenza.Node[] nodes
function Sim:hostile(what, kind, given)
  given = given or {}
  check_behaviour(kind, given, 2)
  local nodes = errors.at_level(2, self.choose, self, what)
  for _, node in ipairs(nodes) do
    if given.key then
      check.id(node, given.key, "option 'key'", 2)
    end
    if node:is_open() then
      set(self, node, kind, given)
    end
  end
  return nodes
end

--- Gives a node the behaviour of the node that it replaces.
---@param node kadenza.Node
---@param before? { kind: string, options: table }
function Sim:inherit_hostility(node, before)
  if before then
    set(self, node, before.kind, before.options)
  end
end

--- Opens sybils: nodes with ids closer to a key than any honest node. They name
--- only each other and hold no records. Returns them when they have joined, or
--- after ten minutes as `join` does. Outside of a task, runs the network until
--- then.
---@async
---@param count integer
---@param key string
---@return kadenza.Node[] sybils
function Sim:sybils(count, key)
  if math.type(count) ~= "integer" or count < 1 then
    error("the number of sybils must be a positive integer", 2)
  end
  check.kind(key, "string", "key", 2)
  local bytes = (self.config.id_bits or 160) // 8
  if #key ~= bytes then
    error(("the key must have %d bytes, not %d"):format(bytes, #key), 2)
  end
  local sybils, joins = {}, {}
  local common = COMMON_BITS // 8
  for i = 1, count do
    local id = key:sub(1, common) .. self.network:random(#key - common)
    local node, message = self:open({ id = id })
    sybils[i] = node or error(message, 2)
  end
  self:in_task(function()
    for i, node in ipairs(sybils) do
      joins[i] = task.spawn(self.network, self.let_join, self, node)
    end
    self:await_joins(joins)
  end)
  return self:hostile(sybils, "sybil", { key = key })
end

return Sim
