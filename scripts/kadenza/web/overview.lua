--- What the dashboard shows of the present: the document of `/v1/overview`.
--
--     local json = require("kadenza.json")
--     local overview = require("kadenza.web.overview")
--     local document = overview.of(running, kadenza.rates.watch(node), started)
--
-- The document is plain tables, texts and numbers. Times are in seconds, rates
-- in events a second.

local core = require("kadenza.core")
local json = require("kadenza.json")
local kad = require("kadenza")
local rates = require("kadenza.rates")
local series = require("kadenza.web.series")
local sorted = require("kadenza.sorted")
local talkers = require("kadenza.talkers")

local M = {}

local TALKERS <const> = 10
local TYPES <const> = 20 -- record types, those of most records

-- Counters of what was received or sent, beside those of served queries.
local TRAFFIC <const> = { "queries", "replies", "errors", "timeouts", "paced",
  "datagrams_in", "datagrams_out", "bytes_in", "bytes_out" }

-- Counters of what was refused, beside those of dropped datagrams.
local REFUSED <const> = { "refused", "busy", "challenged", "bad_token",
  "bad_signature", "over_quota", "unstored", "unsent", "timeouts",
  "hook_failures", "hook_deadlines" }

-- The texts of counters by their names, once they were needed.
local texts

local function text_of(name)
  if not texts then
    texts = {}
    for _, counter in ipairs(series.counters("")) do
      texts[counter.name] = counter.text
    end
  end
  return texts[name]
end

-- Returns the rows of counters: in all, and how often over the last minute and
-- 15 minutes.
local function rows_of(stats, watched, prefix, names)
  local rows = {}
  local function add(name)
    rows[#rows + 1] = { name = name, text = text_of(name), total = stats[name],
      minute = watched:rate(name, rates.MINUTE),
      quarter = watched:rate(name, rates.QUARTER) }
  end
  for _, counter in ipairs(series.counters(prefix)) do
    add(counter.name)
  end
  for _, name in ipairs(names) do
    add(name)
  end
  return json.array(rows)
end

------------------------------------------------------------ routing table --

-- Returns how many leading bits two ids have in common.
local function leading_bits(a, b)
  local _, bits = core.distance(a, b)
  return bits
end

--- Counts contacts by the leading bits that their ids have in common with
--- another, and by family.
---@param id string
---@param contacts kadenza.Contact[]
---@return { bits: integer, ip4: integer, ip6: integer, good: integer }[] rows
function M.fill(id, contacts)
  local by_bits = {}
  for _, contact in ipairs(contacts) do
    local bits = leading_bits(id, contact.id)
    local row = by_bits[bits]
      or { bits = bits, ip4 = 0, ip6 = 0, good = 0 }
    by_bits[bits] = row
    local family = contact.address:find("[", 1, true) and "ip6" or "ip4"
    row[family] = row[family] + 1
    row.good = row.good + (contact.good and 1 or 0)
  end
  local rows = {}
  for i, bits in ipairs(sorted(by_bits)) do
    rows[i] = by_bits[bits]
  end
  return json.array(rows)
end

-------------------------------------------------------------------- times --

-- Returns the bound in seconds below which the part `share` of all times is;
-- nil: it is above the last bound.
local function quantile(histogram, count, share)
  local seen = 0
  for i = 1, #histogram.counts - 1 do
    seen = seen + histogram.counts[i]
    if seen >= share * count then
      return 2 ^ (i - 1) / 1000
    end
  end
  return nil
end

local function times_of(node)
  local rows = {}
  for i, histogram in ipairs(node:histograms()) do
    local count = 0
    for _, number in ipairs(histogram.counts) do
      count = count + number
    end
    rows[i] = { subject = histogram.subject, kind = histogram.kind,
      outcome = histogram.outcome, count = count,
      mean = histogram.seconds / count, half = quantile(histogram, count, 0.5),
      most = quantile(histogram, count, 0.95) }
  end
  return json.array(rows)
end

local function hooks_of(policies)
  local rows = {}
  for i, name in ipairs(sorted(policies and policies.hooks or {})) do
    local hook = policies.hooks[name]
    rows[i] = { name = name, calls = hook.calls, errors = hook.errors,
      overruns = hook.overruns, yields = hook.yields,
      mean = hook.calls > 0 and hook.seconds / hook.calls or nil,
      slowest = hook.slowest, breaker_open = hook.breaker_open }
  end
  return json.array(rows)
end

--------------------------------------------------------------- the document --

local function state_of(node, stats)
  local state, reason = node:state()
  return { state = state, reason = reason, id = kad.hex(node:id()),
    version = kad._VERSION:match("%S+$"),
    addresses = json.array(node:addresses()), network_size = stats.network_size,
    read_only = stats.read_only > 0, operations = stats.operations,
    pending = stats.pending, backlog = stats.backlog }
end

-- Returns the record types with their numbers of records, most first; nil if
-- the store does not count them.
local function types_of(node)
  local counts = node:held_types()
  if not counts then
    return nil
  end
  local rows = {}
  for i, name in ipairs(sorted(counts)) do
    rows[i] = { type = name, count = counts[name] }
  end
  table.sort(rows, function(a, b)
    if a.count ~= b.count then
      return a.count > b.count
    end
    return a.type < b.type
  end)
  return json.array(table.move(rows, 1, math.min(#rows, TYPES), 1, {}))
end

-- The quotas are those of the settings; 0 is no limit.
local function records_of(node, stats, settings)
  return { types = types_of(node),
    count = stats.records, bytes = stats.record_bytes,
    publications = stats.publications,
    max_count = settings.max_records, max_bytes = settings.max_bytes,
    max_publications = settings.max_publications,
    over_quota = stats.over_quota, evicted = stats.evicted,
    expired = stats.expired, unstored = stats.unstored }
end

local function talkers_of(node)
  local list, seconds = talkers.top(node, TALKERS)
  return { list = json.array(list), seconds = seconds }
end

--- Returns the document.
---@param running { node: kadenza.Node, settings: table }
---@param watched kadenza.Rates  of the node
---@param started integer  seconds since 1970, when the node was started
---@return table document
function M.of(running, watched, started)
  local node = running.node
  local stats = node:stats()
  local _, minute = watched:all(rates.MINUTE)
  local _, quarter = watched:all(rates.QUARTER)
  return {
    now = node:network():time(),
    started = started,
    rates_over = { minute = minute, quarter = quarter },
    node = state_of(node, stats),
    contacts = { count = stats.contacts, good = stats.contacts_good,
      secure = stats.contacts_secure, k = running.settings.k,
      fill = M.fill(node:id(), node:contacts()) },
    traffic = rows_of(stats, watched, "served_", TRAFFIC),
    drops = rows_of(stats, watched, "dropped_", REFUSED),
    times = times_of(node),
    hooks = hooks_of(stats.policies),
    policy_memory = stats.policies and stats.policies.memory,
    records = records_of(node, stats, running.settings),
    talkers = talkers_of(node),
  }
end

return M
