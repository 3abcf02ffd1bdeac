--- A trial of policies: a simulated overlay whose nodes run them, in which
--- every hook is reached as far as records and queries can be made up, and what
--- each hook cost.
--
-- A policy says in `samples` what its types take and its queries are asked:
--
--     samples = {
--       types = { line = { "hello", { value = "signed", signed = true } } },
--       rpc = { greet = { { name = "Ann" } } },
--     }
--
-- Without samples some plain values are tried. A refusal is no failure.

local key = require("kadenza.key")
local lint = require("kadenza.policy.lint")
local log = require("kadenza.log")
local policy = require("kadenza.policy")
local sim = require("kadenza.sim")
local testing = require("kadenza.testing.policy")

local M = {}

--- What a trial does unless told otherwise.
M.DEFAULTS = { nodes = 50, seed = 1, seconds = 7200 }

-- Tried for a type without samples, each also signed and with a seq.
local VALUES <const> = { "hello", "1", "0", "a b", "{}", "" }

-- Life of the records whose end is to be seen.
local SHORT_LIFE <const> = 300

-- What the host logs of hooks that fail.
local FAILURES <const> = { ["a policy failed"] = true,
  ["a policy failed: its state is lost"] = true }

local FOREVER <const> = 0xFFFFFFFF
local DEFAULT_TTL <const> = 86400
local BUILT_IN <const> = { peers = true }
local COUNTERS <const> = { "calls", "errors", "overruns", "yields",
  "preempted", "instructions" }

---@class kadenza.Cost
---@field name string
---@field calls integer
---@field errors integer
---@field overruns integer  among the errors
---@field yields integer
---@field preempted integer  calls that went on in a later turn
---@field instructions integer  of all calls, about
---@field time integer[]  calls under 1, 2, 4 … microseconds
---@field seconds number  running time in all
---@field slowest number  seconds of the longest call
---@field suspended integer  nodes at which its breaker is open at the end

---@class kadenza.Trial
---@field problems kadenza.Problem[]  in the texts
---@field warnings string[]
---@field hooks kadenza.Cost[]  by name, over all nodes
---@field failures { hook: string, error: string, traceback: string }[]
---@field samples table[]  of a type or query: name, tried, taken, reasons
---@field memory integer  bytes that the policies of a node took at most

local Trial = {}
Trial.__index = Trial

----------------------------------------------------------------- records --

local function keypair(number)
  return key.keypair(("%-32d"):format(number))
end

