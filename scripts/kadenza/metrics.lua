--- The figures of a node as metrics, which Prometheus and other programs read:
--- in the text format of OpenMetrics 1.0, or in the older one of Prometheus.
--
--     local kad = require "kadenza"
--     local metrics = require "kadenza.metrics"
--
--     kad.run(function()
--       local node <close> = assert(kad.node { listen = "127.0.0.1:0" })
--       local text, content_type = metrics.new(node):render("openmetrics")
--       print(content_type)
--       print(text)
--     end)
--
-- docs/metrics.md lists all metrics. No label has a value that a stranger can
-- choose: there are no addresses, ids or keys.

local check = require("kadenza.check")
local core = require("kadenza.core")
local families = require("kadenza.metrics.families")
local node_options = require("kadenza.node_options")
local sorted = require("kadenza.sorted")
local text = require("kadenza.metrics.text")

local M = {}

-- Seconds by which the time at which the process began may differ from the one
-- that was shown before: it is computed from two clocks. A wall clock that is
-- set changes it by more.
local START_TOLERANCE <const> = 2

-- Prefixes of samples that are kept. Reloaded policies may have other hooks.
local MAX_PREFIXES <const> = 4096

local LIMITS <const> = { "max_records", "max_bytes", "max_publications" }

local POLICY_TYPES <const> = { counter = true, gauge = true }

--- What a scrape reads.
---@class kadenza.metrics.Figures
---@field stats table<string, integer>
---@field histograms kadenza.Histogram[]
---@field tallies kadenza.Tally[]
---@field types table<string, integer>  records held, by record type
---@field policies? table  statistics of all policies
---@field hooks { name: string, stats: table }[]  in order
---@field state string
---@field reachability kadenza.Reachability
---@field limits table<string, integer>
---@field process table  as core.usage returns it
---@field version string

---@class kadenza.Metrics
---@field private node kadenza.Node
---@field private read_process fun(): table
---@field private started? number  when the process began
---@field private families table[]
---@field private prefixes table  of samples, by family and labels
---@field private prefix_count integer
local Metrics = {}
Metrics.__index = Metrics
Metrics.__name = "kadenza.Metrics"

-------------------------------------------------------------------- writing --

-- Returns the labels of a sample in braces, or "" if there are none.
local function braces(names, values)
  local list = {}
  for i, name in ipairs(names) do
    list[i] = text.label(name, values[i])
  end
  return #list > 0 and "{" .. table.concat(list, ",") .. "}" or ""
end

local function sample_name(family)
  return family.type == "counter" and family.name .. "_total" or family.name
end

-- Returns a family with its heads, and with the prefixes of its rows.
local function prepare(family)
  local prepared = { family = family, heads = {} }
  for format in pairs(text.TYPES) do
    prepared.heads[format] = text.head(family, format)
  end
  if family.rows then
    prepared.rows = {}
    for i, row in ipairs(family.rows) do
      prepared.rows[i] = { counter = row.counter, prefix = ("\n%s%s "):format(
        sample_name(family), braces(family.labels, { row.value })) }
    end
  end
  return prepared
end

