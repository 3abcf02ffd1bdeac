--- The report of a run: a folder with a summary, charts, their numbers, and one
--- page that shows it all.
--
--     index.html      the page; complete in itself
--     summary.txt     the figures for people, summary.json for programs
--     NAME.csv        the numbers of a chart
--     NAME.gp         the gnuplot script that draws it
--     NAME.svg        the chart
--
-- Whoever reads one of them sees an old file or a new one, never half of one.

local dkjson = require("dkjson")

local core = require("kadenza.core")
local page = require("kadenza.sim.page")
local plot = require("kadenza.sim.plot")
local quote = require("kadenza.sim.quote")

local M = {}

--- A figure of the summary.
---@class kadenza.sim.Figure
---@field name string
---@field value? number|string
---@field text string  the value as people read it
---@field goal? string  what it should be
---@field met? boolean  whether it is
---@field of? string  the kind of operations that it is of
---@field what? string  its name among the figures of that kind

--- What a report is made of.
---@class kadenza.sim.Report
---@field title string
---@field about? string  a sentence
---@field scenario string
---@field seed integer
---@field hash string  of the trace
---@field options { name: string, value: string }[]
---@field summary kadenza.sim.Figure[]
---@field charts kadenza.sim.Chart[]

local KEYS <const> = { "title", "about", "scenario", "seed", "trace_hash",
  "options", "figures", "charts", "name", "value", "text", "goal", "met" }

local function width_of(rows, field)
  local width = 0
  for _, row in ipairs(rows) do
    width = math.max(width, utf8.len(quote.line(row[field] or "")))
  end
  return width
end

local function pad(text, width, right)
  local room = (" "):rep(width - utf8.len(text))
  return right and room .. text or text .. room
end

local VERDICTS <const> = { [true] = "met", [false] = "missed" }

--- Returns the summary as a text for a terminal.
---@param report kadenza.sim.Report
---@return string text
function M.summary(report)
  local rows = report.summary
  local names, texts = width_of(rows, "name"), width_of(rows, "text")
  local goals = width_of(rows, "goal")
  local lines = { quote.line(report.title), "" }
  for _, row in ipairs(rows) do
    local line = ("  %s  %s  %s  %s"):format(pad(quote.line(row.name), names),
      pad(quote.line(row.text), texts, true),
      pad(quote.line(row.goal or ""), goals, true), VERDICTS[row.met] or "")
    lines[#lines + 1] = line:gsub("%s+$", "")
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = ("  seed %d, trace hash %s"):format(report.seed,
    quote.line(report.hash))
  return table.concat(lines, "\n") .. "\n"
end

local function array(list)
  return setmetatable(list, { __jsontype = "array" })
end

-- What JSON can carry: text that is UTF-8.
local function plain(value)
  return type(value) == "string" and quote.line(value) or value
end

--- Returns the report as a document for programs, without its charts' numbers.
---@param report kadenza.sim.Report
---@return table document
function M.document(report)
  local figures, options, charts = array({}), array({}), array({})
  for i, row in ipairs(report.summary) do
    figures[i] = { name = plain(row.name), value = plain(row.value),
      text = plain(row.text), goal = plain(row.goal), met = row.met }
  end
  for i, option in ipairs(report.options) do
    options[i] = { name = plain(option.name), value = plain(option.value) }
  end
  for i, chart in ipairs(report.charts) do
    charts[i] = { name = chart.name, title = plain(chart.title) }
  end
  return { title = plain(report.title), about = plain(report.about),
    scenario = plain(report.scenario), seed = report.seed,
    trace_hash = report.hash, options = options, figures = figures,
    charts = charts }
end

-- Writes every chart's numbers; returns the charts that have any.
local function write_numbers(folder, report)
  local charts = {}
  for _, chart in ipairs(report.charts) do
    if #chart.rows > 0 then
      local written, message, code = plot.write(folder, chart)
      if not written then
        return nil, message, code
      end
      charts[#charts + 1] = chart
    end
  end
  return charts
end

-- Draws the charts; goes on after one that could not be drawn, unless there is
-- nobody to draw them.
local function draw(folder, charts)
  local drawings, failure = {}, nil
  for _, chart in ipairs(charts) do
    local svg, message, code = plot.draw(folder, chart)
    drawings[chart.name] = svg
    failure = failure or (not svg and { message = message, code = code }) or nil
    if code == "KAD_ENOTFOUND" then
      break
    end
  end
  return drawings, failure
end

local function write_texts(folder, report, html)
  local json = dkjson.encode(M.document(report), { indent = true,
    keyorder = KEYS }) .. "\n"
  for _, file in ipairs({ { "summary.txt", M.summary(report) },
    { "summary.json", json }, { "index.html", html } }) do
    local written, message, code =
      core.write_file(folder .. "/" .. file[1], file[2])
    if not written then
      return nil, message, code
    end
  end
  return true
end

--- Writes a report to a folder, which is made if it is not there. When charts
--- could not be drawn, all the rest is there nevertheless.
---@param folder string
---@param report kadenza.sim.Report
---@return true? written
---@return string? message  names the file, or the package to install
---@return kadenza.Code? code
function M.write(folder, report)
  local made, message, code = core.make_folder(folder)
  if not made then
    return nil, message, code
  end
  local charts, problem, kind = write_numbers(folder, report)
  if not charts then
    return nil, problem, kind
  end
  local shown = setmetatable({ charts = charts }, { __index = report })
  local drawings, failure = draw(folder, charts)
  local html = page.render(shown, drawings, failure and failure.message)
  local written, why, what = write_texts(folder, shown, html)
  if not written then
    return nil, why, what
  elseif failure then
    return nil, failure.message, failure.code
  end
  return true
end

return M
