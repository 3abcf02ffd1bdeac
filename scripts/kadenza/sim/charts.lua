--- The charts and figures of a run, made of what a recorder has of it.

local QUERIES <const> = require("kadenza.sim.recorder").QUERIES

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
local function over_hours(courses, scale)
  local curves = {}
  for i, course in ipairs(courses) do
    local points = {}
    for _, row in ipairs(course:rows()) do
      points[#points + 1] = { row[1] / HOUR, row[2] * (scale or 1) }
    end
    curves[i] = points
  end
  return merge(curves)
end

-- From where to where an axis of per cent goes: down to the lowest value, so
-- that what differs can be seen.
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

function make.success(recorder)
  local columns, courses = { "hours" }, {}
  local function add(name, course)
    if #course:rows() > 0 then
      columns[#columns + 1] = name
      courses[#courses + 1] = course
    end
  end
  for _, of in ipairs(recorder.kinds) do
    add(of.kind .. " succeeded", of.success)
  end
  add("holders found / k", recorder.found)
  add("holders / k", recorder.courses.held)
  local rows = over_hours(courses, 100)
  return { title = "Success over time", kind = "lines", x = "hours",
    y = "%", range = percent_range(rows, columns), columns = columns,
    rows = rows,
    note = "Operations that did what they were to do, and of the k nodes that "
      .. "should hold a value those that did." }
end

function make.traffic(recorder)
  local courses = recorder.courses
  return { title = "Messages of a node", kind = "lines", x = "hours",
    y = "a minute", columns = { "hours", "datagrams sent", "queries sent" },
    note = "What a node sends in a minute, on average.",
    rows = over_hours({ courses.datagrams, courses.queries }) }
end

local function is_used(course)
  for _, row in ipairs(course:rows()) do
    if row[3] > 0 then
      return true
    end
  end
  return false
end

function make.kinds(recorder)
  local columns, courses = { "hours" }, {}
  for _, name in ipairs(QUERIES) do
    local course = recorder.courses["served_" .. name]
    if is_used(course) then
      columns[#columns + 1] = name
      courses[#courses + 1] = course
    end
  end
  return { title = "Queries that a node answers", kind = "lines", x = "hours",
    y = "a minute", columns = columns, rows = over_hours(courses),
    note = "By what they ask, in a minute, on average." }
end

function make.table(recorder)
  local courses = recorder.courses
  return { title = "Contacts in the routing table", kind = "lines",
    x = "hours", y = "contacts",
    columns = { "hours", "mean", "fewest", "most" },
    note = "Of the nodes looked at.", rows = over_hours(
      { courses.contacts, courses.contacts_least, courses.contacts_most }) }
end

function make.population(recorder)
  return { title = "Nodes", kind = "lines", x = "hours", y = "nodes",
    columns = { "hours", "nodes" }, note = "How many lived.",
    rows = over_hours({ recorder.courses.alive }) }
end

-- Hooks that were called, by name.
local function hooks_of(recorder, values_of)
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
    rows = hooks_of(recorder, function(hook)
      return hook.seconds * 1e6 / hook.calls, hook.slowest * 1e6
    end),
    note = "What a call of a policy's hook takes on this machine: the one "
      .. "thing in a report that a second run changes." }
end

function make.calls(recorder)
  return { title = "Calls of hooks", kind = "labels", x = "hook", y = "calls",
    columns = { "hook", "calls" },
    rows = hooks_of(recorder, function(hook)
      return hook.calls
    end),
    note = "By the nodes that lived at the end, in all." }
end

local ORDER <const> = { "success", "time", "hops", "messages", "traffic",
  "kinds", "table", "population", "policy", "calls" }

-- Charts whose axis is time.
local OVER_TIME <const> = { success = true, traffic = true, kinds = true,
  table = true, population = true }

local function marks_of(recorder)
  local marks = {}
  for i, mark in ipairs(recorder.marks) do
    marks[i] = { mark.time / HOUR, mark.text }
  end
  return marks
end

--- Returns the charts of a run, those that would be empty left out.
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

local function mean_of(course)
  local sum, weight = 0, 0
  for _, row in ipairs(course:rows()) do
    sum, weight = sum + row[3], weight + row[4]
  end
  return weight > 0 and sum / weight or nil
end

local function add_operations(add, of)
  local function tell(name, value, text)
    add(name, value, text, of.kind)
  end
  tell("how many", of.count, ("%d"):format(of.count))
  tell("succeeded", of.good / of.count, percent(of.good / of.count))
  local took, hops, messages = of.took, of.hops, of.messages
  local median, most = took:quantile(0.5), took:quantile(0.99)
  tell("median time", median, median and ("%.0f ms"):format(median))
  tell("99 % within", most, most and ("%.0f ms"):format(most))
  tell("hops, mean", hops:mean())
  tell("queries, mean", messages:mean())
end

--- Returns the figures of a run.
---@param recorder kadenza.sim.Recorder
---@return kadenza.sim.Figure[] figures
function M.figures(recorder)
  local figures = {}
  local function add(name, value, text, of)
    if value then
      figures[#figures + 1] = { name = of and of .. ": " .. name or name,
        value = value, text = text or ("%.2f"):format(value), of = of,
        what = of and name }
    end
  end
  local function add_share(name, course)
    local share = mean_of(course)
    add(name, share, share and percent(share))
  end
  for _, of in ipairs(recorder.kinds) do
    add_operations(add, of)
  end
  local courses = recorder.courses
  add_share("holders found / k", recorder.found)
  add_share("holders / k", courses.held)
  add("datagrams a node a minute", mean_of(courses.datagrams))
  add("queries a node a minute", mean_of(courses.queries))
  add("bytes a node a minute", mean_of(courses.bytes))
  add("contacts in a table", mean_of(courses.contacts))
  return figures
end

return M
