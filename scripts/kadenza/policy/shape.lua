--- Checks the fields of a policy when it is loaded: without `__pairs`, as they
--- are used. Otherwise others could be checked than are used.

local core = require("kadenza.core")
local errors = require("kadenza.errors")
local queries = require("kadenza.queries")
local shown = require("kadenza.shown")
local size_limit = require("kadenza.size_limit")
local suggest = require("kadenza.suggest")

local M = {}

--- The hooks of a type.
M.TYPE_HOOKS = { "validate", "merge", "select", "expire", "republish" }

--- The hooks of a policy that accept or reject, and those that only listen.
M.FILTERS = { "on_request", "on_contact" }
M.LISTENERS = { "on_store", "on_expire" }

local POLICY_KEYS <const> = {
  on_start = "function",
  on_stop = "function",
  save = "function",
  restore = "function",
  name = "string",
  version = "number",
  types = "table",
  rpc = "table",
  http = "table",
  every = "table",
  codec = "table",
  metrics = "table",
  deadline = "number",
  samples = "table",
  requires = "table",
}

local TYPE_KEYS <const> = {
  max_size = { 1, size_limit.VALUE },
  max_values = { 1, 1024 },
  ttl = { 1, 2592000 },
  signed_only = "boolean",
  validate = "function",
  merge = "function",
  select = "function",
  expire = "function",
  republish = "republish",
}

--- The allowed keys of a policy and of its types.
M.POLICY_KEYS, M.TYPE_KEYS = POLICY_KEYS, TYPE_KEYS

local MAX_REPUBLISH <const> = 2592000
local MAX_NAME <const> = 32

--- Timers (`every`) of the policies of a node in all: each has a task.
M.MAX_TIMERS = 1000

local MAX_POLICY_NAME <const> = 64
local MAX_METRIC <const> = 48
local MAX_HELP <const> = 200
local MAX_MESSAGE <const> = 2000

for _, hooks in ipairs({ M.FILTERS, M.LISTENERS }) do
  for _, name in ipairs(hooks) do
    POLICY_KEYS[name] = "function"
  end
end

--- Raises a problem of a policy as { problem = text }.
---@param ... any  as of string.format
function M.fail(...)
  local text = shown.start(string.format(...), MAX_MESSAGE)
  error({ problem = shown.line(text) }, 0)
end

local fail <const> = M.fail

local function check_keys(value, keys, where)
  for key in next, value do
    if type(key) ~= "string" or not keys[key] then
      fail("unknown key '%s'%s%s", tostring(key), where,
        suggest.hint(tostring(key), keys))
    end
  end
end

local function check_range(value, range, name)
  if math.type(value) ~= "integer" or value < range[1] or value > range[2] then
    fail("%s must be an integer from %d to %d", name, range[1], range[2])
  end
end

local function check_kind(value, kind, name)
  if type(value) ~= kind then
    fail("%s must be a %s, not a %s", name, kind, type(value))
  end
end

local function check_republish(value, name)
  if value == false or type(value) == "function" then
    return
  end
  check_range(value, { 1, MAX_REPUBLISH }, name)
end

local function check_type(name, spec)
  if type(name) ~= "string" or #name > MAX_NAME
    or not name:find("^[a-z0-9_.-]+$")
  then
    fail("'%s' is not a name of a type: it needs 1 to %d of a-z, 0-9, '_', '-' "
      .. "and '.'", tostring(name), MAX_NAME)
  end
  local where = "types." .. name
  check_kind(spec, "table", where)
  check_keys(spec, TYPE_KEYS, " in " .. where)
  if name == "peers" and spec.signed_only then
    fail("types.peers.signed_only: peers have no publisher")
  end
  for key, value in next, spec do
    local kind = TYPE_KEYS[key]
    if type(kind) == "table" then
      check_range(value, kind, where .. "." .. key)
    elseif kind == "republish" then
      check_republish(value, where .. ".republish")
    else
      check_kind(value, kind, where .. "." .. key)
    end
  end
