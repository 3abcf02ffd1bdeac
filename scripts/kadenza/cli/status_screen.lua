--- Lays out the status of a node for people: one screen of text.

local figures = require("kadenza.cli.figures")
local layout = require("kadenza.cli.layout")
local shown = require("kadenza.shown")
local sorted = require("kadenza.sorted")

local M = {}

local LABEL <const> = 11 -- columns of the names of rows

-- The windows of the rates, in seconds.
local MINUTE <const>, QUARTER <const> = 60, 900

-- Hooks that are shown; others are counted.
local MAX_HOOKS <const> = 20

local STATES <const> = {
  new = "waiting for other nodes",
  joining = "joining",
  healthy = "healthy",
  degraded = "degraded: most contacts do not answer",
  isolated = "isolated: no contact answers",
}

-- The rows of the rates: a name, and the counters whose rates are added. Of a
-- text that ends with `*` it is all counters that begin with it.
local RATES <const> = {
  { "datagrams received", { "datagrams_in" } },
  { "datagrams sent", { "datagrams_out" } },
  { "bytes received", { "bytes_in" }, is_bytes = true },
  { "bytes sent", { "bytes_out" }, is_bytes = true },
  { "queries answered", { "served_*" } },
  { "of them stores",
    { "served_store", "served_put", "served_announce_peer" } },
  { "queries refused", { "refused", "busy" } },
  { "datagrams dropped", { "dropped_*" } },
  { "queries sent", { "queries" } },
  { "replies received", { "replies" } },
  { "queries not answered", { "timeouts" } },
  { "lookups", { "lookups" } },
}

