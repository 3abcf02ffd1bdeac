--- Nodes that do not keep to the rules: `kadenza.sim` makes these functions
--- methods of its networks.

local check = require("kadenza.check")
local errors = require("kadenza.errors")
local group = require("kadenza.group")

---@class kadenza.Sim
local Sim = {}

local KINDS <const> = { silent = true, liar = true, sybil = true,
  flooder = true, replayer = true, garbage = true, honest = true }
local NAMES <const> =
  "silent, liar, sybil, flooder, replayer, garbage or honest"

local OPTIONS <const> = {
  key = "string",
  rate = { kind = "integer", from = 1, to = 1000 },
}

-- Bits that the ids of sybils have in common with their key: no honest node is
-- as close, however many there are.
local COMMON_BITS <const> = 32

local function check_behaviour(kind, given, level)
  if not KINDS[kind] then
    error(("the kind must be %s, not '%s'"):format(NAMES, tostring(kind)),
      level + 1)
  end
  check.options(given, level + 1, OPTIONS)
  if kind == "sybil" and not given.key then
    error("option 'key' is needed: what sybils gather around", level + 1)
  end
end

local function set(self, node, kind, given)
  self.network:set_behaviour(node.core, kind, given)
  self.hostiles[node] = kind ~= "honest" and { kind = kind, options = given }
    or nil
end

--- Lets nodes break the rules from now on. `silent` ones answer pings and
--- nothing else; a `liar` names contacts that do not exist, and other liars,
--- and says that it stores what it does not; a `sybil` does the same for one
--- key (`key`), see net:sybils; a `flooder` stores junk wherever it can; a
--- `replayer` sends again what it has heard; `garbage` sends bytes that mean
--- nothing; these three so many (`rate`, 10) a second. `honest` ends it.
--- Nobody joins by hostile nodes, and a run acts by none.
---@param what? integer|number|kadenza.Node|kadenza.Node[]  as net:choose
---@param kind "silent"|"liar"|"sybil"|"flooder"|"replayer"|"garbage"|"honest"
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

--- Lets a node behave like the one whose place it takes.
---@param node kadenza.Node
---@param before? { kind: string, options: table }
function Sim:inherit_hostility(node, before)
  if before then
    set(self, node, before.kind, before.options)
  end
end

--- Lets so many sybils join: nodes whose ids are closer to a key than any
--- honest one's, who name only one another and hold nothing. Returns them once
--- they have joined. Outside of a task, time passes meanwhile.
---@async
---@param count integer
---@param key string
---@return kadenza.Node[] sybils
function Sim:sybils(count, key)
  if math.type(count) ~= "integer" or count < 1 then
    error("the number of sybils must be a positive integer", 2)
  end
  check.kind(key, "string", "key", 2)
  local sybils, joins = {}, {}
  local common = COMMON_BITS // 8
  for i = 1, count do
    local id = key:sub(1, common) .. self.network:random(#key - common)
    local node, message = self:open({ id = id })
    sybils[i] = node or error(message, 2)
    joins[i] = function()
      self:let_join(node)
    end
  end
  self:in_task(group.all, joins)
  return self:hostile(sybils, "sybil", { key = key })
end

return Sim
