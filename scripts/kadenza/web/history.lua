--- The figures of a node over the last 24 hours, in bounded memory.
--
--     local history = require("kadenza.web.history")
--     local past = history.new({
--       { name = "queries", kind = "rate" },
--       { name = "contacts", kind = "gauge" },
--       { name = "lookup_s", kind = "mean", of = "lookups" },
--     })
--     past:add(now, { queries = 7, contacts = 3, lookup_s = 0.4, lookups = 2 })
--     past:rows(5) --> { { 1005, 1.4, 3, 0.2 }, … }
--
-- There are three spans, with a row of all figures every 5 seconds, every
-- minute and every 5 minutes. A row is a packed string of 4 bytes a figure, in
-- a ring. It says what was so during the step that ends at its time:
--
--   rate    how much a counter grew a second
--   gauge   the value at the end
--   mean    how much `name` grew, divided by how much `of` grew

local M = {}

--- The spans: seconds between two rows, and how many rows are kept.
M.SPANS = {
  { step = 5, size = 180 }, -- 15 minutes
  { step = 60, size = 120 }, -- 2 hours
  { step = 300, size = 288 }, -- 24 hours
}

--- Seconds between two calls of `add`.
M.PERIOD = 5

-- A step that took so many times as long is left out: the process or the
-- machine was stopped meanwhile.
local LONGEST <const> = 3

-- Times in JSON are in milliseconds: two that differ by less are one.
local TIME_SLACK <const> = 0.001

local NONE <const> = 0 / 0

---@class kadenza.web.Figure
---@field name string
---@field kind "rate"|"gauge"|"mean"
---@field of? string  of a mean: the name of the counter that divides

---@class kadenza.web.History
---@field figures kadenza.web.Figure[]
---@field private spans table[]
---@field private format string  of a row
local History = {}
History.__index = History
History.__name = "kadenza.web.History"

--- Returns an empty history of figures.
---@param figures kadenza.web.Figure[]
---@return kadenza.web.History history
function M.new(figures)
  local spans = {}
  for i, span in ipairs(M.SPANS) do
    spans[i] = { step = span.step, size = span.size, count = 0, last = 0 }
  end
  return setmetatable({ figures = figures, spans = spans,
    format = "<d" .. ("f"):rep(#figures) }, History)
end

-- Returns by how much a counter grew; it may have begun again at 0. Nil: it was
-- not read both times.
local function growth(before, after, name)
  local first, last = before[name], after[name]
  if not first or not last then
    return nil
  end
  return last >= first and last - first or last
end

local COMPUTE <const> = {
  gauge = function(_, after, figure)
    return after[figure.name] or NONE
  end,
  rate = function(before, after, figure, seconds)
    local grown = growth(before, after, figure.name)
    return grown and grown / seconds or NONE
  end,
  mean = function(before, after, figure)
    local sum = growth(before, after, figure.name)
    local count = growth(before, after, figure.of)
    return sum and count and count > 0 and sum / count or NONE
  end,
}

-- Adds the row of a step that began with the values `span.base`.
local function push(self, span, now, values)
  local row, seconds = {}, now - span.base_at
  for i, figure in ipairs(self.figures) do
    row[i] = COMPUTE[figure.kind](span.base, values, figure, seconds)
  end
  span.last = span.last % span.size + 1
  span.count = math.min(span.count + 1, span.size)
  span[span.last] = self.format:pack(now, table.unpack(row))
end

--- Adds what the figures are now. Call it every `PERIOD` seconds; rows follow
--- when a step is over.
---@param now number  seconds of a clock that is not set
---@param values table<string, number>  by name; is kept, do not change it
function History:add(now, values)
  for _, span in ipairs(self.spans) do
    local seconds = span.base and now - span.base_at or -1
    local is_over = seconds >= span.step - M.PERIOD / 2 and seconds > 0
    if is_over and seconds <= LONGEST * span.step then
      push(self, span, now, values)
    end
    if is_over or seconds < 0 then
      span.base, span.base_at = values, now
    end
  end
end

local function span_of(self, step, level)
  for _, span in ipairs(self.spans) do
    if span.step == step then
      return span
    end
  end
  error("step: expected 5, 60 or 300", level + 1)
end

-- Calls `visit` with the packed rows of a span whose time is after `since`,
-- oldest first.
local function each_row(span, since, visit)
  for back = span.count - 1, 0, -1 do
    local row = span[(span.last - 1 - back) % span.size + 1]
    if ("<d"):unpack(row) > since then
      visit(row)
    end
  end
end

--- Tells whether there is a span with so many seconds between two rows.
---@param step any
---@return boolean
function M.is_step(step)
  for _, span in ipairs(M.SPANS) do
    if span.step == step then
      return true
    end
  end
  return false
end

--- Returns the rows of a span, oldest first: the time, then a value for each
--- figure. A value that is not known is NaN.
---@param step 5|60|300  seconds between two rows
---@param since? number  only rows after this time
---@return number[][] rows
function History:rows(step, since)
  local rows = {}
  each_row(span_of(self, step, 2), since or -math.huge, function(row)
    local values = table.pack(self.format:unpack(row))
    values[values.n], values.n = nil, nil -- where the row ends
    rows[#rows + 1] = values
  end)
  return rows
end

local function number_json(value)
  return value == value and ("%.6g"):format(value) or "null"
end

--- Returns the rows of a span as a document of JSON:
--- `{"step":5,"series":["queries",…],"rows":[[time,value,…],…]}`, where a value
--- that is not known is null.
---@param step 5|60|300  seconds between two rows
---@param lead number  seconds that are added to each time
---@param since? number  only rows after this time, with the lead
---@return string json
function History:json(step, lead, since)
  local names, rows = {}, {}
  for i, figure in ipairs(self.figures) do
    names[i] = ('"%s"'):format(figure.name)
  end
  local after = since and since - lead + TIME_SLACK
  for i, values in ipairs(self:rows(step, after)) do
    local texts = { ("%.3f"):format(values[1] + lead) }
    for k = 2, #values do
      texts[k] = number_json(values[k])
    end
    rows[i] = "[" .. table.concat(texts, ",") .. "]"
  end
  return ('{"step":%d,"series":[%s],"rows":[%s]}'):format(step,
    table.concat(names, ","), table.concat(rows, ","))
end

return M