local function row(lines, name, text)
  lines[#lines + 1] = ("%-" .. LABEL .. "s  %s"):format(name, text)
end

local function plural(count, noun)
  return ("%s %s%s"):format(figures.count(count), noun,
    count == 1 and "" or "s")
end

---------------------------------------------------------------- the parts --

local function describe_reach(families)
  local parts = {}
  for _, family in ipairs(sorted(families)) do
    local info = families[family]
    parts[#parts + 1] = ("%s %s%s"):format(
      family == "ip4" and "IPv4" or "IPv6", info.state,
      info.read_only and " (read-only)" or "")
  end
  return table.concat(parts, ", ")
end

local function add_node(lines, status)
  row(lines, "State", ("%s, %s%s"):format(STATES[status.state] or status.state,
    plural(status.contacts.total, "contact"),
    status.reason and "; " .. shown.line(status.reason) or ""))
  row(lines, "Running", ("for %s, kadenza %s, process %d"):format(
    figures.span(status.uptime), status.version, status.pid))
  row(lines, "Id", status.id)
  row(lines, "Listens on", table.concat(status.addresses, ", "))
  local reach = describe_reach(status.reachability or {})
  if reach ~= "" then
    row(lines, "Reachable", reach)
  end
  if status.network_size > 0 then
    row(lines, "Network", ("about %s"):format(
      plural(status.network_size, "node")))
  end
end

local function add_contacts(lines, contacts)
  row(lines, "Contacts", ("%s, %s of them good"):format(
    figures.count(contacts.total), figures.count(contacts.good)))
  local parts = {}
  for i, bucket in ipairs(contacts.buckets) do
    parts[i] = ("%d:%d"):format(bucket.bucket, bucket.contacts)
  end
  if parts[1] then
    row(lines, "by bucket", table.concat(parts, " "))
  end
end

local function add_records(lines, records)
  row(lines, "Records", ("%s of at most %s, %s of %s; %s published"):format(
    figures.count(records.total), figures.count(records.max_records),
    figures.bytes(records.bytes), figures.bytes(records.max_bytes),
    figures.count(records.published)))
  local types, parts = records.types or {}, {}
  local names = sorted(types)
  table.sort(names, function(a, b)
    return types[a] > types[b] or types[a] == types[b] and a < b
  end)
  for i, name in ipairs(names) do
    parts[i] = ("%s %s"):format(shown.line(name), figures.count(types[name]))
  end
  if parts[1] then
    row(lines, "by type", table.concat(parts, ", "))
  end
end

-- Returns the outcome of the last reload as a text.
local function describe_reload(reload)
  local parts = {}
  if reload.changed[1] then
    parts[1] = "changed " .. table.concat(reload.changed, ", ")
  elseif reload.succeeded then
    parts[1] = "no option changed"
  end
  for _, problem in ipairs(reload.problems) do
    parts[#parts + 1] = shown.line(problem)
  end
  if reload.needs_restart[1] then
    parts[#parts + 1] = "a restart is needed for "
      .. table.concat(reload.needs_restart, ", ")
  end
  return ("%s ago%s: %s"):format(figures.span(reload.ago),
    reload.succeeded and "" or ", refused", table.concat(parts, "; "))
end

local function add_rest(lines, status)
  local policies = status.policies or {}
  if policies.files and policies.files[1] then
    row(lines, "Policies", ("%s; %s of memory"):format(
      shown.line(table.concat(policies.files, ", ")),
      figures.bytes(policies.memory or 0)))
  end
  if status.reload then
    row(lines, "Reload", describe_reload(status.reload))
  end
  local consoles = status.consoles
  if consoles then
    row(lines, "Consoles", ("%d open, %s%s"):format(consoles.open,
      plural(consoles.requests, "request"), consoles.dropped > 0
        and (", %d dropped as too slow"):format(consoles.dropped) or ""))
  end
end

------------------------------------------------------------------- tables --

-- Returns the sum of the rates of counters.
local function sum_of(rates, names)
  local sum = 0
  for _, name in ipairs(names) do
    local start = name:match("^(.*)%*$")
    for counter, rate in pairs(start and rates or {}) do
      sum = sum + (counter:sub(1, #start) == start and rate or 0)
    end
    sum = sum + (not start and rates[name] or 0)
  end
  return sum
end

local function rates_table(rates, columns)
  local minute, quarter = rates.minute, rates.quarter
  if not minute then
    return nil
  end
  quarter = quarter or minute
  -- A window is some seconds longer than its name, or shorter at first.
  local rows = { { "A second, over",
    figures.span(math.min(minute.seconds + 0.5, MINUTE)),
    figures.span(math.min(quarter.seconds + 0.5, QUARTER)) } }
  for _, line in ipairs(RATES) do
    local write = line.is_bytes and figures.bytes or figures.number
    rows[#rows + 1] = { "  " .. line[1],
      write(sum_of(minute.rates, line[2])),
      write(sum_of(quarter.rates, line[2])) }
  end
  return layout.table(rows, columns)
end

local function hook_row(hook)
  local was_called = hook.calls > 0
  return { "  " .. shown.line(hook.name)
    .. (hook.breaker_open and " (breaker open)" or ""),
    figures.count(hook.calls), figures.count(hook.errors),
    figures.count(hook.overruns),
    was_called and figures.duration(hook.seconds / hook.calls) or "-",
    was_called and figures.duration(hook.slowest) or "-" }
end

local function hooks_table(hooks, columns)
  if not hooks[1] then
    return nil
  end
  local rows = { { "Hook", "calls", "errors", "overruns", "mean", "slowest" } }
  for i = 1, math.min(#hooks, MAX_HOOKS) do
    rows[i + 1] = hook_row(hooks[i])
  end
  local rest = #hooks - MAX_HOOKS
  return layout.table(rows, columns)
    .. (rest > 0 and ("  and %s (--json shows all)\n"):format(
      plural(rest, "hook")) or "")
end

--- Returns the status of a node as text.
---@param status table  the document of kadenza.console.status, from JSON
---@param columns? integer  of the terminal
---@return string text
function M.text(status, columns)
  local lines = {}
  add_node(lines, status)
  add_contacts(lines, status.contacts)
  add_records(lines, status.records)
  add_rest(lines, status)
  local parts = { layout.wrap(table.concat(lines, "\n"), columns) .. "\n" }
  parts[#parts + 1] = rates_table(status.rates, columns)
  parts[#parts + 1] = hooks_table(status.hooks, columns)
  return table.concat(parts, "\n")
end

return M
