--- A run of a scenario: the network, what is done in it, and a record of all of
--- that, of which statistics and reports are made.
--
-- Records are tables of numbers, strings and booleans, listed by kind in
-- `run.records`, each with `time`, the seconds since the run began. What the
-- run itself records:
--
--     get     ok, took, hops, messages, holders, correct, code
--     put     ok, took, hops, messages, stored, asked, code
--     lookup  ok, took, hops, messages, code
--     sample  how the overlay stands, regularly: see kadenza.sim.sampler
--     mark    text: something that happens to the overlay
--     policy  hook, and what it has cost: at the end
--
-- Others may be added under names of their own.

local chance = require("kadenza.sim.chance")
local check = require("kadenza.check")
local holders = require("kadenza.sim.holders")
local key_module = require("kadenza.key")
local measure = require("kadenza.sim.measure")
local node_module = require("kadenza.node")
local recorder = require("kadenza.sim.recorder")
local task = require("kadenza.task")

local M = {}

---@class kadenza.SimRun
---@field net kadenza.Sim
---@field scenario kadenza.Scenario
---@field nodes integer  that it began with
---@field seed integer
---@field wishes { nodes: integer, seed: integer, hours: number }
---@field seconds number  that it lasts
---@field records table<string, table[]>  by kind
---@field recorder kadenza.sim.Recorder  what its report is made of
---@field expectations table[]  name, value, operator, goal, passed
---@field values table[]  that were put: key, type, value
local Run = {}
Run.__index = Run
Run.__name = "kadenza.SimRun"

local SECONDS_AN_HOUR <const> = 3600

-- Keys of get and put that are the run's own, and no option of an operation.
local OWN <const> = { node = true, value = true }

--- Makes the run of a scenario, whose time begins now.
---@param net kadenza.Sim
---@param scenario kadenza.Scenario
---@param wishes { nodes: integer, seed: integer, hours: number }
---@return kadenza.SimRun run
function M.new(net, scenario, wishes)
  return setmetatable({
    net = net,
    scenario = scenario,
    nodes = #net.nodes,
    seed = net.seed,
    wishes = wishes,
    seconds = wishes.hours * SECONDS_AN_HOUR,
    began = net:now(),
    records = {},
    expectations = {},
    values = {},
    named = 0, -- keys that were made
    recorder = recorder.new(),
  }, Run)
end

--- Returns the seconds since the run began.
---@return number seconds
function Run:now()
  return math.floor((self.net:now() - self.began) * 1000 + 0.5) / 1000
end

--- Returns a number from 0 to below 1, or an integer from 1 to `last`: the same
--- ones for the same seed.
---@param last? integer
---@return number
function Run:random(last)
  if last then
    return chance.integer(self.net.network, last)
  end
  return chance.uniform(self.net.network)
end

--------------------------------------------------------------- recording --

-- Fields of any record of which figures are made.
local NUMBERS <const> = { "time", "took", "hops", "messages", "share" }

--- Adds a record. Its time is now, unless it says otherwise.
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

--- Records that something happens to the overlay, which charts show as a line.
---@param text string
function Run:mark(text)
  check.kind(text, "string", "text", 2)
  self:record("mark", { text = text })
end

--- Returns the records of a kind from a time on, up to before another.
---@param kind string
---@param from? number  seconds of the run
---@param to? number
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

--- Returns the share of records whose field is true, 0 … 1, of those that have
--- it; nil of none.
---@param what string|table[]  a kind, or a list
---@param field? string  `ok` without one
---@return number? share
function Run:share(what, field)
  return measure.share(list_of(self, what), field or "ok")
end

--- Returns the mean of a field over the records that have it; nil of none.
---@param what string|table[]  a kind, or a list
---@param field string
---@return number? mean
function Run:mean(what, field)
  return measure.mean(list_of(self, what), field)
end

--- Returns what `percent` of the values of a field are not above; nil of none.
---@param what string|table[]  a kind, or a list
---@param field string
---@param percent number  0 to 100
---@return number? value
function Run:percentile(what, field, percent)
  return measure.percentile(list_of(self, what), field, percent)
end

--- Notes what the run was to show, and whether it did.
---@param name string
---@param value number?  nil, of nothing measured, never passes
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

-- Returns the node that is to act: the one wished for, or a random one that has
-- joined.
local function actor(self, wishes)
  if wishes.node and not node_module.is(wishes.node) then
    error("option 'node' must be a node, not " .. type(wishes.node), 3)
  end
  return wishes.node or self.net:draw_joined()
    or error("no node is left to act", 0)
end

local function wishes_of(wishes)
  local given = {}
  for name, value in pairs(wishes) do
    if not OWN[name] then
      given[name] = value
    end
  end
  return given
end

