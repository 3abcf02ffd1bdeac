--- The figures of a node that the dashboard keeps over time: which ones, and
--- how they are read.
--- Tested by tests/spec/web/series_spec.lua.

local core = require("kadenza.core")

local M = {}

-- Counters by the names of `node:stats`, apart from those that begin with
-- `served_` or `dropped_`.
local COUNTERS <const> = { "datagrams_in", "datagrams_out", "bytes_in",
  "bytes_out", "queries", "replies", "errors", "timeouts", "refused" }
local GAUGES <const> = { "contacts", "contacts_good", "network_size",
  "records", "record_bytes", "publications", "pending", "backlog" }

-- What `core.counters` returns, once it was needed.
local known

--- Returns the counters of nodes whose names begin with a text, in the order of
--- `node:stats` in the documents.
---@param prefix string
---@return { name: string, text: string, is_gauge: boolean }[] counters
function M.counters(prefix)
  known = known or core.counters().node
  local found = {}
  for _, counter in ipairs(known) do
    if counter.name:sub(1, #prefix) == prefix then
      found[#found + 1] = counter
    end
  end
  return found
end

local function add_rates(figures, names)
  for _, name in ipairs(names) do
    figures[#figures + 1] = { name = name, kind = "rate" }
  end
end

local function names_of(counters)
  local names = {}
  for i, counter in ipairs(counters) do
    names[i] = counter.name
  end
  return names
end

--- Returns the figures, for `kadenza.web.history`.
---@return kadenza.web.Figure[] figures
function M.list()
  local figures = {}
  add_rates(figures, COUNTERS)
  add_rates(figures, names_of(M.counters("served_")))
  add_rates(figures, names_of(M.counters("dropped_")))
  for _, name in ipairs(GAUGES) do
    figures[#figures + 1] = { name = name, kind = "gauge" }
  end
  for _, mean in ipairs({ { "lookup_s", "lookups_ended" },
    { "store_s", "stores_ended" }, { "reply_s", "replies_timed" },
    { "hook_s", "hook_calls" } })
  do
    figures[#figures + 1] = { name = mean[1], kind = "mean", of = mean[2] }
  end
  add_rates(figures, { "lookups_ended", "stores_ended", "hook_calls" })
  return figures
end

-- The totals of histograms: their names in the values, subject and kinds.
local LOOKUPS <const> = { find_node = true, get = true, get_item = true,
  get_peers = true, query = true, neighbours = true }
local STORES <const> = { put = true, put_item = true, announce = true }

-- Returns the names of the time and the count to which a histogram adds.
local function totals_of(histogram)
  if histogram.subject == "reply" then
    return "reply_s", "replies_timed"
  elseif histogram.subject ~= "operation" then
    return nil
  elseif LOOKUPS[histogram.kind] then
    return "lookup_s", "lookups_ended"
  elseif STORES[histogram.kind] then
    return "store_s", "stores_ended"
  end
end

-- Sums the times of lookups, stores and replies.
local function add_histograms(values, histograms)
  for _, name in ipairs({ "reply_s", "replies_timed", "lookup_s",
    "lookups_ended", "store_s", "stores_ended" })
  do
    values[name] = 0
  end
  for _, histogram in ipairs(histograms) do
    local time, count = totals_of(histogram)
    if time then
      values[time] = values[time] + histogram.seconds
      for _, number in ipairs(histogram.counts) do
        values[count] = values[count] + number
      end
    end
  end
end

-- Sums the calls of all hooks and their time.
local function add_hooks(values, policies)
  if not policies then
    return
  end
  local calls, seconds = 0, 0
  for _, hook in pairs(policies.hooks) do
    calls, seconds = calls + hook.calls, seconds + hook.seconds
  end
  values.hook_calls, values.hook_s = calls, seconds
end

--- Returns the values of the figures of a node now, by name.
---@param node kadenza.Node
---@return table<string, number> values
function M.read(node)
  local stats = node:stats()
  add_hooks(stats, stats.policies)
  stats.policies = nil
  add_histograms(stats, node:histograms())
  return stats
end

return M