-- Returns what `make` makes of a family and the values of its labels, which
-- begin at `first` of `item`; it is made once.
local function prefix_of(self, family, item, first, make)
  local known = self.prefixes[family]
  local key = item[first + 1] and table.concat(item, "\0", first)
    or item[first] or ""
  if known and known[key] then
    return known[key]
  end
  if self.prefix_count >= MAX_PREFIXES then
    self.prefixes, self.prefix_count, known = {}, 0, nil
  end
  known = known or {}
  self.prefixes[family] = known
  known[key] = make(family, table.move(item, first, #item, 1, {}))
  self.prefix_count = self.prefix_count + 1
  return known[key]
end

local function make_prefix(family, values)
  return ("\n%s%s "):format(sample_name(family), braces(family.labels, values))
end

-- Returns the prefixes of the samples of a histogram: those of the buckets that
-- are shown, of the sum and of the count.
local function make_prefixes(family, values)
  local labels = braces(family.labels, values):match("^{(.*)}$")
  local function bucket(bound)
    return ('\n%s_bucket{%s,le="%s"} '):format(family.name, labels, bound)
  end
  local made = { all = bucket("+Inf"),
    sum = ("\n%s_sum{%s} "):format(family.name, labels),
    count = ("\n%s_count{%s} "):format(family.name, labels) }
  for i = 1, #family.bounds, family.step do
    made[i] = bucket(text.number(family.bounds[i]))
  end
  return made
end

local function add(out, prefix, value)
  local count = #out
  out[count + 1] = prefix
  out[count + 2] = math.type(value) == "integer" and value
    or text.number(value)
end

local function write_rows(out, rows, stats)
  for _, row in ipairs(rows) do
    if stats[row.counter] then
      add(out, row.prefix, stats[row.counter])
    end
  end
end

local function write_samples(self, out, family, figures)
  for _, sample in ipairs(family.samples(figures)) do
    add(out, prefix_of(self, family, sample, 2, make_prefix), sample[1])
  end
end

-- The buckets of the text count all times up to their bound.
local function write_histograms(self, out, family, figures)
  for _, histogram in ipairs(family.histograms(figures)) do
    local counts, seconds = histogram[1], histogram[2]
    local prefixes = prefix_of(self, family, histogram, 3, make_prefixes)
    local total = 0
    for i, count in ipairs(counts) do
      total = total + count
      if prefixes[i] then
        add(out, prefixes[i], total)
      end
    end
    add(out, prefixes.all, total)
    add(out, prefixes.sum, seconds)
    add(out, prefixes.count, total)
  end
end

-- Writes a family, unless it has no samples.
local function write(self, out, prepared, figures, format)
  local family, before = prepared.family, #out
  out[before + 1] = prepared.heads[format]
  if prepared.rows then
    write_rows(out, prepared.rows, figures.stats)
  elseif family.samples then
    write_samples(self, out, family, figures)
  else
    write_histograms(self, out, family, figures)
  end
  if #out == before + 1 then
    out[before + 1] = nil
  end
end

--------------------------------------------------------- metrics of policies --

-- Returns a part of the name of a metric.
local function name_part(name)
  return (name:gsub("[^%w_]", "_"))
end

-- Returns the family of a metric that a policy declares.
local function policy_family(metric)
  local name = ("kadenza_policy_%s_%s"):format(name_part(metric.policy),
    name_part(metric.name))
  if metric.type == "counter" then
    name = name:gsub("_total$", "")
  end
  return { name = name, type = metric.type, labels = {},
    help = metric.help or ("%s of the policy %s."):format(metric.name,
      metric.policy) }
end

-- Writes what policies declare. Of two metrics whose names differ only in
-- characters that a name cannot have, the first one counts.
local function write_policy_metrics(self, out, format)
  local written = {}
  for _, metric in ipairs(self.node:policy_metrics()) do
    local family = policy_family(metric)
    if POLICY_TYPES[metric.type] and not written[family.name] then
      written[family.name] = true
      out[#out + 1] = text.head(family, format)
      add(out, make_prefix(family, {}), metric.value)
    end
  end
end

-------------------------------------------------------------------- reading --

-- Returns what the process uses. When it began stays the same from one scrape
-- to the next, unless the wall clock was set.
local function read_process(self)
  local process = self.read_process()
  local started = process.start_time
  if started and self.started
    and math.abs(started - self.started) < START_TOLERANCE
  then
    process.start_time = self.started
  end
  self.started = process.start_time
  return process
end

local function read_hooks(policies)
  local hooks = {}
  for i, name in ipairs(policies and sorted(policies.hooks) or {}) do
    hooks[i] = { name = name, stats = policies.hooks[name] }
  end
  return hooks
end

local function read_limits(node)
  local limits = {}
  for _, name in ipairs(LIMITS) do
    limits[name] = node.config[name] or node_options.DEFAULTS[name]
  end
  return limits
end

local function read_figures(self)
  local node = self.node
  local stats = node:stats()
  return {
    stats = stats,
    histograms = node:histograms(),
    tallies = node:tallies(),
    types = node:held_types() or {},
    policies = stats.policies,
    hooks = read_hooks(stats.policies),
    state = node:state(),
    reachability = node:reachability(),
    limits = read_limits(node),
    process = read_process(self),
    version = core.version,
  }
end

--- Returns what renders the metrics of a node.
---@param node kadenza.Node
---@param read_usage? fun(): table  for tests: instead of core.usage
---@return kadenza.Metrics metrics
function M.new(node, read_usage)
  local self = { node = node, read_process = read_usage or core.usage,
    families = {}, prefixes = {}, prefix_count = 0 }
  for i, family in ipairs(families.list()) do
    self.families[i] = prepare(family)
  end
  return setmetatable(self, Metrics)
end

--- Returns the metrics as text, and its content type.
---@param format "openmetrics"|"plain"  OpenMetrics 1.0, or Prometheus 0.0.4
---@return string text
---@return string content_type
function Metrics:render(format)
  check.open(self.node, 2)
  if not text.TYPES[format] then
    error('format must be "openmetrics" or "plain"', 2)
  end
  local figures, out = read_figures(self), {}
  for _, prepared in ipairs(self.families) do
    write(self, out, prepared, figures, format)
  end
  write_policy_metrics(self, out, format)
  out[#out + 1] = text.ending(format)
  return table.concat(out):sub(2), text.TYPES[format]
end

return M
