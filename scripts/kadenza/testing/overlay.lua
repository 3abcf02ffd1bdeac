--- An overlay in virtual time for tests: a simulation that adds its seed to
--- failures, causes faults on request, and lists the holders of records.

local http = require("kadenza.testing.http")
local key_module = require("kadenza.key")
local policy = require("kadenza.testing.policy")
local sim = require("kadenza.sim")
local task = require("kadenza.task")

local M = {}

-- The environment variable with the seed of a run to repeat.
local SEED_VARIABLE <const> = "KADENZA_SEED"
local DEFAULT_SEED <const> = 1

---@class kadenza.testing.Holder
---@field node kadenza.Node
---@field records table[]
---@field values string  the values of all records, as a text

---@class kadenza.testing.Overlay
---@field nodes kadenza.Node[]  the running nodes
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
  return seed or given.seed or DEFAULT_SEED
end

--- Makes an overlay whose nodes have joined. Options are those of `kad.sim`.
--- The default seed is 1; KADENZA_SEED in the environment overrides the seed.
--- Close the overlay, or declare it `<close>`.
---@param given? kadenza.SimOptions
---@return kadenza.testing.Overlay overlay
function M.new(given)
  given = given or {}
  if type(given) ~= "table" then
    error("options must be a table, not " .. type(given), 2)
  end
  local options = { seed = seed_of(given) }
  for name, value in pairs(given) do
    options[name] = options[name] or value
  end
  local made, net = pcall(sim.new, options)
  if not made then
    error((tostring(net):gsub("^[^\n]-%.lua:%d+: ", "")), 2)
  end
  return setmetatable({
    net = net,
    nodes = net.nodes,
    seed = options.seed,
    policies = given.policies,
  }, Overlay)
end

-- Adds the seed to an error.
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

--- Runs `fn` as a task until it ends, and returns its results. Raises its error
--- with the seed added.
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

--- Lets virtual time pass.
---@param seconds number
function Overlay:run(seconds)
  local succeeded, problem = pcall(self.net.run, self.net, seconds)
  if not succeeded then
    error(add_seed(self, problem), 0)
  end
end

--- Returns the overlay's clock.
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

-- Returns a node of this overlay: itself, or the one with a number.
local function node_of(self, which)
  local node = type(which) == "number" and self.nodes[which] or which
  for _, other in ipairs(self.nodes) do
    if other == node then
      return other
    end
  end
  error("not a node of this overlay: " .. tostring(which), 3)
end

--- Ends a node at once, like a power failure: without `on_stop` and without a
--- message to other nodes. Removes it from `nodes`, so the numbers of the nodes
--- after it change.
---@param which integer|kadenza.Node
function Overlay:kill(which)
  self.net:kill(node_of(self, which))
end

--- Closes a node, with `on_stop` of its policies. Removes it from `nodes`.
---@param which integer|kadenza.Node
function Overlay:leave(which)
  self.net:leave(node_of(self, which))
end

--- Opens a node and joins it through a random node; tries again until it has
--- joined.
---@async
---@param options? kadenza.NodeOptions  default of `policies`: the overlay's
---@return kadenza.Node node
function Overlay:join(options)
  return self.net:join(options)
end

--- Partitions the overlay, as net:partition does.
---@param groups? integer|number|kadenza.Node[]|kadenza.Node[][]
---@return kadenza.Node[][] groups
function Overlay:partition(groups)
  return self.net:partition(groups)
end

--- Ends all partitions.
function Overlay:heal()
  self.net:heal()
end

-- Returns random bytes from the simulation's seed.
local function random_bytes(self, size)
  return self.net.network:random(size)
end

-- Returns the names of the types and queries of the overlay's policies.
local function policy_names(self)
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

-- Makers of the policies of bad nodes.
local bad = {}

function bad.silent()
  return { on_request = function()
    return false
  end }
end

function bad.errors()
  return { on_request = function()
    return nil, "out of order", 202
  end }
end

local BUILT_IN <const> = { peers = true, value = true, immutable = true,
  mutable = true }

function bad.garbage(self)
  local names = policy_names(self)
  local made = { types = {}, rpc = {} }
  for _, name in ipairs(names.types) do
    made.types[name] = not BUILT_IN[name] and {} or nil
  end
  for _, name in ipairs(names.methods) do
    made.rpc[name] = function()
      return {
        [random_bytes(self, 8)] = random_bytes(self, 100),
        text = { random_bytes(self, 8) },
      }
    end
  end
  return made
end

--- Joins a node that breaks the rules and returns it, the last of `nodes`:
---
--- - `silent`: never answers
--- - `errors`: answers each query with an error
--- - `garbage`: holds every record, valid or not, and answers the policies'
---   queries with random bytes
---@async
---@param kind "silent"|"errors"|"garbage"
---@return kadenza.Node node
function Overlay:bad_node(kind)
  local make = bad[kind]
  if not make then
    error("the kind of a bad node must be silent, errors or garbage, not '"
      .. tostring(kind) .. "'", 2)
  end
  return self:join({ policies = { make(self) } })
end

---------------------------------------------------------------- requests --

-- Waits for the response to a request, as a task.
local function await_response(node, request)
  return task.wait(function(resume)
    http.start(node, request, resume)
  end)
end

--- Sends a node a request over HTTP, which a hook of `http` of its policies
--- serves.
---@async
---@param which integer|kadenza.Node
---@param method string
---@param path string
---@param options? kadenza.testing.RequestFields
---@return kadenza.testing.Response response
function Overlay:request(which, method, path, options)
  local node = node_of(self, which)
  local request = http.request(method, path, options, 2)
  return self.net:in_task(await_response, node, request)
end

----------------------------------------------------------------- holders --

-- Returns the values of a list of records as a text, in no order of the list.
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

--- Returns the nodes that hold records under a key, with these records. Sends
--- nothing.
---@param key string
---@param kind? string  the type; default `value`
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
