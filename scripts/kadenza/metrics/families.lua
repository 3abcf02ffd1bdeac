--- The metrics of a node: their names, types, labels and texts, and how each is
--- read. docs/metrics.md lists them.
--- Tested by tests/spec/metrics_spec.lua.

local core = require("kadenza.core")
local sorted = require("kadenza.sorted")

local M = {}

--- All samples of one name.
---@class kadenza.metrics.Family
---@field name string  without `_total`, `_bucket` and the like
---@field type "counter"|"gauge"|"histogram"
---@field help string
---@field unit? string  of a name that ends with it
---@field labels string[]
---@field rows? { counter: string, value?: string }[]  of counters of the node:
---  which, and the value of the label
---@field samples? fun(figures: kadenza.metrics.Figures): table[]  of others:
---  a list of { value, label values … }
---@field histograms? fun(figures: kadenza.metrics.Figures): table[]  a list of
---  { counts, seconds, label values … }
---@field bounds? number[]  of histograms: bounds[i], in seconds, of counts[i]
---@field step? integer  of histograms: every so many bounds are shown

-- Counters that are samples of one metric, with the rest of the name as label.
local GROUPS <const> = {
  { prefix = "dropped_", name = "dropped", label = "reason",
    help = "Datagrams and queries dropped, by reason." },
  { prefix = "served_", name = "served_queries", label = "method",
    help = "Queries of other nodes answered, by method." },
  { prefix = "send_e", name = "send_errors", label = "error",
    help = "Datagrams that the system refused to send, by error." },
  { prefix = "send_other", name = "send_errors", label = "error" },
}

-- Names that would not say enough on their own.
local NAMES <const> = {
  bytes_in = "received_bytes",
  bytes_out = "sent_bytes",
  datagrams_in = "received_datagrams",
  datagrams_out = "sent_datagrams",
  names = "bootstrap_names",
  names_failed = "bootstrap_names_failed",
  pending = "pending_queries",
  read_only = "read_only_families",
  waiting = "waiting_queries",
}

local UNITS <const> = { "bytes", "seconds" }

local STATES <const> = { "new", "joining", "healthy", "degraded", "isolated" }
local REACHABILITY <const> = { "unknown", "reachable", "unreachable" }

-- Returns powers of two of a unit, in seconds.
local function bounds(unit, count)
  local list = {}
  for i = 1, count do
    list[i] = unit * (1 << (i - 1))
  end
  return list
end

local MILLISECONDS <const> = bounds(1e-3, 17)
local MICROSECONDS <const> = bounds(1e-6, 19)

------------------------------------------------------------------ counters --

local function group_of(counter)
  for _, group in ipairs(GROUPS) do
    local rest = counter.name:match("^" .. group.prefix .. "(.*)$")
    if rest then
      return group, rest
    end
  end
end

-- Returns the value of the label in a group: the name of an error is that of
-- the system, that of a query is what is sent.
local function value_of(group, rest)
  if group.label ~= "error" then
    return rest == "sample" and "sample_infohashes" or rest
  end
  return group.prefix == "send_e" and "E" .. rest:upper() or "other"
end

local function sentence(text)
  return text:sub(1, 1):upper() .. text:sub(2) .. "."
end

local function unit_of(name)
  for _, unit in ipairs(UNITS) do
    if name:find("_" .. unit .. "$") then
      return unit
    end
  end
end

local function family_of(counter)
  local name = "kadenza_" .. (NAMES[counter.name] or counter.name)
  return {
    name = name,
    type = counter.is_gauge and "gauge" or "counter",
    unit = unit_of(name),
    help = sentence(counter.text),
    labels = {},
    rows = { { counter = counter.name } },
  }
end

