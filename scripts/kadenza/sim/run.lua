--- A run of a scenario: the network, its operations, and their records, from
--- which statistics and reports are made.
--
-- Records are tables of numbers, strings and booleans, listed by kind in
-- `run.records`, each with `time`, the seconds since the run began. The run
-- itself adds:
--
--     get     ok, took, hops, messages, holders, correct, code
--     put     ok, took, hops, messages, stored, asked, code
--     lookup  ok, took, hops, messages, code
--     sample  the state of the overlay, regularly: see kadenza.sim.sampler
--     mark    text: an event that charts show
--     policy  hook, and the costs of its calls: at the end
--
-- Scenarios may add other kinds.

local check = require("kadenza.check")
local holders = require("kadenza.sim.holders")
local key_module = require("kadenza.key")
local measure = require("kadenza.sim.measure")
local node_module = require("kadenza.node")
local random = require("kadenza.sim.random")
local recorder = require("kadenza.sim.recorder")
local task = require("kadenza.task")

local M = {}

---@class kadenza.SimRun
---@field net kadenza.Sim
---@field scenario kadenza.Scenario
---@field nodes integer  at its beginning
---@field seed integer
---@field options { nodes: integer, seed: integer, hours: number }
---@field seconds number  its planned length
---@field records table<string, table[]>  by kind
---@field recorder kadenza.sim.Recorder  for its report
---@field expectations table[]  name, value, operator, goal, passed
---@field values table[]  stored by puts: key, type, value
local Run = {}
Run.__index = Run
Run.__name = "kadenza.SimRun"

local SECONDS_AN_HOUR <const> = 3600

-- Options of run:get and others that are not passed to the operation.
local OWN <const> = { node = true, value = true }

--- Returns the run of a scenario. Its time begins now.
---@param net kadenza.Sim
---@param scenario kadenza.Scenario
---@param given { nodes: integer, seed: integer, hours: number }
---@return kadenza.SimRun run
function M.new(net, scenario, given)
  return setmetatable({
    net = net,
    scenario = scenario,
    nodes = #net.nodes,
    seed = net.seed,
    options = given,
    seconds = given.hours * SECONDS_AN_HOUR,
    began = net:now(),
    records = {},
    expectations = {},
    values = {},
    named = 0, -- keys made by run:put
    recorder = recorder.new(),
  }, Run)
end

--- Returns the seconds since the run began.
---@return number seconds
function Run:now()
  return math.floor((self.net:now() - self.began) * 1000 + 0.5) / 1000
end

--- Returns a random number from 0 to below 1, or a random integer from 1 to
--- `last`: the same for the same seed.
---@param last? integer
---@return number
function Run:random(last)
  if last then
    return random.integer(self.net.network, last)
  end
  return random.uniform(self.net.network)
end

--------------------------------------------------------------- recording --

-- Fields that are numbers in any record.
local NUMBERS <const> = { "time", "took", "hops", "messages", "share" }

