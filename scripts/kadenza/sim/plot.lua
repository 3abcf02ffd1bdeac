--- Draws charts with gnuplot. Writes three files for each: the numbers as CSV,
--- the gnuplot script, and the drawing as SVG.
--
-- `gnuplot hops.gp >hops.svg` in the folder draws a chart again, for instance
-- after a change of its script.
--
-- Tested by tests/spec/sim/report_spec.lua.

local core = require("kadenza.core")
local quote = require("kadenza.sim.quote")

local M = {}

--- A chart. The first column of `rows` is the x value; each further column is a
--- curve or a group of bars, named in `columns`. A cell may be nil.
---@class kadenza.sim.Chart
---@field name string  of its files: letters, digits and '-'
---@field title string
---@field note? string  a sentence below the chart
---@field kind "lines"|"steps"|"points"|"bars"|"labels"  `labels` are bars whose
---  first column is a text
---@field x string  label of the x axis
---@field y string  label of the y axis
---@field columns string[]
---@field rows table[]
---@field range? number[]  minimum and maximum of the y axis
---@field logarithmic? "x"|"y"|"xy"
---@field marks? table[]  lists of an x value and a text; the x axis then begins
---  with 0

-- Colours of curves, visible on a light and on a dark page.
local COLOURS <const> = { "#2f7fd6", "#e07b1a", "#2f9e5b", "#b557c7", "#d64545",
  "#8a8f1f", "#199aa8", "#8b7bd8", "#c2688a", "#7f8a94" }

-- Colours of text and of the grid, on a light and on a dark page.
local INK <const> = "#3a424c"
local GRID <const> = "#d5dbe1"
local DARK_INK <const> = "#c4ccd4"
local DARK_GRID <const> = "#333b44"

--- CSS rules for charts on a dark page.
M.DARK = ('[stroke="%s"]{stroke:%s}[fill="%s"]{fill:%s}'
  .. '[stroke="%s"]{stroke:%s}')
  :format(INK, DARK_INK, INK, DARK_INK, GRID, DARK_GRID)

local SIZE <const> = "720,400"
local SECONDS <const> = 60 -- time limit of gnuplot for a chart
local FEW <const> = 6 -- labels that have room side by side
local GNUPLOT <const> = "gnuplot"
local MISSING <const> =
  "gnuplot was not found: install it (Debian: gnuplot-nox)"
local NO_COMMAND <const> = 127 -- exit status of a command that was not found

local KEY <const> = "at graph 0, graph 1.03 left bottom horizontal Left "
  .. "reverse samplen 1.5"

local HEAD <const> = [[
# %s.gp draws %s.csv: gnuplot %s.gp >%s.svg
folder = exists('ARG1') && strlen(ARG1) > 0 ? ARG1.'/' : ''
set terminal svg size %s noenhanced font 'sans-serif,13' name '%s'
set encoding utf8
set datafile separator comma
set datafile missing ''
set label 1 %s at graph 0, screen 0.945 left font ',16' textcolor rgb '%s'
set xlabel %s textcolor rgb '%s'
set ylabel %s textcolor rgb '%s'
set border 3 linecolor rgb '%s'
set tics nomirror scale 0.5 textcolor rgb '%s'
set grid ytics linetype 1 linewidth 1 linecolor rgb '%s'
set key %s noenhanced textcolor rgb '%s'
set tmargin %d
set rmargin 3
set autoscale xfix
]]

