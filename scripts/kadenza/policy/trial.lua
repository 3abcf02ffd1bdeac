--- Tries policies in a simulated overlay whose nodes run them, and measures the
--- cost of each hook. Stores and queries the policies' samples, so that as many
--- hooks as possible are called.
--
-- A policy declares samples of its records and of its queries' arguments:
--
--     samples = {
--       types = { line = { "hello", { value = "signed", signed = true } } },
--       rpc = { greet = { { name = "Ann" } } },
--       http = { ["GET /lines/:book"] = { { params = { book = "b" } } } },
--     }
--
-- Without samples, some plain values are tried. A rejection is not a failure.
--
-- Tested by tests/spec/cli/check_spec.lua.

local chunk_text = require("kadenza.chunk_text")
local core = require("kadenza.core")
local key = require("kadenza.key")
local lint = require("kadenza.policy.lint")
local log = require("kadenza.log")
local policy = require("kadenza.policy")
local sim = require("kadenza.sim")
local testing = require("kadenza.testing.policy")

local M = {}

--- Default options of a trial.
M.DEFAULTS = { nodes = 50, seed = 1, seconds = 7200 }

-- Values for a type without samples; each is also tried signed and with a seq.
local VALUES <const> = { "hello", "1", "0", "a b", "{}", "" }

-- Life of records that expire during the trial, in seconds.
local SHORT_LIFE <const> = 300

-- Limit of a policy file, that of the policy host.
local MAX_BYTES <const> = 1048576

-- Messages that the host logs for hooks that fail.
local FAILURES <const> = { ["a policy failed"] = true,
  ["a policy failed: its state is lost"] = true }

local NEVER <const> = 0xFFFFFFFF -- republish_s
local DEFAULT_TTL <const> = 86400
local ITEMS <const> = { immutable = true, mutable = true }
local COUNTERS <const> = { "calls", "errors", "overruns", "yields",
  "preempted", "instructions" }

--- The statistics of a hook, as in kadenza.policy.stats, over all nodes.
---@class kadenza.Cost
---@field name string
---@field breakers_open integer  nodes whose circuit breaker is open at the end

---@class kadenza.Trial
---@field problems kadenza.Problem[]  in the sources
---@field warnings string[]
---@field hooks kadenza.Cost[]  by name, over all nodes
---@field failures { hook: string, error: string, traceback: string }[]
---@field samples table[]  of a type or query: name, tried, accepted, reasons
---@field memory integer  bytes that the policies of one node used at most

local Trial = {}
Trial.__index = Trial

----------------------------------------------------------------- records --