-- Plain samples of a type that has none.
local function plain_samples()
  local samples = {}
  for _, value in ipairs(VALUES) do
    samples[#samples + 1] = { value = value }
    samples[#samples + 1] = { value = value, signed = 1, seq = 1 }
  end
  return samples
end

-- Returns what a put of a sample needs beside key and value.
local function wishes_of(kind, sample, number)
  local is_signed = sample.signed == 1
    or sample.signed == nil and kind.signed_only == 1
  return {
    type = kind.name,
    seq = sample.seq,
    salt = sample.salt,
    ttl = sample.ttl,
    secret = is_signed and keypair(number).secret or nil,
  }
end

-- Returns a node, another one for each number.
function Trial:node(number)
  return self.net.nodes[1 + number * 7 % #self.net.nodes]
end

function Trial:key(...)
  return key.of("trial " .. table.concat({ ... }, " "),
    self.net.nodes[1]:id_bits())
end

-- Calls a method; a sample that cannot even be sent is not taken.
local function attempt(node, method, ...)
  local results = table.pack(pcall(node[method], node, ...))
  if not results[1] then
    return nil, (tostring(results[2]):gsub("^[^ ]-%.lua:%d+: ", ""))
  end
  return table.unpack(results, 2, results.n)
end

-- Notes what became of a sample: taken, or why not.
local function note(entry, result, message)
  entry.tried = entry.tried + 1
  if result then
    entry.taken = entry.taken + 1
  else
    local reason = tostring(message)
      :gsub("^the other node answered with an error: ", "")
    entry.reasons[reason] = (entry.reasons[reason] or 0) + 1
  end
end

function Trial:entry(name, is_own)
  local entry = { name = name, tried = 0, taken = 0, reasons = {},
    are_given = is_own }
  table.insert(self.report.samples, entry)
  return entry
end

-- Looks a key up from two nodes.
function Trial:read(kind, name, number)
  attempt(self:node(number), "get", name, { type = kind.name })
  attempt(self:node(number + 1), "get", name, { type = kind.name, all = true })
end

-- Stores one sample from two nodes, changed once when it has a seq, and once
-- more for a short life.
function Trial:store_alone(kind, sample, number, entry)
  local name = sample.key or self:key(kind.name, number)
  local wishes = wishes_of(kind, sample, number)
  local function put(which, under)
    return attempt(self:node(which), "put", under, sample.value, wishes)
  end
  note(entry, put(number, name))
  put(number + 1, name)
  if wishes.seq then
    wishes.seq = wishes.seq + 1
    put(number + 2, name)
  end
  wishes.ttl = SHORT_LIFE
  put(number, self:key(kind.name, number, "short"))
  self:read(kind, name, number + 3)
end

-- Lets all samples meet under one key.
function Trial:store_together(kind, samples)
  local name = self:key(kind.name, "together")
  for number, sample in ipairs(samples) do
    attempt(self:node(number), "put", name, sample.value,
      wishes_of(kind, sample, number))
  end
  self:read(kind, name, #samples + 1)
end

function Trial:try_type(kind)
  local own = self.about.samples.types[kind.name]
  local samples = own or plain_samples()
  local entry = self:entry("types." .. kind.name, own ~= nil)
  for number, sample in ipairs(samples) do
    self:store_alone(kind, sample, number, entry)
  end
  self:store_together(kind, samples)
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
  local own = self.about.samples.rpc[name]
  local entry = self:entry("rpc." .. name, own ~= nil)
  for number, args in ipairs(own or { {} }) do
    for asker = 1, 3 do
      local to = self:node(number + asker + 1):addresses()[1]
      note(entry, attempt(self:node(number), "call", to, name, args))
    end
  end
end

function Trial:perform()
  for _, kind in ipairs(self.about.types) do
    if BUILT_IN[kind.name] then
      self:try_peers()
    else
      self:try_type(kind)
    end
  end
  for _, name in ipairs(self.about.methods) do
    self:try_method(name)
  end
end

------------------------------------------------------------------ report --

-- Adds the counters of one node's hook.
local function add(cost, hook)
  for _, name in ipairs(COUNTERS) do
    cost[name] = cost[name] + hook[name]
  end
  cost.seconds = cost.seconds + hook.seconds
  cost.slowest = math.max(cost.slowest, hook.slowest)
  cost.suspended = cost.suspended + (hook.suspended and 1 or 0)
  for i, count in ipairs(hook.time) do
    cost.time[i] = (cost.time[i] or 0) + count
  end
end

local function new_cost(name)
  local cost =
    { name = name, seconds = 0, slowest = 0, suspended = 0, time = {} }
  for _, counter in ipairs(COUNTERS) do
    cost[counter] = 0
  end
  return cost
end

function Trial:count()
  local costs, report = {}, self.report
  for _, node in ipairs(self.net.nodes) do
    local stats = policy.stats(node)
    report.alone = report.alone + (node:stats().contacts == 0 and 1 or 0)
    report.memory = math.max(report.memory, stats.memory)
    report.clamped = report.clamped + stats.clamped
    for name, hook in pairs(stats.hooks) do
      costs[name] = costs[name] or new_cost(name)
      add(costs[name], hook)
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

function Trial:judge_breakers()
  for _, cost in ipairs(self.report.hooks) do
    if cost.suspended > 0 then
      self:warn("%s: its breaker is open at %d of %d nodes", cost.name,
        cost.suspended, self.report.nodes)
    end
  end
end

function Trial:judge_limits()
  local report = self.report
  for _, kind in ipairs(self.about.types) do
    local ttl = kind.ttl or DEFAULT_TTL
    local again = kind.republish_s
    if again and again ~= FOREVER and again >= ttl then
      self:warn("types.%s: republished every %d s, but lives %d s", kind.name,
        again, ttl)
    end
  end
  if report.alone > 0 then
    self:warn("%d of %d nodes know no other: all this says little",
      report.alone, report.nodes)
  end
  if report.clamped > 0 then
    self:warn("seconds out of range were returned %d times", report.clamped)
  end
  if report.memory > policy.MEMORY // 2 then
    self:warn("%d of %d bytes of memory were taken", report.memory,
      policy.MEMORY)
  end
end

-- Keeps a failure once: what else a hook logs is its own affair.
function Trial:keep(event)
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
      self:keep(event)
    end,
  })
  local fine, problem = pcall(function()
    local net <close> = sim.new({ nodes = options.nodes, seed = options.seed,
      policies = policies })
    self.net = net
    net:perform(self.perform, self)
    net:run(options.seconds)
    self:count()
  end)
  log.restore(before)
  if not fine then
    error(problem, 0)
  end
end

-- Returns the text of a file; nil when there is none or it is no Lua.
local function read(path)
  local file <close> = io.open(path, "rb")
  local text = file and file:read("a")
  return text and load(text, "=", "t") and text
end

-- Looks through a file once, and through those beside the policy that it
-- requires. What a hook is in it, `places` says.
local function lint_file(look, path)
  local text = not look.seen[path] and read(path)
  look.seen[path] = true
  if not text then
    return
  end
  local own = {}
  for _, place in ipairs(look.places) do
    if place.source == "@" .. path then
      own[#own + 1] = place
    end
  end
  local found = lint.check(path, text, own, look.is_trusted)
  table.move(found, 1, #found, #look.problems + 1, look.problems)
  for _, name in ipairs(lint.modules(text)) do
    lint_file(look, look.folder .. name:gsub("%.", "/") .. ".lua")
  end
end

-- Looks through the texts of the files.
local function lint_all(policies, places, problems)
  local seen = {}
  for _, given in ipairs(policies) do
    local path = type(given) == "string" and given or given.file
    lint_file({ places = places, problems = problems, seen = seen,
      folder = path:match("^.*/") or "", is_trusted = given ~= path }, path)
  end
end

--- Tries policy files that one node is to run. Returns nil and a message when
--- they cannot be loaded.
---@param policies (string|table)[]  paths, or { file = path, trusted = true }
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
    samples = {}, memory = 0, clamped = 0, alone = 0, nodes = options.nodes }
  local self = setmetatable({ report = report, about = loaded:describe(),
    seen = {} }, Trial)
  lint_all(policies, self.about.places, report.problems)
  self:run(policies, options)
  self:judge_breakers()
  self:judge_limits()
  return report
end

--- Tells whether a trial has found nothing wrong. Warnings are nothing wrong.
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