--- Adds a record. Its time is now, unless `fields` has a `time`.
---@param kind string
---@param fields table  of numbers, strings and booleans; becomes the record
function Run:record(kind, fields)
  check.kind(kind, "string", "kind", 2)
  if type(fields) ~= "table" then
    error("fields must be a table, not " .. type(fields), 2)
  end
  for _, name in ipairs(NUMBERS) do
    if fields[name] ~= nil then
      check.number(fields[name], "field '" .. name .. "'", 2)
    end
  end
  fields.time = fields.time or self:now()
  local list = self.records[kind]
  if not list then
    list = {}
    self.records[kind] = list
  end
  list[#list + 1] = fields
  self.recorder:record(kind, fields)
end

--- Records an event. Charts show it as a vertical line with the text.
---@param text string
function Run:mark(text)
  check.kind(text, "string", "text", 2)
  self:record("mark", { text = text })
end

--- Returns the records of a kind within a span of time.
---@param kind string
---@param from? number  seconds since the run began
---@param to? number  excluded
---@return table[] records
function Run:select(kind, from, to)
  local selected = {}
  for _, record in ipairs(self.records[kind] or {}) do
    if record.time >= (from or 0) and record.time < (to or math.huge) then
      selected[#selected + 1] = record
    end
  end
  return selected
end

local function list_of(self, what)
  return type(what) == "table" and what or self.records[what] or {}
end

--- Returns the number of records of a kind, or in a list.
---@param what string|table[]
---@return integer count
function Run:count(what)
  return #list_of(self, what)
end

--- Returns the share of records whose field is true, 0 … 1, among those that
--- have the field; nil if none has it.
---@param what string|table[]  a kind, or a list
---@param field? string  `ok` without it
---@return number? share
function Run:share(what, field)
  return measure.share(list_of(self, what), field or "ok")
end

--- Returns the mean of a field over the records that have it; nil if none has
--- it.
---@param what string|table[]  a kind, or a list
---@param field string
---@return number? mean
function Run:mean(what, field)
  return measure.mean(list_of(self, what), field)
end

--- Returns the smallest value of a field that `percent` of its values do not
--- exceed; nil if no record has the field.
---@param what string|table[]  a kind, or a list
---@param field string
---@param percent number  0 to 100
---@return number? value
function Run:percentile(what, field, percent)
  return measure.percentile(list_of(self, what), field, percent)
end

--- Compares a value with its goal, and adds the outcome to the report.
---@param name string
---@param value number?  nil, when nothing was measured, never passes
---@param operator ">="|"<="|"=="|">"|"<"
---@param goal number
---@return boolean passed
function Run:expect(name, value, operator, goal)
  check.kind(name, "string", "name", 2)
  local compare = measure.OPERATORS[operator]
  if not compare then
    error("the operator must be one of >= <= == > <, not '"
      .. tostring(operator) .. "'", 2)
  end
  if value ~= nil and type(value) ~= "number" then
    error("value must be a number or nil, not " .. type(value), 2)
  end
  check.number(goal, "goal", 2)
  local passed = value ~= nil and compare(value, goal)
  table.insert(self.expectations, { name = name, value = value,
    operator = operator, goal = goal, passed = passed })
  return passed
end

-------------------------------------------------------------- operations --

-- Returns the node of an operation: the given one, or a random one that has
-- joined.
local function node_for(self, given)
  if given.node and not node_module.is(given.node) then
    error("option 'node' must be a node, not " .. type(given.node), 3)
  end
  return given.node or self.net:draw_joined()
    or error("no node is left to act", 0)
end

-- Returns the options of the operation itself.
local function operation_options(given)
  local result = {}
  for name, value in pairs(given) do
    if not OWN[name] then
      result[name] = value
    end
  end
  return result
end

-- Records an operation by what it returned: a result and details; or nil,
-- message, code and, if it sent something, details. Returns the same.
local function record_operation(self, kind, fields, result, info, code, details)
  local known = result ~= nil and info or details or {}
  fields.ok = result ~= nil
  fields.took, fields.hops = known.took, known.hops
  fields.messages = known.messages
  fields.code = code
  self:record(kind, fields)
  return result, info, code, details
end

--- Stores a value and records the operation. Adds the value to `run.values`,
--- which `run:get` and the samples use.
---@async
---@param key? string  a new key without it
---@param value string
---@param given? kadenza.PutOptions  and `node`; a random node without it
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Run:put(key, value, given)
  given = given or {}
  local node = node_for(self, given)
  if not key then
    self.named = self.named + 1 -- at once: other puts may be under way
    key = key_module.of(("value %d"):format(self.named), node:id_bits())
  end
  local fields = { time = self:now() }
  local info, message, code, details =
    node:put(key, value, operation_options(given))
  local stored = info or details or {}
  fields.stored, fields.asked = stored.stored, stored.asked
  if info then
    self:keep(key, value, given.type)
  end
  record_operation(self, "put", fields, info, info or message, code, details)
  return info, message, code, details
end

--- Adds a value to `run.values` that was stored by other means than `run:put`.
---@param key string
---@param value string  the last one stored there
---@param kind? string  its type, `value` without it
function Run:keep(key, value, kind)
  local known = self.values[key]
  if not known then
    known = { key = key, type = kind or "value" }
    self.values[key] = known
    self.values[#self.values + 1] = known
  end
  known.value = value
end

-- Returns whether a value is the right one; nil if the right one is not known.
local function is_right(value, right)
  if right == nil or type(value) ~= "string" then
    return nil
  end
  return value == right
end

--- Looks up a value and records the operation, and whether the value is the
--- correct one, if that is known: the one stored last.
---@async
---@param key? string  a random one of `run.values` without it
---@param given? kadenza.GetOptions  and `node`, a random one without it, and
---  `value`, the correct one
---@return string|table|nil value
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Run:get(key, given)
  given = given or {}
  if not key and #self.values == 0 then
    error("no value was put that could be looked up", 2)
  end
  key = key or self.values[self:random(#self.values)].key
  local known = self.values[key] or {}
  local settings = operation_options(given)
  settings.type = settings.type or known.type
  local fields = { time = self:now() }
  local value, info, code, details = node_for(self, given):get(key, settings)
  if value ~= nil then
    fields.holders = info.holders
    fields.correct = is_right(value, given.value or known.value)
  end
  return record_operation(self, "get", fields, value, info, code, details)
end

--- Looks up the contacts closest to an id, and records the operation.
---@async
---@param id? string  random without it
---@param given? kadenza.LookupOptions  and `node`; a random node without it
---@return kadenza.Contact[]? contacts
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Run:lookup(id, given)
  given = given or {}
  local node = node_for(self, given)
  id = id or self.net.network:random(node:id_bits() // 8)
  local fields = { time = self:now() }
  return record_operation(self, "lookup", fields,
    node:find_node(id, operation_options(given)))
end

--- Returns how many of the `k` open nodes closest to a key hold a record of it,
--- the number of these nodes (k, or fewer in a small network), and how many of
--- the 64 closest nodes hold one. Sends nothing.
---@param key string
---@param kind? string  the type, `value` without it
---@return integer holding
---@return integer of
---@return integer near
function Run:holders(key, kind)
  return holders.count(self.net, key, kind or "value")
end

---------------------------------------------------------------- workload --

--- Operations that go on during a run.
---@class kadenza.Workload
---@field keys? integer  values to store at the beginning, 0
---@field ttl? integer  seconds that they live
---@field gets? number  gets a minute of these values
---@field puts? number  puts a minute of new values
---@field lookups? number  lookups a minute of random ids

local COUNT <const> = { kind = "integer", from = 0, to = 1000000000 }
local RATE <const> = { kind = "number", from = 0, to = 1000000000 }
local WORKLOAD <const> = { keys = COUNT, ttl = COUNT, gets = RATE, puts = RATE,
  lookups = RATE }

-- Starts an operation `a_minute` times a minute on average, at random moments,
-- while a node is open.
local function repeat_operation(self, a_minute, act)
  return self.net:spawn(function()
    while true do
      task.sleep(-math.log(1 - self:random()) * 60 / a_minute)
      if self.net:draw_joined() then
        self.net:spawn(act)
      end
    end
  end)
end

--- Raises an error unless the table is a workload.
---@param given any
---@param level integer  of the caller that made the mistake, as for `error`
function M.check_workload(given, level)
  if type(given) ~= "table" then
    error("workload must be a table, not " .. type(given), level + 1)
  end
  check.options(given, level + 1, WORKLOAD)
end

--- Stores the first values, waits for that, and starts the other operations,
--- which go on until the run ends.
---@async
---@param given kadenza.Workload
function Run:workload(given)
  M.check_workload(given, 2)
  local function put()
    self:put(nil, ("%d"):format(self.named + 1), { ttl = given.ttl })
  end
  for _ = 1, given.keys or 0 do
    put()
  end
  local acts = {
    { given.gets, function()
      if #self.values > 0 or self.named == 0 then -- not while all puts failed
        self:get()
      end
    end },
    { given.puts, put },
    { given.lookups, function()
      self:lookup()
    end },
  }
  for _, act in ipairs(acts) do
    if act[1] and act[1] > 0 then
      repeat_operation(self, act[1], act[2])
    end
  end
end

return M
