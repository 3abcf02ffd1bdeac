--- The state of a running node as one document, for people and for programs:
--- what `kadenza status` shows.

local core = require("kadenza.core")
local host = require("kadenza.host")
local json = require("kadenza.json")
local kad = require("kadenza")
local rates = require("kadenza.rates")

local M = {}

--- The order of the fields that are read first.
M.ORDER = {
  "version", "pid", "uptime", "state", "reason", "id", "id_bits", "addresses",
  "network_size", "contacts", "total", "good", "secure", "buckets", "bucket",
  "records", "bytes", "types", "rates", "minute", "quarter", "hooks", "name",
  "calls", "errors", "overruns", "seconds", "slowest", "reload", "consoles",
  "stats",
}

--- Returns the number of the bucket of a contact: how many leading bits its id
--- shares with the node's.
---@param id string  of the node
---@param contact { id: string }
---@return integer bucket
function M.bucket(id, contact)
  local _, shared = core.distance(id, contact.id)
  return shared
end

local function buckets_of(node)
  local id, buckets, by_number = node:id(), {}, {}
  for _, contact in ipairs(node:contacts()) do
    local number = M.bucket(id, contact)
    local bucket = by_number[number]
    if not bucket then
      bucket = { bucket = number, contacts = 0, good = 0 }
      by_number[number] = bucket
      buckets[#buckets + 1] = bucket
    end
    bucket.contacts = bucket.contacts + 1
    bucket.good = bucket.good + (contact.good and 1 or 0)
  end
  table.sort(buckets, function(a, b)
    return a.bucket < b.bucket
  end)
  return json.array(buckets)
end

-- Rounds for people and programs: JSON would have 17 digits.
local function round(value, format)
  return tonumber((format):format(value))
end

-- Returns the rates over a window; nil while there are none.
local function window(figures, seconds)
  local all, over = figures:all(seconds)
  if not over then
    return nil
  end
  for name, value in pairs(all) do
    all[name] = round(value, "%.3f")
  end
  return { seconds = round(over, "%.1f"), rates = all }
end

local function hooks_of(policies)
  local hooks = {}
  for name, hook in pairs(policies and policies.hooks or {}) do
    hooks[#hooks + 1] = { name = name, calls = hook.calls,
      errors = hook.errors, overruns = hook.overruns, yields = hook.yields,
      preempted = hook.preempted, seconds = round(hook.seconds, "%.6f"),
      slowest = round(hook.slowest, "%.6f"),
      breaker_open = hook.breaker_open or false }
  end
  table.sort(hooks, function(a, b)
    return a.name < b.name
  end)
  return json.array(hooks)
end

-- Returns how the last reload went, or nil.
local function reload_of(last, now)
  return last and { ago = round(now - last.at, "%.1f"), time = last.time,
    succeeded = last.succeeded, problems = json.array(last.problems),
    changed = json.array(last.changed),
    needs_restart = json.array(last.needs_restart) }
end

--- Returns the status of a node.
---@param running { node: kadenza.Node, settings: table, began: number,
---  rates: kadenza.Rates, last_reload?: table }
---@param consoles? table<string, integer>  counters of the consoles
---@return table document
function M.of(running, consoles)
  local node, settings = running.node, running.settings
  local stats, now = node:stats(), node:network():now()
  local state, reason = node:state()
  local policies = stats.policies
  stats.policies = nil
  return {
    version = kad._VERSION:match("%S+$"),
    pid = host.pid(),
    uptime = round(now - running.began, "%.1f"),
    state = state,
    reason = reason,
    id = kad.hex(node:id()),
    id_bits = node:id_bits(),
    addresses = json.array(node:addresses()),
    reachability = node:reachability(),
    network_size = stats.network_size,
    folder = settings.state,
    log = settings.log,
    contacts = { total = stats.contacts, good = stats.contacts_good,
      secure = stats.contacts_secure, buckets = buckets_of(node) },
    records = { total = stats.records, bytes = stats.record_bytes,
      max_records = settings.max_records, max_bytes = settings.max_bytes,
      types = node:held_types(), published = stats.publications },
    rates = { minute = window(running.rates, rates.MINUTE),
      quarter = window(running.rates, rates.QUARTER) },
    policies = { files = json.array(settings.policies or {}),
      memory = policies and policies.memory },
    hooks = hooks_of(policies),
    reload = reload_of(running.last_reload, now),
    consoles = consoles,
    stats = stats,
  }
end

return M