end

local function check_rpc(name, fn)
  local problem = queries.problem(name)
  if problem then
    fail("'%s' is not a name of a query: it %s", tostring(name), problem)
  elseif queries.CORE[name] then
    fail("rpc.%s: the node itself answers '%s'", name, name)
  elseif queries.RESERVED[name] then
    fail("rpc.%s: '%s' has a meaning in BitTorrent's DHT (%s)", name, name,
      queries.RESERVED[name])
  end
  check_kind(fn, "function", "rpc." .. name)
end

-- The value of a route is a function, or { run = function, public = boolean }.
local function check_route(name, value)
  local parsed, problem = require("kadenza.policy.route").parse(name)
  if not parsed then
    fail("http: '%s' %s", tostring(name), problem)
  end
  local where = "http['" .. name .. "']"
  if type(value) == "table" then
    check_keys(value, { run = true, public = true }, " in " .. where)
    check_kind(rawget(value, "run"), "function", where .. ".run")
    check_kind(rawget(value, "public") or false, "boolean", where .. ".public")
  else
    check_kind(value, "function", where)
  end
end

local function check_every(index, entry)
  local where = "every[" .. tostring(index) .. "]"
  check_kind(entry, "table", where)
  check_keys(entry, { seconds = true, run = true }, " in " .. where)
  check_kind(entry.run, "function", where .. ".run")
  check_kind(entry.seconds, "number", where .. ".seconds")
  if not (entry.seconds >= 0.001 and entry.seconds <= MAX_REPUBLISH) then
    fail("%s.seconds must be a number from 0.001 to %d", where, MAX_REPUBLISH)
  end
end

local SAMPLE_KEYS <const> = {
  value = "string",
  key = "string",
  salt = "string",
  seq = "number",
  ttl = "number",
  signed = "boolean",
}

-- A record sample is a value, or a table with one.
local function check_record_sample(sample, where)
  if type(sample) == "string" then
    return
  end
  check_kind(sample, "table", where)
  check_keys(sample, SAMPLE_KEYS, " in " .. where)
  for key, value in next, sample do
    check_kind(value, SAMPLE_KEYS[key], where .. "." .. key)
    if type(value) == "number" and math.type(value) ~= "integer" then
      fail("%s.%s must be an integer", where, key)
    end
  end
  check_kind(sample.value, "string", where .. ".value")
end

local REQUEST_KEYS <const> = { params = "table", query = "table",
  headers = "table", body = "string" }

local function check_request_sample(sample, where)
  check_kind(sample, "table", where)
  check_keys(sample, REQUEST_KEYS, " in " .. where)
  for key, value in next, sample do
    check_kind(value, REQUEST_KEYS[key], where .. "." .. key)
    for name, text in next, type(value) == "table" and value or {} do
      check_kind(name, "string", where .. "." .. key .. ": a name")
      check_kind(text, "string", where .. "." .. key .. "." .. name)
    end
  end
end

local function check_arguments_sample(sample, where)
  check_kind(sample, "table", where)
  local succeeded, problem = pcall(core.encode, sample, where)
  if not succeeded then
    fail("%s", (tostring(problem):gsub("^[^ ]-:%d+: ", "")))
  end
end

-- Checks the samples of one part of the policy: its `types`, `rpc` or `http`.
local function check_samples(given, part, name, check)
  local where = "samples." .. name
  check_kind(given or {}, "table", where)
  check_keys(given or {}, part or {}, " in " .. where)
  for key, list in next, given or {} do
    local place = where .. "." .. key
    check_kind(list, "table", place)
    for i, sample in ipairs(list) do
      check(sample, string.format("%s[%d]", place, i))
    end
  end
end

local function check_all_samples(policy)
  local samples = policy.samples or {}
  check_keys(samples, { types = true, rpc = true, http = true }, " in samples")
  check_samples(samples.types, policy.types, "types", check_record_sample)
  check_samples(samples.rpc, policy.rpc, "rpc", check_arguments_sample)
  check_samples(samples.http, policy.http, "http", check_request_sample)
