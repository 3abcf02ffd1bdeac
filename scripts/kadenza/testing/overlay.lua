--- An overlay in virtual time for tests: a simulation that says its seed when a
--- test fails, with faults to order and questions about who holds what.

local key_module = require("kadenza.key")
local policy = require("kadenza.testing.policy")
local sim = require("kadenza.sim")

local M = {}

-- The variable that names the seed of a run that is to be repeated.
local SEED_VARIABLE <const> = "KADENZA_SEED"
local SEED <const> = 1

---@class kadenza.testing.Holder
---@field node kadenza.Node
---@field records table[]
---@field values string  a text of all of them

---@class kadenza.testing.Overlay
---@field nodes kadenza.Node[]  those that live
---@field seed integer
---@field net kadenza.Sim  the simulation
local Overlay = {}
Overlay.__index = Overlay
Overlay.__name = "kadenza.testing.Overlay"

local function seed_of(given)
  local text = os.getenv(SEED_VARIABLE)
  local seed = text and math.tointeger(tonumber(text))
  if text and text ~= "" and not seed then
    error(SEED_VARIABLE .. " must be an integer, not '" .. text .. "'", 3)
  end
  return seed or given.seed or SEED
end

--- Makes an overlay whose nodes have joined. Options are those of `kad.sim`;
--- without a seed it is 1, and KADENZA_SEED in the environment goes before
--- both. Close it, or declare it `<close>`.
---@param given? kadenza.SimOptions
---@return kadenza.testing.Overlay overlay
function M.new(given)
  given = given or {}
  if type(given) ~= "table" then
    error("options must be a table, not " .. type(given), 2)
  end
  local wishes = { seed = seed_of(given) }
  for name, value in pairs(given) do
    wishes[name] = wishes[name] or value
  end
  local made, net = pcall(sim.new, wishes)
  if not made then
    error((tostring(net):gsub("^[^\n]-%.lua:%d+: ", "")), 2)
  end
  return setmetatable({
    net = net,
    nodes = net.nodes,
    seed = wishes.seed,
    policies = given.policies,
  }, Overlay)
end

-- Adds the seed to what a failure says.
local function add_seed(self, problem)
  local note = ("\n(seed %d; %s=%d repeats it)"):format(self.seed,
    SEED_VARIABLE, self.seed)
  if type(problem) == "string" then
    return problem .. note
  elseif type(problem) == "table" and type(problem.message) == "string" then
    problem.message = problem.message .. note
  end
  return problem
end

--- Runs `fn` as a task until it has ended and returns its results. Its error is
--- raised with the seed.
---@param fn async fun(...): ...
---@param ... any
---@return any ...
function Overlay:perform(fn, ...)
  local results = table.pack(pcall(self.net.perform, self.net, fn, ...))
  if not results[1] then
    error(add_seed(self, results[2]), 0)
  end
  return table.unpack(results, 2, results.n)
end

--- Runs for so many seconds of its clock, at once.
---@param seconds number
function Overlay:run(seconds)
  local fine, problem = pcall(self.net.run, self.net, seconds)
  if not fine then
    error(add_seed(self, problem), 0)
  end
end

--- Returns the seconds of its clock.
---@return number seconds
function Overlay:now()
  return self.net:now()
end

--- Closes the nodes and the simulation.
function Overlay:close()
  self.net:close()
end

Overlay.__close = Overlay.close

------------------------------------------------------------------ faults --

-- Returns a node of this overlay, named by itself or its number.
local function node_of(self, which)
  local node = type(which) == "number" and self.nodes[which] or which
  for _, other in ipairs(self.nodes) do
    if other == node then
      return other
    end
  end
  error("no node of this overlay: " .. tostring(which), 3)
end

--- Ends a node at once, as a power failure does: its policies do not hear of
--- it, and it says nothing to the others. It leaves `nodes`, so that those
--- after it have other numbers.
---@param which integer|kadenza.Node
function Overlay:kill(which)
  self.net:kill(node_of(self, which))
end

--- Closes a node, which also leaves `nodes`: its policies' `on_stop` runs.
---@param which integer|kadenza.Node
function Overlay:leave(which)
  self.net:leave(node_of(self, which))
end

--- Opens one more node and lets it join by a random one, however often it has
--- to ask.
---@async
---@param options? kadenza.NodeOptions  without `policies`, those of the others
---@return kadenza.Node node
function Overlay:join(options)
  return self.net:join(options)
end

--- Cuts nodes off from all others, as net:partition does.
---@param groups? integer|number|kadenza.Node[]|kadenza.Node[][]
---@return kadenza.Node[][] groups
function Overlay:partition(groups)
  return self.net:partition(groups)
end

--- Ends all partitions.
function Overlay:heal()
  self.net:heal()
end

-- Random bytes of the simulation, so that a run can be repeated.
local function noise(self, size)
  return self.net.network:random(size)
end

-- The types and queries of the policies that the others run.
local function known_names(self)
  local names = { types = {}, methods = {} }
  if self.policies and #self.policies > 0 then
    local loaded <close> = assert(policy.load(self.policies))
    local about = loaded:describe()
    for _, kind in ipairs(about.types) do
      names.types[#names.types + 1] = kind.name
    end
    names.methods = about.methods
  end
  return names
end

local bad = {}

-- Never answers a query.
function bad.silent()
  return { on_request = function()
    return false
  end }
end

-- Answers every query with an error.
function bad.errors()
  return { on_request = function()
    return nil, "out of order", 202
  end }
end

local BUILT_IN <const> = { peers = true, value = true }

-- Takes every record, without a rule, and answers the policies' queries with
-- bytes that mean nothing.
function bad.garbage(self)
  local names = known_names(self)
  local made = { types = {}, rpc = {} }
  for _, name in ipairs(names.types) do
    made.types[name] = not BUILT_IN[name] and {} or nil
  end
  for _, name in ipairs(names.methods) do
    made.rpc[name] = function()
      return { [noise(self, 8)] = noise(self, 100), text = { noise(self, 8) } }
    end
  end
  return made
end

--- Lets a node join that does not keep to the rules, and returns it: `silent`
--- never answers, `errors` answers each query with an error, and `garbage`
--- holds whatever it is given, valid or not, and answers the policies' queries
--- with noise. It is among `nodes`, as the last.
---@async
---@param kind "silent"|"errors"|"garbage"
---@return kadenza.Node node
function Overlay:bad_node(kind)
  local make = bad[kind]
  if not make then
    error("'" .. tostring(kind) .. "' is no kind of a bad node: silent, errors "
      .. "or garbage", 2)
  end
  return self:join({ policies = { make(self) } })
end

--------------------------------------------------------------- questions --

-- All values of a list of records, as a text that does not depend on its order.
local function content_of(records)
  local list = {}
  for i, record in ipairs(records) do
    local publisher = record.publisher
    list[i] = ("%s (publisher %s, seq %s)"):format(record.value,
      publisher and key_module.hex(publisher):sub(1, 8) or "none",
      record.seq or "none")
  end
  table.sort(list)
  return table.concat(list, ", ")
end

--- Returns the nodes that hold records under a key, with those. Nothing is sent
--- for that.
---@param key string
---@param kind? string  the type, `value` without one
---@return kadenza.testing.Holder[] holders
function Overlay:holders(key, kind)
  local holders = {}
  for _, node in ipairs(self.nodes) do
    local records = node:held(key, kind)
    if #records > 0 then
      holders[#holders + 1] = { node = node, records = records,
        values = content_of(records) }
    end
  end
  return holders
end

--- Tells whether `value` is an overlay.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Overlay
end

return M
