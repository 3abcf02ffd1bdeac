--- The charts and figures of a run, made of what a recorder has of it.

local M = {}

local HOUR <const> = 3600
local POINTS <const> = 200 -- of a curve of times
local LONG_TAIL <const> = 20 -- of the median: then the axis is logarithmic

-- Kinds of operations that have a distribution, of which `field` names one.
local function kinds_with(recorder, field)
  local kinds = {}
  for _, of in ipairs(recorder.kinds) do
    if of[field].count > 0 then
      kinds[#kinds + 1] = of
    end
  end
  return kinds
end

local function names_of(first, kinds)
  local names = { first }
  for _, of in ipairs(kinds) do
    names[#names + 1] = of.kind
  end
  return names
end

-- Rows of several curves that share an axis: each curve gives lists that begin
-- with their place on it and the value.
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

-- Rows of courses over the hours of a run.
local function over_hours(start, courses, scale)
  local curves = {}
  for i, course in ipairs(courses) do
    local points = {}
    for _, row in ipairs(course:rows()) do
      points[#points + 1] = { (row[1] - start) / HOUR, row[2] * (scale or 1) }
    end
    curves[i] = points
  end
  return merge(curves)
end

local make = {}

function make.hops(recorder)
  local kinds = kinds_with(recorder, "hops")
  local curves = {}
  for i, of in ipairs(kinds) do
    local points = {}
    for _, hops in ipairs(of.hops:values()) do
      points[#points + 1] = { hops, of.hops:times(hops) * 100 / of.hops.count }
    end
    curves[i] = points
  end
  return { title = "Hops", kind = "bars", x = "hops", y = "% of operations",
    note = "The longest chain of answers that led to the last contact.",
    columns = names_of("hops", kinds), rows = merge(curves) }
end

local function has_long_tail(kinds)
  for _, of in ipairs(kinds) do
    if of.took.max > LONG_TAIL * math.max(of.took:quantile(0.5), 1) then
      return true
    end
  end
  return false
end

function make.time(recorder)
  local kinds = kinds_with(recorder, "took")
  local curves = {}
  for i, of in ipairs(kinds) do
    curves[i] = of.took:cumulative(POINTS)
    table.insert(curves[i], 1, { of.took.min, 0 })
    if #curves[i] > 1 and curves[i][2][1] == of.took.min then
      table.remove(curves[i], 1)
    end
  end
  return { title = "Time of operations", kind = "steps", x = "milliseconds",
    y = "share that has ended", range = { 0, 1 },
    note = "The share of operations that had ended after so long.",
    logarithmic = has_long_tail(kinds) and "x" or nil,
    columns = names_of("milliseconds", kinds), rows = merge(curves) }
end

function make.messages(recorder)
  local kinds = kinds_with(recorder, "messages")
  local curves = {}
  for i, of in ipairs(kinds) do
    curves[i] = of.messages:cumulative(POINTS)
  end
  return { title = "Queries of operations", kind = "steps",
    x = "queries sent", y = "share of operations", range = { 0, 1 },
    note = "The share of operations that sent no more queries than that.",
    columns = names_of("queries", kinds), rows = merge(curves) }
end

function make.success(recorder, start)
  local columns, courses = { "hours" }, {}
  for _, of in ipairs(recorder.kinds) do
    columns[#columns + 1] = of.kind .. " succeeded"
    courses[#courses + 1] = of.success
  end
  if recorder.held.count > 0 then
    columns[#columns + 1] = "holders found / k"
    courses[#courses + 1] = recorder.shares
  end
  return { title = "Success over time", kind = "lines", x = "hours",
    y = "%", range = { 0, 105 }, columns = columns,
    note = "Operations that did what they were to do, and of the nodes that "
      .. "should hold a record those that did.",
    rows = over_hours(start, courses, 100) }
end

function make.traffic(recorder, start)
  return { title = "Messages of a node", kind = "lines", x = "hours",
    y = "a minute", columns = { "hours", "datagrams sent", "queries sent" },
    note = "What a node sends in a minute, on average.",
    rows = over_hours(start, { recorder.sent, recorder.asked }) }
end

local function is_used(course)
  for _, row in ipairs(course:rows()) do
    if row[3] > 0 then
      return true
    end
  end
  return false
end

function make.kinds(recorder, start, queries)
  local columns, courses = { "hours" }, {}
  for _, name in ipairs(queries) do
    if is_used(recorder.queries[name]) then
      columns[#columns + 1] = name
      courses[#courses + 1] = recorder.queries[name]
    end
  end
  return { title = "Queries that a node answers", kind = "lines", x = "hours",
    y = "a minute", columns = columns, rows = over_hours(start, courses),
    note = "By what they ask, in a minute, on average." }
end

function make.table(recorder, start)
  return { title = "Contacts in the routing table", kind = "lines",
    x = "hours", y = "contacts",
    columns = { "hours", "mean", "lowest", "highest" },
    note = "Of the nodes looked at.", rows = over_hours(start,
      { recorder.contacts, recorder.lowest, recorder.highest }) }
end

function make.population(recorder, start)
  return { title = "Nodes", kind = "lines", x = "hours", y = "nodes",
    columns = { "hours", "nodes" }, note = "How many there were.",
    rows = over_hours(start, { recorder.population }) }
end

-- Hooks that were called, by name.
local function hooks_of(recorder)
  local rows = {}
  for name, hook in pairs(recorder.hooks) do
    if hook.calls > 0 then
      rows[#rows + 1] = { name, hook.seconds * 1e6 / hook.calls, hook.calls,
        hook.slowest * 1e6 }
    end
  end
  table.sort(rows, function(a, b)
    return a[1] < b[1]
  end)
  return rows
end

function make.policy(recorder)
  local rows = hooks_of(recorder)
  for _, row in ipairs(rows) do
    table.remove(row, 3)
  end
  return { title = "Time of hooks", kind = "labels", x = "hook",
    y = "microseconds", logarithmic = "y",
    columns = { "hook", "mean", "slowest" }, rows = rows,
    note = "What a call of a policy's hook takes on this machine: it is the "
      .. "one thing in a report that a second run changes." }
end

function make.calls(recorder)
  local rows = hooks_of(recorder)
  for i, row in ipairs(rows) do
    rows[i] = { row[1], row[3] }
  end
  return { title = "Calls of hooks", kind = "labels", x = "hook", y = "calls",
    columns = { "hook", "calls" }, rows = rows,
    note = "By the nodes looked at, in the whole run." }
end

local ORDER <const> = { "success", "time", "hops", "messages", "traffic",
  "kinds", "table", "population", "policy", "calls" }

--- Returns the charts of a run, those that would be empty left out.
---@param recorder kadenza.sim.Recorder
---@param start? number  when the run began, 0 without it
---@return kadenza.sim.Chart[] charts
function M.charts(recorder, start)
  local queries = require("kadenza.sim.recorder").QUERIES
  local charts = {}
  for _, name in ipairs(ORDER) do
    local chart = make[name](recorder, start or 0, queries)
    chart.name = name
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

local function mean_of(course)
  local sum, weight = 0, 0
  for _, row in ipairs(course:rows()) do
    sum, weight = sum + row[3], weight + row[4]
  end
  return weight > 0 and sum / weight or nil
end

local function add_operations(add, of)
  local kind = of.kind
  add(kind .. ": how many", of.count, ("%d"):format(of.count))
  add(kind .. ": succeeded", of.good / of.count, percent(of.good / of.count))
  if of.took.count > 0 then
    local median, most = of.took:quantile(0.5), of.took:quantile(0.99)
    add(kind .. ": median time", median, ("%.0f ms"):format(median))
    add(kind .. ": 99 % within", most, ("%.0f ms"):format(most))
    add(kind .. ": hops, mean", of.hops:mean(), ("%.2f"):format(of.hops:mean()))
    add(kind .. ": queries, mean", of.messages:mean(),
      ("%.1f"):format(of.messages:mean()))
  end
end

--- Returns the figures of a run.
---@param recorder kadenza.sim.Recorder
---@return kadenza.sim.Figure[] figures
function M.figures(recorder)
  local figures = {}
  local function add(name, value, text)
    if value then
      figures[#figures + 1] = { name = name, value = value,
        text = text or ("%.1f"):format(value) }
    end
  end
  for _, of in ipairs(recorder.kinds) do
    add_operations(add, of)
  end
  local held = recorder.held:mean()
  add("holders found / k", held, held and percent(held))
  add("datagrams a node a minute", mean_of(recorder.sent))
  add("queries a node a minute", mean_of(recorder.asked))
  add("bytes a node a second", mean_of(recorder.bytes))
  add("contacts in a table", mean_of(recorder.contacts))
  return figures
end

return M
