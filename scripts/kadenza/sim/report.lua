--- The report of a run: a folder with a summary, charts, their numbers, and one
--- page that shows it all.
--
--     index.html      the page; complete in itself
--     summary.txt     the figures for people, summary.json for programs
--     NAME.csv        the numbers of a chart
--     NAME.gp         the gnuplot script that draws it
--     NAME.svg        the chart
--
-- Each file is replaced as a whole: a reader sees the old file or the new one.

local core = require("kadenza.core")
local json = require("kadenza.json")
local page = require("kadenza.sim.page")
local plot = require("kadenza.sim.plot")
local quote = require("kadenza.sim.quote")

local M = {}

--- A figure of the summary.
---@class kadenza.sim.Figure
---@field name string
---@field value? number|string
---@field text string  the formatted value
---@field goal? string
---@field met? boolean  whether the value meets the goal
---@field kind? string  of operations
---@field label? string  its name among the figures of that kind

--- The content of a report.
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
    width = math.max(width, core.text_width(quote.line(row[field] or "")))
  end
  return width
end

local function pad(text, width, right)
  local room = (" "):rep(width - core.text_width(text))
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

--- Returns the report as a document for programs, without numbers of charts.
---@param report kadenza.sim.Report
---@return table document
function M.document(report)
  local figures, options, charts = json.array({}), json.array({}),
    json.array({})
  for i, row in ipairs(report.summary) do
    figures[i] = { name = row.name, value = row.value, text = row.text,
      goal = row.goal, met = row.met }
  end
  for i, option in ipairs(report.options) do
    options[i] = { name = option.name, value = option.value }
  end
  for i, chart in ipairs(report.charts) do
    charts[i] = { name = chart.name, title = chart.title }
  end
  return { title = report.title, about = report.about,
    scenario = report.scenario, seed = report.seed,
    trace_hash = report.hash, options = options, figures = figures,
    charts = charts }
end

-- Writes the numbers of the charts. Returns the charts that have any.
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

-- Draws the charts. Skips a chart that cannot be drawn; stops if there is no
-- gnuplot.
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
  local document = json.encode(M.document(report), KEYS, true) .. "\n"
  for _, file in ipairs({ { "summary.txt", M.summary(report) },
    { "summary.json", document }, { "index.html", html } }) do
    local written, message, code =
      core.write_file(folder .. "/" .. file[1], file[2])
    if not written then
      return nil, message, code
    end
  end
  return true
end

-- Names that a report writes whatever the charts are.
local FILES <const> = { "index.html", "summary.txt", "summary.json" }

--- Checks what a report will need: the folder, which it makes if it does not
--- exist, files that can be written there, and gnuplot. A long run must not end
--- without its report.
---@param folder string
---@return true? ready
---@return string? message  names the file, or the package to install
---@return kadenza.Code? code
function M.check(folder)
  local made, message, code = core.make_folder(folder)
  if not made then
    return nil, message, code
  end
  for _, name in ipairs(FILES) do
    local path = folder .. "/" .. name
    if core.exists(path) == "folder" then
      return nil, path .. ": a folder, where the report writes a file",
        "KAD_ESYSTEM"
    end
  end
  local probe = folder .. "/probe"
  local written, why, kind = core.write_file(probe, " ")
  if not written then
    return nil, why, kind
  end
  os.remove(probe)
  return plot.check()
end

--- Writes a report to a folder, and makes the folder if it does not exist. If
--- charts cannot be drawn, writes everything else.
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