local function plain_samples()
  local samples = {}
  for _, value in ipairs(VALUES) do
    samples[#samples + 1] = { value = value }
    samples[#samples + 1] = { value = value, signed = 1, seq = 1 }
  end
  return samples
end

-- Returns the options of a put of a sample.
local function put_options(kind, sample, number)
  local is_signed = sample.signed == 1
    or sample.signed == nil and kind.signed_only == 1
  return {
    type = kind.name,
    seq = sample.seq,
    salt = sample.salt,
    ttl = sample.ttl,
    secret = is_signed and key.keypair(("%-32d"):format(number)).secret or nil,
  }
end

-- Returns a node; successive numbers give different nodes.
function Trial:node(number)
  return self.net.nodes[1 + number * 7 % #self.net.nodes]
end

function Trial:key(...)
  return key.of("trial " .. table.concat({ ... }, " "),
    self.net.nodes[1]:id_bits())
end

-- Calls a method of a node. An error that it raises is returned as a message.
local function try_call(node, method, ...)
  local results = table.pack(pcall(node[method], node, ...))
  if not results[1] then
    return nil, (tostring(results[2]):gsub("^[^ ]-%.lua:%d+: ", ""))
  end
  return table.unpack(results, 2, results.n)
end

-- Counts a sample as accepted, or counts the reason of its rejection.
local function count_result(entry, result, message)
  entry.tried = entry.tried + 1
  if result then
    entry.accepted = entry.accepted + 1
  else
    local reason = tostring(message)
      :gsub("^the other node answered with an error: ", "")
    entry.reasons[reason] = (entry.reasons[reason] or 0) + 1
  end
end

function Trial:add_entry(name, has_samples)
  local entry = { name = name, tried = 0, accepted = 0, reasons = {},
    has_samples = has_samples }
  table.insert(self.report.samples, entry)
  return entry
end

-- Gets a key from two nodes.
function Trial:get(kind, name, number)
  try_call(self:node(number), "get", name, { type = kind.name })
  try_call(self:node(number + 1), "get", name, { type = kind.name, all = true })
end

-- Stores a sample from two nodes: unchanged, with a higher seq if it has a seq,
-- and under another key with a short life.
function Trial:store_alone(kind, sample, number, entry)
  local name = sample.key or self:key(kind.name, number)
  local options = put_options(kind, sample, number)
  local function put(which, under)
    return try_call(self:node(which), "put", under, sample.value, options)
  end
  count_result(entry, put(number, name))
  put(number + 1, name)
  if options.seq then
    options.seq = options.seq + 1
    put(number + 2, name)
  end
  options.ttl = SHORT_LIFE
  put(number, self:key(kind.name, number, "short"))
  self:get(kind, name, number + 3)
end

-- Stores all samples under one key.
function Trial:store_together(kind, samples)
  local name = self:key(kind.name, "together")
  for number, sample in ipairs(samples) do
    try_call(self:node(number), "put", name, sample.value,
      put_options(kind, sample, number))
  end
  self:get(kind, name, #samples + 1)
end

function Trial:try_type(kind)
  local given = self.about.samples.types[kind.name]
  local samples = given or plain_samples()
  local entry = self:add_entry("types." .. kind.name, given ~= nil)
  for number, sample in ipairs(samples) do
    self:store_alone(kind, sample, number, entry)
  end
  self:store_together(kind, samples)
end

-- Puts a sample as an item of BEP 44, whose value is bencoded. `more` replaces
-- options.
function Trial:put_item(kind, sample, number, more)
  local options = { raw = sample.is_raw, ttl = sample.ttl }
  if kind.name == "immutable" then
    return try_call(self:node(number), "put_immutable", sample.value, options)
  end
  options.key, options.value = sample.pair, sample.value
  options.salt = more and more.salt or sample.salt
  options.ttl = more and more.ttl or sample.ttl
  return try_call(self:node(number), "put_mutable", options)
end

-- Gets an item; a mutable one by its publisher.
function Trial:get_item(kind, sample, number, target)
  if kind.name == "immutable" then
    return try_call(self:node(number), "get_immutable", target)
  end
  return try_call(self:node(number), "get_mutable", sample.pair.publisher,
    { salt = sample.salt })
end

-- Puts items from two nodes: of a mutable one, the next version, and one with a
-- short life.
function Trial:try_items(kind)
  local given = self.about.samples.types[kind.name]
  local entry = self:add_entry("types." .. kind.name, given ~= nil)
  for number, found in ipairs(given or plain_samples()) do
    local sample = { value = found.value, salt = found.salt, ttl = found.ttl,
      is_raw = given ~= nil, pair = key.keypair(("%-32d"):format(number)) }
    local target, message = self:put_item(kind, sample, number)
    count_result(entry, target, message)
    self:put_item(kind, sample, number + 1)
    self:put_item(kind, sample, number + 2,
      { salt = "short", ttl = SHORT_LIFE })
    if target then
      self:get_item(kind, sample, number + 3, target)
    end
  end
end

function Trial:try_peers()
  local name = self:key("peers")
  for number = 1, 3 do
    self:node(number):announce(name, 6881)
  end
  self:node(4):get_peers(name)
end

----------------------------------------------------------------- queries --

function Trial:try_method(name)
  local given = self.about.samples.rpc[name]
  local entry = self:add_entry("rpc." .. name, given ~= nil)
  for number, args in ipairs(given or { {} }) do
    for asker = 1, 3 do
      local to = self:node(number + asker + 1):addresses()[1]
      count_result(entry, try_call(self:node(number), "call", to, name, args))
    end
  end
end

-- Returns the path of a route with these parameters; the others are "x".
local function path_of(pattern, params)
  return (pattern:gsub(":([%w_]+)", function(name)
    return params and params[name] or "x"
  end))
end

function Trial:try_route(route)
  local name = route.method .. " " .. route.pattern
  local given = self.about.samples.http[name]
  local entry = self:add_entry("http." .. name, given ~= nil)
  for number, sample in ipairs(given or { {} }) do
    for asker = 1, 3 do
      count_result(entry, try_call(self:node(number + asker), "serve_http", {
        method = route.method,
        path = path_of(route.pattern, sample.params),
        query = sample.query,
        headers = sample.headers,
        body = sample.body,
      }))
    end
  end
end

function Trial:perform()
  for _, kind in ipairs(self.about.types) do
    if kind.name == "peers" then
      self:try_peers()
    elseif ITEMS[kind.name] then
      self:try_items(kind)
    else
      self:try_type(kind)
    end
  end
  for _, name in ipairs(self.about.methods) do
    self:try_method(name)
  end
  for _, route in ipairs(self.about.routes) do
    self:try_route(route)
  end
end

------------------------------------------------------------------ report --

-- Adds the counters of one node's hook.
local function add_cost(cost, hook)
  for _, name in ipairs(COUNTERS) do
    cost[name] = cost[name] + hook[name]
  end
  cost.seconds = cost.seconds + hook.seconds
  cost.slowest = math.max(cost.slowest, hook.slowest)
  cost.breakers_open = cost.breakers_open + (hook.breaker_open and 1 or 0)
  for i, count in ipairs(hook.time) do
    cost.time[i] = (cost.time[i] or 0) + count
  end
end

local function new_cost(name)
  local cost =
    { name = name, seconds = 0, slowest = 0, breakers_open = 0, time = {} }
  for _, counter in ipairs(COUNTERS) do
    cost[counter] = 0
  end
  return cost
end

function Trial:collect_costs()
  local costs, report = {}, self.report
  for _, node in ipairs(self.net.nodes) do
    local stats = policy.stats(node)
    report.isolated = report.isolated + (node:stats().contacts == 0 and 1 or 0)
    report.memory = math.max(report.memory, stats.memory)
    report.clamped = report.clamped + stats.clamped
    for name, hook in pairs(stats.hooks) do
      costs[name] = costs[name] or new_cost(name)
      add_cost(costs[name], hook)
    end
  end
  for _, cost in pairs(costs) do
    table.insert(report.hooks, cost)
  end
  table.sort(report.hooks, function(a, b)
    return a.name < b.name
  end)
end

function Trial:warn(...)
  table.insert(self.report.warnings, string.format(...))
end

function Trial:warn_of_breakers()
  for _, cost in ipairs(self.report.hooks) do
    if cost.breakers_open > 0 then
      self:warn("%s: its circuit breaker is open at %d of %d nodes", cost.name,
        cost.breakers_open, self.report.nodes)
    end
  end
end

function Trial:warn_of_limits()
  local report = self.report
  for _, kind in ipairs(self.about.types) do
    local ttl = kind.ttl or DEFAULT_TTL
    local again = kind.republish_s
    if again and again ~= NEVER and again >= ttl then
      self:warn("types.%s: republished every %d s, but lives %d s", kind.name,
        again, ttl)
    end
  end
  if report.isolated > 0 then
    self:warn("%d of %d nodes have no contacts: the results mean little",
      report.isolated, report.nodes)
  end
  if report.clamped > 0 then
    self:warn("hooks returned seconds out of range %d times", report.clamped)
  end
  if report.memory > policy.MEMORY // 2 then
    self:warn("policies used %d of %d bytes of memory", report.memory,
      policy.MEMORY)
  end
end

-- Adds a failure of a hook, once each. Other log events are ignored.
function Trial:add_failure(event)
  local fields = event.fields
  local hook = fields.hook
  if event.message == "a task failed" and fields.policy then
    hook = fields.policy .. ": a task"
  elseif not FAILURES[event.message] then
    return
  end
  local text, traceback = tostring(fields.error):match("^([^\n]*)\n?(.*)$")
  if traceback == "" and fields.defined then
    text = fields.defined .. ": " .. text
  end
  local name = hook .. "\n" .. text
  if not self.seen[name] then
    self.seen[name] = true
    table.insert(self.report.failures,
      { hook = hook, error = text, traceback = traceback })
  end
end

function Trial:run(policies, options)
  local before = log.configure({
    level = "error",
    sink = function(event)
      self:add_failure(event)
    end,
  })
  local succeeded, problem = pcall(function()
    local net <close> = sim.new({ nodes = options.nodes, seed = options.seed,
      policies = policies })
    self.net = net
    net:perform(self.perform, self)
    net:run(options.seconds)
    self:collect_costs()
  end)
  log.restore(before)
  if not succeeded then
    error(problem, 0)
  end
end

-- Returns the source in a regular file, or in its bytes if they are known; nil
-- if it cannot be read or is not Lua.
local function read_source(path, bytes)
  bytes = bytes or core.read_file(path, MAX_BYTES, "regular")
  local text = bytes and chunk_text(bytes)
  return text and load(text, "=", "t") and text
end

-- Checks a file, and the modules beside the policy that it requires, once each.
local function lint_file(run, path, bytes)
  local text = not run.seen[path] and read_source(path, bytes)
  run.seen[path] = true
  if not text then
    return
  end
  local hooks = {}
  for _, place in ipairs(run.places) do
    if place.source == "@" .. path then
      hooks[#hooks + 1] = place
    end
  end
  local found = lint.check(path, text, hooks, run.is_trusted)
  table.move(found, 1, #found, #run.problems + 1, run.problems)
  for _, name in ipairs(lint.modules(text)) do
    lint_file(run, run.folder .. name:gsub("%.", "/") .. ".lua")
  end
end

local function lint_all(policies, places, problems)
  local seen = {}
  for _, given in ipairs(policies) do
    local file = type(given) == "string" and { file = given } or given
    lint_file({ places = places, problems = problems, seen = seen,
      folder = file.file:match("^.*/") or "", is_trusted = file.trusted },
      file.file, file.text)
  end
end

--- Tries policy files as the policies of one node. Returns nil and a message if
--- they cannot be loaded.
---@param policies (string|table)[]  as the option `policies` of a node
---@param options? { nodes?: integer, seed?: integer, seconds?: number }
---@return kadenza.Trial? report
---@return string? message
---@return kadenza.Code? code
function M.run(policies, options)
  options = setmetatable(options or {}, { __index = M.DEFAULTS })
  local loaded <close>, message, code = testing.load(policies)
  if not loaded then
    return nil, message, code
  end
  local report = { problems = {}, warnings = {}, hooks = {}, failures = {},
    samples = {}, memory = 0, clamped = 0, isolated = 0, nodes = options.nodes }
  local self = setmetatable({ report = report, about = loaded:describe(),
    seen = {} }, Trial)
  lint_all(policies, self.about.places, report.problems)
  self:run(policies, options)
  self:warn_of_breakers()
  self:warn_of_limits()
  return report
end

--- Tells whether a trial found no errors. Warnings are not errors.
---@param report kadenza.Trial
---@return boolean passed
function M.passed(report)
  for _, cost in ipairs(report.hooks) do
    if cost.errors > 0 then
      return false
    end
  end
  return #report.problems == 0 and #report.failures == 0
end

return M
