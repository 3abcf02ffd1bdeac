--- Makes the charts and figures of a run from its recorder.
--
-- Tested by tests/spec/sim/run_report_spec.lua.

local QUERIES <const> = require("kadenza.sim.recorder").QUERIES

local M = {}

local HOUR <const> = 3600
local POINTS <const> = 200 -- of a curve of times
-- The axis is logarithmic if the maximum is more than so many medians.
local LONG_TAIL <const> = 20

-- Returns the operations whose distribution `field` has values.
local function kinds_with(recorder, field)
  local kinds = {}
  for _, operations in ipairs(recorder.kinds) do
    if operations[field].count > 0 then
      kinds[#kinds + 1] = operations
    end
  end
  return kinds
end

local function names_of(first, kinds)
  local names = { first }
  for _, operations in ipairs(kinds) do
    names[#names + 1] = operations.kind
  end
  return names
end

-- Merges curves, which are lists of points (x, y), into rows with the same x.
local function merge(curves)
  local rows, by_place = {}, {}
  for i, points in ipairs(curves) do
    for _, point in ipairs(points) do
      local row = by_place[point[1]]
      if not row then
        row = { point[1] }
        by_place[point[1]] = row
        rows[#rows + 1] = row
      end
      row[i + 1] = point[2]
    end
  end
  table.sort(rows, function(a, b)
    return a[1] < b[1]
  end)
  return rows
end

-- Returns the rows of time series, by hours of the run.
local function over_hours(list, scale)
  local curves = {}
  for i, series in ipairs(list) do
    local points = {}
    for _, row in ipairs(series:rows()) do
      points[#points + 1] = { row[1] / HOUR, row[2] * (scale or 1) }
    end
    curves[i] = points
  end
  return merge(curves)
end

-- Returns the range of an axis of per cent. It begins near the lowest value, so
-- that differences are visible.
local function percent_range(rows, columns)
  local lowest = 100
  for _, row in ipairs(rows) do
    for i = 2, #columns do
      lowest = math.min(lowest, row[i] or 100)
    end
  end
  return { math.max(lowest // 10 * 10 - (lowest % 10 < 2 and 10 or 0), 0),
    101 }
end

local make = {} -- name: function(recorder)

function make.hops(recorder)
  local kinds = kinds_with(recorder, "hops")
  local curves = {}
  for i, operations in ipairs(kinds) do
    local points = {}
    local hops = operations.hops
    for _, count in ipairs(hops:values()) do
      points[#points + 1] = { count, hops:times(count) * 100 / hops.count }
    end
    curves[i] = points
  end
  return { title = "Hops", kind = "bars", x = "hops", y = "% of operations",
    note = "The longest chain of replies that led to the last contact.",
    columns = names_of("hops", kinds), rows = merge(curves) }
end

local function has_long_tail(kinds)
  for _, operations in ipairs(kinds) do
    local took = operations.took
    if took.max > LONG_TAIL * math.max(took:quantile(0.5), 1) then
      return true
    end
  end
  return false
end

function make.time(recorder)
  local kinds = kinds_with(recorder, "took")
  local curves = {}
  for i, operations in ipairs(kinds) do
    local took = operations.took
    curves[i] = took:cumulative(POINTS)
    table.insert(curves[i], 1, { took.min, 0 })
    if #curves[i] > 1 and curves[i][2][1] == took.min then
      table.remove(curves[i], 1)
    end
  end
  return { title = "Time of operations", kind = "steps", x = "milliseconds",
    y = "share that has ended", range = { 0, 1 },
    note = "The share of operations that ended within a time.",
    logarithmic = has_long_tail(kinds) and "x" or nil,
    columns = names_of("milliseconds", kinds), rows = merge(curves) }
end

function make.messages(recorder)
  local kinds = kinds_with(recorder, "messages")
  local curves = {}
  for i, operations in ipairs(kinds) do
    curves[i] = operations.messages:cumulative(POINTS)
  end
  return { title = "Queries of operations", kind = "steps",
    x = "queries sent", y = "share of operations", range = { 0, 1 },
    note = "The share of operations that sent no more queries than that.",
    columns = names_of("queries", kinds), rows = merge(curves) }
end

function make.success(recorder)
  local columns, list = { "hours" }, {}
  local function add(name, series)
    if #series:rows() > 0 then
      columns[#columns + 1] = name
      list[#list + 1] = series
    end
  end
  for _, operations in ipairs(recorder.kinds) do
    add(operations.kind .. " succeeded", operations.success)
  end
  add("holders found / k", recorder.found)
  add("holders / k", recorder.series.held)
  local rows = over_hours(list, 100)
  return { title = "Success over time", kind = "lines", x = "hours",
    y = "%", range = percent_range(rows, columns), columns = columns,
    rows = rows,
    note = "Operations that succeeded, and the share of the k closest nodes "
      .. "that hold a value." }
end

function make.traffic(recorder)
  local series = recorder.series
  return { title = "Messages of a node", kind = "lines", x = "hours",
    y = "a minute", columns = { "hours", "datagrams sent", "queries sent" },
    note = "Datagrams and queries that a node sends in a minute, on average.",
    rows = over_hours({ series.datagrams, series.queries }) }
end

local function is_used(series)
  for _, row in ipairs(series:rows()) do
    if row[3] > 0 then
      return true
    end
  end
  return false
end

function make.kinds(recorder)
  local columns, list = { "hours" }, {}
  for _, name in ipairs(QUERIES) do
    local series = recorder.series["served_" .. name]
    if is_used(series) then
      columns[#columns + 1] = name
      list[#list + 1] = series
    end
  end
  return { title = "Queries that a node answers", kind = "lines", x = "hours",
    y = "a minute", columns = columns, rows = over_hours(list),
    note = "By method, in a minute, on average." }
end

function make.table(recorder)
  local series = recorder.series
  return { title = "Contacts in the routing table", kind = "lines",
    x = "hours", y = "contacts",
    columns = { "hours", "mean", "fewest", "most" },
    note = "Of the nodes that the samples read.", rows = over_hours(
      { series.contacts, series.contacts_least, series.contacts_most }) }
end

function make.population(recorder)
  return { title = "Nodes", kind = "lines", x = "hours", y = "nodes",
    columns = { "hours", "nodes" }, note = "Open nodes.",
    rows = over_hours({ recorder.series.alive }) }
end

-- Returns rows of the hooks that were called, sorted by name.
local function hook_rows(recorder, values_of)
  local rows = {}
  for _, hook in ipairs(recorder.hooks) do
    if hook.calls > 0 then
      rows[#rows + 1] = { hook.hook, values_of(hook) }
    end
  end
  table.sort(rows, function(a, b)
    return a[1] < b[1]
  end)
  return rows
end

function make.policy(recorder)
  return { title = "Time of hooks", kind = "labels", x = "hook",
    y = "microseconds", logarithmic = "y",
    columns = { "hook", "mean", "slowest" },
    rows = hook_rows(recorder, function(hook)
      return hook.seconds * 1e6 / hook.calls, hook.slowest * 1e6
    end),
    note = "Real time of a call of a hook on this machine. A second run gives "
      .. "other values here, and nowhere else in a report." }
end

function make.calls(recorder)
  return { title = "Calls of hooks", kind = "labels", x = "hook", y = "calls",
    columns = { "hook", "calls" },
    rows = hook_rows(recorder, function(hook)
      return hook.calls
    end),
    note = "Total of the nodes that were open at the end." }
end

local ORDER <const> = { "success", "time", "hops", "messages", "traffic",
  "kinds", "table", "population", "policy", "calls" }

-- Charts with time on the x axis.
local OVER_TIME <const> = { success = true, traffic = true, kinds = true,
  table = true, population = true }

local function marks_of(recorder)
  local marks = {}
  for i, mark in ipairs(recorder.marks) do
    marks[i] = { mark.time / HOUR, mark.text }
  end
  return marks
end

--- Returns the charts of a run that are not empty.
---@param recorder kadenza.sim.Recorder
---@return kadenza.sim.Chart[] charts
function M.charts(recorder)
  local charts = {}
  local marks = marks_of(recorder)
  for _, name in ipairs(ORDER) do
    local chart = make[name](recorder)
    chart.name = name
    chart.marks = OVER_TIME[name] and marks or nil
    if #chart.rows > 0 then
      charts[#charts + 1] = chart
    end
  end
  return charts
end

----------------------------------------------------------------- figures --

local function percent(share)
  return ("%.2f %%"):format(share * 100)
end

local function mean_of(series)
  local sum, weight = 0, 0
  for _, row in ipairs(series:rows()) do
    sum, weight = sum + row[3], weight + row[4]
  end
  return weight > 0 and sum / weight or nil
end

local function add_operations(add, operations)
  local function add_figure(name, value, text)
    add(name, value, text, operations.kind)
  end
  local count = operations.count
  add_figure("how many", count, ("%d"):format(count))
  add_figure("succeeded", operations.good / count,
    percent(operations.good / count))
  local took = operations.took
  local median, most = took:quantile(0.5), took:quantile(0.99)
  add_figure("median time", median, median and ("%.0f ms"):format(median))
  add_figure("99 % within", most, most and ("%.0f ms"):format(most))
  add_figure("hops, mean", operations.hops:mean())
  add_figure("queries, mean", operations.messages:mean())
end

--- Returns the figures of a run.
---@param recorder kadenza.sim.Recorder
---@return kadenza.sim.Figure[] figures
function M.figures(recorder)
  local figures = {}
  local function add(name, value, text, kind)
    if value then
      figures[#figures + 1] = { name = kind and kind .. ": " .. name or name,
        value = value, text = text or ("%.2f"):format(value), kind = kind,
        label = kind and name }
    end
  end
  local function add_share(name, series)
    local share = mean_of(series)
    add(name, share, share and percent(share))
  end
  for _, operations in ipairs(recorder.kinds) do
    add_operations(add, operations)
  end
  local series = recorder.series
  add_share("holders found / k", recorder.found)
  add_share("holders / k", series.held)
  add("datagrams a node a minute", mean_of(series.datagrams))
  add("queries a node a minute", mean_of(series.queries))
  add("bytes a node a minute", mean_of(series.bytes))
  add("contacts in a table", mean_of(series.contacts))
  return figures
end

return M
