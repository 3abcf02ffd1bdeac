--- Composes several policies into one set of rules.
--
-- Filters (`on_request`, `on_contact`, a built-in type's `validate`) run in the
-- order of the policies until one does not accept. A type, a query name and the
-- codec belong to one policy: a second claim is an error that names both.

local core = require("kadenza.core")
local metrics = require("kadenza.policy.metrics")
local shape = require("kadenza.policy.shape")
local sorted = require("kadenza.sorted")
local suggest = require("kadenza.suggest")

local M = {}

local DEADLINE_MS <const> = 2000 -- default, of a hook call
local MAX_TYPES <const> = 62 -- without the built-in ones; the core's limit
local MAX_QUERIES <const> = 256 -- the core's limit
local MAX_ROUTES <const> = 256 -- each is compared with the others
local NEVER <const> = 0xFFFFFFFF -- republish_s
local BUILT_IN <const> = { peers = true, value = true, immutable = true,
  mutable = true }
local LIMITS <const> = { "max_size", "max_values", "ttl", "signed_only" }
local HOOKS <const> = { "merge", "select", "expire" }
local fail <const> = shape.fail

---@class kadenza.Loaded
---@field label string  the file, or "policy N" for a table
---@field name string
---@field policy table

-- Returns a filter that calls `filters` in order until one returns not true.
-- The calls are not nested, so each filter may yield.
local function chain(filters)
  if #filters == 1 then
    return filters[1]
  end
  return function(subject, context)
    for i = 1, #filters - 1 do
      local verdict, reason, code = filters[i](subject, context)
      if verdict ~= true then
        return verdict, reason, code
      end
    end
    return filters[#filters](subject, context)
  end
end

-- Returns a listener that calls all of `listeners`, then raises the first
-- error.
local function broadcast(listeners)
  if #listeners == 1 then
    return listeners[1]
  end
  return function(subject, context)
    local failure
    for _, listener in ipairs(listeners) do
      local succeeded, err = pcall(listener, subject, context)
      failure = failure or (not succeeded and err or nil)
    end
    if failure then
      error(failure, 0)
    end
  end
end

local Composer = {}
Composer.__index = Composer

-- Adds a hook of one or more policies. Returns its number, which is its place
-- in the list that C receives. Its deadline is the longest of its policies.
function Composer:add(fn, owners, name)
  local setup = self.setup
  local number = #setup.hooks + 1
  local names, deadline_ms = {}, 0
  for i, loaded in ipairs(owners) do
    local seconds = loaded.policy.deadline
    names[i] = loaded.name
    deadline_ms = math.max(deadline_ms,
      seconds and math.ceil(seconds * 1000) or DEADLINE_MS)
  end
  setup.hooks[number] = fn
  setup.names[number] = table.concat(names, "+") .. ": " .. name
  setup.deadlines[number] = deadline_ms
  setup.deadline_ms = math.max(setup.deadline_ms or 0, deadline_ms)
  return number
end

-- Returns where a function is defined.
local function place_of(fn)
  local source, first = core.place(fn)
  return (string.match(source, "^[@=](.*)") or "a string") .. ":" .. first
end

-- Adds a hook made of functions of several policies, which `join` combines.
-- Notes where each of them is defined, for messages about a failure.
function Composer:add_joined(functions, join, owners, name)
  local number = self:add(join(functions), owners, name)
  if #functions > 1 then
    local places = {}
    for i, fn in ipairs(functions) do
      places[i] = place_of(fn)
    end
    self.setup.places[number] = table.concat(places, ", ")
  end
  return number
end

-- Claims `what` for one policy, or raises if another one claimed it.
function Composer:claim(what, loaded)
  local before = self.claims[what]
  if before then
    fail("%s: %s is claimed by %s already", loaded.label, what, before.label)
  end
  self.claims[what] = loaded
end

-- Counts one more `what`; raises above `max`.
function Composer:count(what, max, loaded)
  local count = (self.counts[what] or 0) + 1
  if count > max then
    fail("%s: there are more than %d %s", loaded.label, max, what)
  end
  self.counts[what] = count
end

function Composer:type_entry(name, loaded)
  local entry = self.types[name]
  if not entry then
    if not BUILT_IN[name] then
      self:count("types", MAX_TYPES, loaded)
    end
    entry = { name = name, filters = {}, owners = {} }
    self.types[name] = entry
    table.insert(self.order, name)
  end
  return entry
end

-- Tells whether a policy adds nothing but a filter to a built-in type.
local function only_filters(name, spec)
  if not BUILT_IN[name] then
    return false
  end
  for key in next, spec do
    if key ~= "validate" then
      return false
    end
  end
  return true
end

function Composer:add_republish(entry, spec, loaded)
  if spec.republish == false then
    entry.republish_s = NEVER
  elseif type(spec.republish) == "function" then
    entry.republish =
      self:add(spec.republish, { loaded }, entry.name .. ".republish")
  else
    entry.republish_s = spec.republish
  end
end

function Composer:add_type(name, spec, loaded)
  local entry = self:type_entry(name, loaded)
  if not only_filters(name, spec) then
    self:claim("type '" .. name .. "'", loaded)
  end
  for _, key in ipairs(LIMITS) do
    if spec[key] ~= nil then
      entry[key] = spec[key]
    end
  end
  for _, key in ipairs(HOOKS) do
    if spec[key] then
      entry[key] = self:add(spec[key], { loaded }, name .. "." .. key)
    end
  end
  if spec.validate then
    table.insert(entry.filters, spec.validate)
    table.insert(entry.owners, loaded)
  end
  self:add_republish(entry, spec, loaded)
end

function Composer:add_codec(codec, loaded)
  if not codec then
    return
  end
  self:claim("the codec", loaded)
  self.setup.codec = {
    encode = self:add(codec.encode, { loaded }, "codec.encode"),
    decode = self:add(codec.decode, { loaded }, "codec.decode"),
  }
end

-- Raises if a route excludes one that was added before.
function Composer:check_route(route, parsed, loaded)
  for _, other in ipairs(self.setup.http) do
    if route.exclude(parsed, other) then
      fail("%s: the route '%s %s' is claimed by %s already%s", loaded.label,
        parsed.method, parsed.pattern, other.label,
        other.pattern ~= parsed.pattern
          and string.format(" with '%s': a path fits both", other.pattern)
          or "")
    end
  end
end

-- Adds a route. One that may write is public only if the policy says so.
function Composer:add_route(name, given, loaded)
  local route = require("kadenza.policy.route")
  local http_hook = require("kadenza.policy.http_hook")
  local parsed = route.parse(name)
  local fn, is_public = given, nil
  if type(given) == "table" then
    fn, is_public = rawget(given, "run"), rawget(given, "public")
  end
  if is_public == nil then
    is_public = route.only_reads(parsed.method)
  end
  self:check_route(route, parsed, loaded)
  self:count("routes", MAX_ROUTES, loaded)
  parsed.label, parsed.policy = loaded.label, loaded.name
  parsed.is_public = is_public
  parsed.call = self:add(http_hook.wrap(fn), { loaded }, "http." .. name)
  self.setup.places[parsed.call] = place_of(fn)
  table.insert(self.setup.http, parsed)
end

function Composer:add_metric(name, metric, loaded)
  self:claim("metric '" .. name .. "'", loaded)
  self:count("metrics", metrics.MAX_METRICS, loaded)
  table.insert(self.setup.declared, { policy = loaded.name, name = name,
    type = rawget(metric, "type"), help = rawget(metric, "help") })
end

function Composer:add_policy(loaded)
  local policy = loaded.policy
  for _, name in ipairs(sorted(policy.types or {})) do
    self:add_type(name, policy.types[name], loaded)
  end
  for _, name in ipairs(sorted(policy.rpc or {})) do
    self:claim("query '" .. name .. "'", loaded)
    self:count("queries", MAX_QUERIES, loaded)
    table.insert(self.setup.methods, {
      name = name,
      call = self:add(policy.rpc[name], { loaded }, "rpc." .. name),
    })
  end
  for _, name in ipairs(sorted(policy.http or {})) do
    self:add_route(name, rawget(policy.http, name), loaded)
  end
  for _, name in ipairs(sorted(policy.metrics or {})) do
    self:add_metric(name, rawget(policy.metrics, name), loaded)
  end
  self:add_codec(policy.codec, loaded)
end

-- Adds a hook that several policies may have. Returns its number; nil if no
-- policy has it.
function Composer:add_shared(list, join, name)
  local functions, owners = {}, {}
  for _, loaded in ipairs(list) do
    if loaded.policy[name] then
      table.insert(functions, loaded.policy[name])
      table.insert(owners, loaded)
    end
  end
  return #functions > 0 and self:add_joined(functions, join, owners, name)
    or nil
end

function Composer:add_filters(list)
  for _, name in ipairs(shape.FILTERS) do
    self.setup[name] = self:add_shared(list, chain, name)
  end
end

-- on_store and on_expire receive records of every type.
function Composer:add_listeners(list)
  for _, name in ipairs(shape.LISTENERS) do
    local number = self:add_shared(list, broadcast, name)
    if number then
      for built_in in pairs(BUILT_IN) do
        self:type_entry(built_in)
      end
      for _, entry in pairs(self.types) do
        entry[name] = number
      end
    end
  end
end

function Composer:finish()
  table.sort(self.order)
  for _, name in ipairs(self.order) do
    local entry = self.types[name]
    if #entry.filters > 0 then
      entry.validate =
        self:add_joined(entry.filters, chain, entry.owners, name .. ".validate")
    end
    entry.filters, entry.owners = nil, nil
    table.insert(self.setup.types, entry)
  end
  return self.setup
end

-- Raises if the policies have too many timers together.
local function check_timers(list)
  local count = 0
  for _, loaded in ipairs(list) do
    count = count + rawlen(loaded.policy.every or {})
    if count > shape.MAX_TIMERS then
      fail("%s: the policies of the node have more than %d timers (every)",
        loaded.label, shape.MAX_TIMERS)
    end
  end
end

-- Returns the policies by name. Raises when two have the same name.
local function by_name(list)
  local named = {}
  for _, loaded in ipairs(list) do
    local before = named[loaded.name]
    if before then
      fail("%s: the name '%s' is claimed by %s already: each policy needs a "
        .. "`name` of its own", loaded.label, loaded.name, before.label)
    end
    named[loaded.name] = loaded
  end
  return named
end

-- Raises unless the policy `name` is loaded in version `min_version` or later.
local function check_requirement(loaded, named, name, min_version)
  local other = named[name]
  if not other then
    fail("%s: it requires the policy '%s', which is not loaded%s",
      loaded.label, name, suggest.hint(name, named))
  end
  local version = other.policy.version
  if min_version and (version or 0) < min_version then
    fail("%s: it requires version %s of the policy '%s', but %s is %s",
      loaded.label, tostring(min_version), name, other.label,
      version and "version " .. tostring(version) or "without a version")
  end
end

local function check_requirements(list)
  local named = by_name(list)
  for _, loaded in ipairs(list) do
    local required, versions = loaded.policy.requires or {}, {}
    for _, name in ipairs(required) do
      check_requirement(loaded, named, name)
    end
    for name, version in next, required do
      versions[name] = type(name) == "string" and version or nil
    end
    for _, name in ipairs(sorted(versions)) do
      check_requirement(loaded, named, name, versions[name])
    end
  end
end

--- Composes policies that shape.check has accepted. Returns the table that C
--- installs, or raises { problem = text }.
---@param list kadenza.Loaded[]
---@return table setup
function M.compose(list)
  check_requirements(list)
  check_timers(list)
  local composer = setmetatable({
    setup = { hooks = {}, names = {}, deadlines = {}, places = {}, types = {},
      methods = {}, http = {}, declared = {} },
    claims = {},
    counts = {},
    types = {},
    order = {},
  }, Composer)
  for _, loaded in ipairs(list) do
    composer:add_policy(loaded)
  end
  composer:add_filters(list)
  composer:add_listeners(list)
  return composer:finish()
end

return M