local function list_of(chart, write)
  local parts = {}
  for i = 2, #chart.columns do
    parts[#parts + 1] = write(i, COLOURS[(i - 2) % #COLOURS + 1])
  end
  return table.concat(parts, ", \\\n     ")
end

-- Returns one curve for each column.
local function curves(chart, style)
  return list_of(chart, function(i, colour)
    return ("folder.'%s.csv' skip 1 using 1:%d with %s linecolor rgb '%s' "
      .. "title %s"):format(chart.name, i, style, colour,
      quote.gnuplot(chart.columns[i]))
  end)
end

-- Returns the range of the x axis, with space beside the first and last bar.
local function bar_range(chart)
  local rows = chart.rows
  local from, to = rows[1][1], rows[#rows][1]
  return ("set xrange [%s:%s]\n%s"):format(quote.number(from - 0.6),
    quote.number(to + 0.6), to - from <= FEW * 2 and "set xtics 1\n" or "")
end

-- Returns bars side by side; `place` is the x value of a group, for gnuplot.
local function bars(chart, place)
  local groups = #chart.columns - 1
  local width = 0.8 / groups
  return ("set boxwidth %s\nset style fill solid 0.85 noborder\n"
    .. "plot "):format(quote.number(width)) .. list_of(chart,
    function(i, colour)
      local offset = (i - 2 - (groups - 1) / 2) * width
      return ("folder.'%s.csv' skip 1 using (%s+(%s)):%d with boxes "
        .. "linecolor rgb '%s' title %s"):format(chart.name, place,
        quote.number(offset), i, colour, quote.gnuplot(chart.columns[i]))
    end) .. "\n"
end

local draw = {}

function draw.lines(chart)
  return "plot " .. curves(chart, "lines linewidth 2") .. "\n"
end

function draw.steps(chart)
  return "plot " .. curves(chart, "steps linewidth 2") .. "\n"
end

function draw.points(chart)
  return "plot " .. curves(chart, "linespoints pointtype 7 pointsize 0.6 "
    .. "linewidth 2") .. "\n"
end

function draw.bars(chart)
  return bar_range(chart) .. bars(chart, "$1")
end

function draw.labels(chart)
  local tics = {}
  for i, row in ipairs(chart.rows) do
    tics[i] = ("%s %d"):format(quote.gnuplot(row[1]), i - 1)
  end
  return ("set xtics (%s)%s\nset xrange [-0.5:%d.5]\n"):format(
    table.concat(tics, ", "), #tics > FEW and " rotate by -30" or "",
    #chart.rows - 1) .. bars(chart, "$0")
end

-- Returns vertical lines with a text beside each.
local function marks(chart)
  local lines = { chart.marks and "set xrange [0:*]\n" or "" }
  for _, mark in ipairs(chart.marks or {}) do
    local place = quote.number(mark[1])
    lines[#lines + 1] = ("set arrow from %s, graph 0 to %s, graph 1 nohead "
      .. "dashtype 3 linecolor rgb '%s'\nset label %s at %s, graph 0.03 "
      .. "rotate offset character -0.6, 0 font ',10' textcolor rgb '%s'\n")
      :format(place, place, INK, quote.gnuplot(mark[2]), place, INK)
  end
  return table.concat(lines)
end

-- Returns the smallest value above zero, for a logarithmic axis.
local function smallest(chart)
  local least = math.huge
  for _, row in ipairs(chart.rows) do
    for i = 2, #chart.columns do
      local value = row[i] or 0
      least = value > 0 and math.min(least, value) or least
    end
  end
  return least < math.huge and least or 1
end

-- Returns the scale and the range of the y axis.
local function axes(chart)
  local logarithmic = chart.logarithmic or ""
  local range = chart.range
  local from, to = 0, "*"
  if range then
    from, to = range[1], quote.number(range[2])
  elseif logarithmic:find("y") then
    from = smallest(chart) / 2
  end
  return (logarithmic ~= "" and "set logscale " .. logarithmic .. "\n" or "")
    .. ("set yrange [%s:%s]\n"):format(quote.number(from), to)
end

--- Returns the gnuplot script of a chart.
---@param chart kadenza.sim.Chart
---@return string script
function M.script(chart)
  local name, ink = chart.name, INK
  local many = #chart.columns > 2
  return HEAD:format(name, name, name, name, SIZE, name,
    quote.gnuplot(chart.title), ink, quote.gnuplot(chart.x), ink,
    quote.gnuplot(chart.y), ink, ink, ink, GRID,
    many and KEY or "off", ink, many and 5 or 3)
    .. axes(chart) .. marks(chart) .. draw[chart.kind](chart)
end

--- Returns the CSV file of a chart.
---@param chart kadenza.sim.Chart
---@return string text
function M.csv(chart)
  local lines = {}
  local function add(row)
    local cells = {}
    for i = 1, #chart.columns do
      cells[i] = quote.csv(row[i])
    end
    lines[#lines + 1] = table.concat(cells, ",")
  end
  add(chart.columns)
  for _, row in ipairs(chart.rows) do
    add(row)
  end
  return table.concat(lines, "\r\n") .. "\r\n"
end

--- Writes the numbers and the script of a chart.
---@param folder string
---@param chart kadenza.sim.Chart
---@return true? written
---@return string? message
---@return kadenza.Code? code
function M.write(folder, chart)
  local path = folder .. "/" .. chart.name
  local written, message, code = core.write_file(path .. ".csv", M.csv(chart))
  if not written then
    return nil, message, code
  end
  return core.write_file(path .. ".gp", M.script(chart))
end

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a") or ""
end

-- Returns the error message of gnuplot, without the lines that show its input.
local function gnuplot_message(text)
  for line in text:gmatch("[^\n]+") do
    if line:find("line %d+:") then
      return line
    end
  end
  return text:match("%S[^\n]*") or "no message"
end

-- Restores the colours that gnuplot rewrites, makes the ids unique in a page,
-- and adds a title for screen readers and a style for dark pages.
local function refine(svg, chart)
  svg = svg:gsub("rgb%(%s*(%d+),%s*(%d+),%s*(%d+)%)", function(r, g, b)
    return ("#%02x%02x%02x"):format(r, g, b)
  end)
  svg = svg:gsub("( id=['\"])", "%1" .. chart.name .. "-")
  svg = svg:gsub("(href=['\"]#)", "%1" .. chart.name .. "-")
  svg = svg:gsub("(url%(#)", "%1" .. chart.name .. "-")
  local heading = ("<title>%s</title>\n<desc>%s</desc>\n<style>"
    .. "@media (prefers-color-scheme: dark){%s}</style>"):format(
    quote.html(chart.title), quote.html(chart.note or chart.title), M.DARK)
  return (svg:gsub("<title>.-</desc>", function()
    return heading
  end, 1))
end

--- Checks that gnuplot can be run.
---@return true? found
---@return string? message  names the package if gnuplot was not found
---@return kadenza.Code? code
function M.check()
  local status, message, code = core.spawn({ GNUPLOT, "--version" },
    { timeout = SECONDS })
  if status == 0 then
    return true
  elseif code == "KAD_ENOTFOUND" or status == NO_COMMAND then
    return nil, MISSING, "KAD_ENOTFOUND"
  end
  return nil, message or "gnuplot --version: ends with status " .. status,
    code or "KAD_ESYSTEM"
end

local function failed(chart, status, message, code, output)
  if code == "KAD_ENOTFOUND" or status == NO_COMMAND then
    return nil, MISSING, "KAD_ENOTFOUND"
  elseif not status then
    return nil, message, code
  end
  return nil, ("gnuplot could not draw %s: %s"):format(chart.name,
    quote.line(gnuplot_message(output))), "KAD_ESYSTEM"
end

--- Draws a chart that was written.
---@param folder string
---@param chart kadenza.sim.Chart
---@return string? svg  the content of its file
---@return string? message  names the package if gnuplot was not found
---@return kadenza.Code? code
function M.draw(folder, chart)
  local path = folder .. "/" .. chart.name
  local draft, log = path .. ".svg.new", path .. ".log"
  os.remove(path .. ".svg")
  local status, message, code = core.spawn({ GNUPLOT, "-c", path .. ".gp",
    folder }, { output = draft, errors = log, timeout = SECONDS })
  local svg, output = read(draft), read(log)
  os.remove(log)
  os.remove(draft)
  if status ~= 0 or not svg:find("</svg>%s*$") then
    return failed(chart, status, message, code, output)
  end
  svg = refine(svg, chart)
  local written, why, kind = core.write_file(path .. ".svg", svg)
  if not written then
    return nil, why, kind
  end
  return svg
end

return M