end

local CODEC_KEYS <const> = { encode = true, decode = true }

local function check_codec(codec)
  check_keys(codec, CODEC_KEYS, " in codec")
  check_kind(codec.encode, "function", "codec.encode")
  check_kind(codec.decode, "function", "codec.decode")
end

local METRIC_KEYS <const> = { type = "string", help = "string" }
local METRIC_TYPES <const> = { counter = true, gauge = true }

local function check_help(help, where)
  if help == "" or #help > MAX_HELP or help:find("[%c\127]")
    or not utf8.len(help)
  then
    fail("%s must be one line of 1 to %d bytes in UTF-8", where, MAX_HELP)
  end
end

local function check_metric(name, metric)
  if type(name) ~= "string" or #name > MAX_METRIC
    or not name:find("^[a-z][a-z0-9_]*$")
  then
    fail("'%s' is not a name of a metric: it needs 1 to %d of a-z, 0-9 and "
      .. "'_', a letter first", tostring(name), MAX_METRIC)
  elseif name:find("_total$") then
    fail("metrics.%s: '_total' is added when it is shown", name)
  end
  local where = "metrics." .. name
  check_kind(metric, "table", where)
  check_keys(metric, METRIC_KEYS, " in " .. where)
  for key, kind in pairs(METRIC_KEYS) do
    check_kind(rawget(metric, key), kind, where .. "." .. key)
  end
  if not METRIC_TYPES[rawget(metric, "type")] then
    fail("%s.type must be 'counter' or 'gauge'", where)
  end
  check_help(rawget(metric, "help"), where .. ".help")
end

-- Calls `check(key, value)` for each entry of a part of the policy.
local function check_each(part, check)
  for key, value in next, part or {} do
    check(key, value)
  end
end

-- Checks an entry of `requires`: { "a", b = 2 } are names, without and with the
-- minimum version.
local function check_requirement(key, value)
  if math.type(key) == "integer" then
    check_kind(value, "string", "requires[" .. key .. "]")
  elseif type(key) == "string" then
    check_kind(value, "number", "requires." .. key)
  else
    fail("requires has a key that is not the name of a policy")
  end
end

local function check_timers(every)
  if rawlen(every) > M.MAX_TIMERS then
    fail("every has more than %d timers", M.MAX_TIMERS)
  end
  check_each(every, check_every)
end

local function check_name(name)
  if name == "" then
    fail("name must have at least one byte")
  elseif #name > MAX_POLICY_NAME or string.find(name, "[%c\127]") then
    fail("name must have 1 to %d bytes and no control characters",
      MAX_POLICY_NAME)
  end
end

local function check_policy(policy)
  check_kind(policy, "table", "a policy")
  check_keys(policy, POLICY_KEYS, "")
  for key, value in next, policy do
    check_kind(value, POLICY_KEYS[key], key)
  end
  check_each(policy.types, check_type)
  check_each(policy.rpc, check_rpc)
  check_each(policy.http, check_route)
  check_each(policy.metrics, check_metric)
  check_timers(policy.every or {})
  check_each(policy.requires, check_requirement)
  if policy.codec then
    check_codec(policy.codec)
  end
  check_all_samples(policy)
  check_name(policy.name or "policy")
  local deadline = policy.deadline or 1
  if not (deadline > 0 and deadline <= 3600) then
    fail("deadline must be more than 0 and at most 3600 seconds")
  end
end

--- Returns the text of a problem, or of the error of a policy's metamethod.
---@param err any
---@return string problem
function M.problem_of(err)
  local problem = type(err) == "table" and rawget(err, "problem")
  return type(problem) == "string" and problem or errors.text_of(err)
end

--- Checks a policy. Returns true, or nil and a problem.
---@param policy any
---@return true? valid
---@return string? problem
function M.check(policy)
  local succeeded, err = pcall(check_policy, policy)
  if succeeded then
    return true
  end
  return nil, M.problem_of(err)
end

return M