-- Records an operation by what it returned: a result, and details; or nil,
-- message, code and, where something was sent, details. Returns all that.
local function note(self, kind, fields, result, info, code, details)
  local known = result ~= nil and info or details or {}
  fields.ok = result ~= nil
  fields.took, fields.hops = known.took, known.hops
  fields.messages = known.messages
  fields.code = code
  self:record(kind, fields)
  return result, info, code, details
end

--- Stores a value from a random node, or from `wishes.node`, and records it.
--- Without a key, there is a new one. What is stored is also noted in
--- `run.values`, where `run:get` and the samples find it.
---@async
---@param key? string
---@param value string
---@param wishes? kadenza.PutOptions  and `node`
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Run:put(key, value, wishes)
  wishes = wishes or {}
  local node = actor(self, wishes)
  if not key then
    self.named = self.named + 1 -- others may be under way
    key = key_module.of(("value %d"):format(self.named), node:id_bits())
  end
  local fields = { time = self:now() }
  local info, message, code, details =
    node:put(key, value, wishes_of(wishes))
  local stored = info or details or {}
  fields.stored, fields.asked = stored.stored, stored.asked
  if info then
    self:keep(key, value, wishes.type)
  end
  note(self, "put", fields, info, info or message, code, details)
  return info, message, code, details
end

--- Notes a value that was stored by other means than `run:put`.
---@param key string
---@param value string  the last one stored there
---@param kind? string  its type, `value` without one
function Run:keep(key, value, kind)
  local known = self.values[key]
  if not known then
    known = { key = key, type = kind or "value" }
    self.values[key] = known
    self.values[#self.values + 1] = known
  end
  known.value = value
end

-- Tells whether a value is the right one; nil if that is not known.
local function is_right(value, right)
  if right == nil or type(value) ~= "string" then
    return nil
  end
  return value == right
end

--- Looks a value up from a random node, or from `wishes.node`, and records it,
--- with whether it is the one stored last, if that is known. Without a key, it
--- is a random one of those in `run.values`.
---@async
---@param key? string
---@param wishes? kadenza.GetOptions  and `node`, and `value`: what is right
---@return string|table|nil value
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Run:get(key, wishes)
  wishes = wishes or {}
  if not key and #self.values == 0 then
    error("no value was put that could be looked up", 2)
  end
  key = key or self.values[self:random(#self.values)].key
  local known = self.values[key] or {}
  local given = wishes_of(wishes)
  given.type = given.type or known.type
  local fields = { time = self:now() }
  local value, info, code, details = actor(self, wishes):get(key, given)
  if value ~= nil then
    fields.holders = info.holders
    fields.correct = is_right(value, wishes.value or known.value)
  end
  return note(self, "get", fields, value, info, code, details)
end

--- Looks up the contacts closest to an id, a random one if there is none, from
--- a random node or from `wishes.node`, and records it.
---@async
---@param id? string
---@param wishes? kadenza.LookupOptions  and `node`
---@return kadenza.Contact[]? contacts
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Run:lookup(id, wishes)
  wishes = wishes or {}
  local node = actor(self, wishes)
  id = id or self.net.network:random(node:id_bits() // 8)
  local fields = { time = self:now() }
  return note(self, "lookup", fields, node:find_node(id, wishes_of(wishes)))
end

--- Returns how many of the `k` live nodes closest to a key hold records of it,
--- how many these are (k, or all that live where they are fewer), and how many
--- of the 64 closest do. Nothing is sent for that.
---@param key string
---@param kind? string  the type, `value` without one
---@return integer holding
---@return integer of
---@return integer near
function Run:holders(key, kind)
  return holders.count(self.net, key, kind or "value")
end

---------------------------------------------------------------- workload --

--- What is asked of an overlay all the time.
---@class kadenza.Workload
---@field keys? integer  values to store at the beginning, 0
---@field ttl? integer  seconds that they live
---@field gets? number  a minute, of these values
---@field puts? number  a minute, of new values
---@field lookups? number  a minute, of random ids

local WORKLOAD <const> = {
  keys = "integer",
  ttl = "integer",
  gets = "number",
  puts = "number",
  lookups = "number",
}

-- Does an operation so many times a minute, at random moments, while there is
-- a node to do it.
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

--- Raises unless the table is a workload.
---@param given any
---@param level integer  whom to blame, as of `error`
function M.check_workload(given, level)
  if type(given) ~= "table" then
    error("workload must be a table, not " .. type(given), level + 1)
  end
  check.options(given, level + 1, WORKLOAD)
  for name, value in pairs(given) do
    if not (value >= 0 and value <= 1e9) then
      error(("option '%s' must be in 0 to 1e9"):format(name), level + 1)
    end
  end
end

--- Stores values and then lets random nodes look things up and store more,
--- until the run ends. Waits until the first values are stored.
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