-- Adds a counter to the family of its group, which may be new.
local function add_to_group(list, known, counter, group, rest)
  local family = known[group.name]
  if not family then
    family = { name = "kadenza_" .. group.name, type = "counter",
      help = group.help, labels = { group.label }, rows = {} }
    known[group.name] = family
    list[#list + 1] = family
  end
  table.insert(family.rows,
    { counter = counter.name, value = value_of(group, rest) })
end

-- Adds the families of all counters of the node, its sockets and its store.
local function add_counters(list)
  local parts, known = core.counters(), {}
  for _, part in ipairs({ parts.node, parts.sockets, parts.durable }) do
    for _, counter in ipairs(part) do
      local group, rest = group_of(counter)
      if group then
        add_to_group(list, known, counter, group, rest)
      else
        list[#list + 1] = family_of(counter)
      end
    end
  end
end

---------------------------------------------------------------- node, limits --

-- Returns a sample for each of `names`: 1 for the one that is true.
local function one_of(names, current, list, ...)
  for _, name in ipairs(names) do
    local sample = { name == current and 1 or 0, ... }
    sample[#sample + 1] = name
    list[#list + 1] = sample
  end
  return list
end

local function reachability(figures)
  local list = {}
  for _, family in ipairs(sorted(figures.reachability)) do
    one_of(REACHABILITY, figures.reachability[family].state, list, family)
  end
  return list
end

local NODE <const> = {
  { name = "kadenza_build_info", type = "gauge", labels = { "version", "lua" },
    help = "The version of kadenza and of Lua; always 1.",
    samples = function(figures)
      return { { 1, figures.version, _VERSION:match("%S+$") } }
    end },
  { name = "kadenza_state", type = "gauge", labels = { "state" },
    help = "1 for the state that the node is in, 0 for the others.",
    samples = function(figures)
      return one_of(STATES, figures.state, {})
    end },
  { name = "kadenza_reachability", type = "gauge",
    labels = { "family", "state" },
    help = "1 for what is known of whether others reach the node, by address "
      .. "family.", samples = reachability },
  { name = "kadenza_max_records", type = "gauge", labels = {},
    help = "Records that the node holds at most.",
    samples = function(figures)
      return { { figures.limits.max_records } }
    end },
  { name = "kadenza_max_record_bytes", type = "gauge", labels = {},
    unit = "bytes", help = "Memory of records that the node uses at most.",
    samples = function(figures)
      return { { figures.limits.max_bytes } }
    end },
  { name = "kadenza_max_publications", type = "gauge", labels = {},
    help = "Records that the node publishes at most.",
    samples = function(figures)
      return { { figures.limits.max_publications } }
    end },
}

------------------------------------------------------- by kind of message --

-- Returns the family of the tallies of a subject.
local function tallies_of(subject, name, label, help)
  return { name = name, type = "counter", help = help, labels = { label },
    samples = function(figures)
      local list = {}
      for _, it in ipairs(figures.tallies) do
        if it.subject == subject then
          list[#list + 1] = { it.count, it.kind }
        end
      end
      return list
    end }
end

-- Returns a sample for each type of the records that are held.
local function records_by_type(figures)
  local list = {}
  for _, kind in ipairs(sorted(figures.types)) do
    list[#list + 1] = { figures.types[kind], kind }
  end
  return list
end

local KINDS <const> = {
  tallies_of("query_sent", "kadenza_sent_queries", "method",
    "Queries sent, by method."),
  tallies_of("error_sent", "kadenza_sent_errors", "code",
    "Queries answered with an error, by its code."),
  tallies_of("error_received", "kadenza_received_errors", "code",
    "Errors received, by code."),
  { name = "kadenza_type_records", type = "gauge", labels = { "type" },
    help = "Records held, by record type.", samples = records_by_type },
}

----------------------------------------------------------------- histograms --

-- Returns the family of the histograms of a subject.
local function histograms_of(subject, name, label, help)
  return { name = name, type = "histogram", unit = "seconds", help = help,
    labels = { label, "outcome" }, bounds = MILLISECONDS, step = 1,
    histograms = function(figures)
      local list = {}
      for _, it in ipairs(figures.histograms) do
        if it.subject == subject then
          list[#list + 1] = { it.counts, it.seconds, it.kind, it.outcome }
        end
      end
      return list
    end }
end

local HISTOGRAMS <const> = {
  histograms_of("operation", "kadenza_operation_duration_seconds", "operation",
    "Time of lookups, puts and other operations that have ended."),
  histograms_of("reply", "kadenza_reply_duration_seconds", "family",
    "Time from a query of the node to its answer, by address family."),
  histograms_of("served", "kadenza_served_store_duration_seconds", "query",
    "Time from a store of another node to its answer."),
}

------------------------------------------------------------------- policies --

-- Returns a family of a field of the statistics of each hook.
local function hook_family(field, kind, help, convert)
  local name = "kadenza_hook_" .. field
  return { name = name, type = kind, labels = { "hook" }, help = help,
    unit = unit_of(name),
    samples = function(figures)
      local list = {}
      for i, hook in ipairs(figures.hooks) do
        local value = hook.stats[field]
        list[i] = { convert and convert(value) or value, hook.name }
      end
      return list
    end }
end

-- Returns a family of a figure of all policies together.
local function policies_family(name, field, kind, help)
  return { name = name, type = kind, labels = {}, help = help,
    unit = unit_of(name),
    samples = function(figures)
      return figures.policies and { { figures.policies[field] } } or {}
    end }
end

local POLICIES <const> = {
  hook_family("calls", "counter", "Calls of a hook."),
  hook_family("errors", "counter",
    "Calls of a hook that failed or had an invalid result."),
  hook_family("overruns", "counter",
    "Calls of a hook that exceeded a budget or the deadline."),
  hook_family("yields", "counter", "Calls of a hook that waited."),
  hook_family("preempted", "counter",
    "Calls of a hook that went on in a later turn."),
  hook_family("instructions", "counter",
    "Instructions that a hook has run, approximately."),
  hook_family("breaker_open", "gauge",
    "1 while the circuit breaker of a hook is open: it is not called.",
    function(is_open)
      return is_open and 1 or 0
    end),
  { name = "kadenza_hook_duration_seconds", type = "histogram",
    unit = "seconds", labels = { "hook" }, bounds = MICROSECONDS, step = 2,
    help = "Running time of the calls of a hook.",
    histograms = function(figures)
      local list = {}
      for _, hook in ipairs(figures.hooks) do
        if hook.stats.calls > 0 then
          list[#list + 1] = { hook.stats.time, hook.stats.seconds, hook.name }
        end
      end
      return list
    end },
  policies_family("kadenza_policies_memory_bytes", "memory", "gauge",
    "Memory that policy files use."),
  policies_family("kadenza_policies_clamped", "clamped", "counter",
    "Times that a hook returned seconds out of range."),
  policies_family("kadenza_policies_log_dropped", "log_dropped", "counter",
    "Lines of the log of policies that were dropped: too many."),
}

-------------------------------------------------------------------- process --

local function process_family(name, kind, field, help)
  return { name = name, type = kind, labels = {}, help = help,
    unit = unit_of(name),
    samples = function(figures)
      local value = figures.process[field]
      return value and { { value } } or {}
    end }
end

local PROCESS <const> = {
  process_family("process_cpu_seconds", "counter", "cpu_seconds",
    "Processor time of the process, of the user and the system."),
  process_family("process_resident_memory_bytes", "gauge", "resident_bytes",
    "Memory of the process that is resident."),
  process_family("process_virtual_memory_bytes", "gauge", "virtual_bytes",
    "Size of the process's address space."),
  process_family("process_open_fds", "gauge", "open_fds",
    "Open file descriptors of the process."),
  process_family("process_max_fds", "gauge", "max_fds",
    "File descriptors that the process may open."),
  process_family("process_start_time_seconds", "gauge", "start_time",
    "When the process began, in seconds since 1970 UTC."),
}

--- Returns all families, in the order in which they are written. Those of the
--- metrics that policies declare are not among them.
---@return kadenza.metrics.Family[] families
function M.list()
  local list = {}
  table.move(NODE, 1, #NODE, 1, list)
  add_counters(list)
  for _, part in ipairs({ KINDS, HISTOGRAMS, POLICIES, PROCESS }) do
    table.move(part, 1, #part, #list + 1, list)
  end
  return list
end

return M
