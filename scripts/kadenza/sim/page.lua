--- The page of a report: one HTML file that contains everything it shows.
--
-- Tested by tests/spec/sim/report_spec.lua.

local plot = require("kadenza.sim.plot")
local quote = require("kadenza.sim.quote")

local M = {}

local HEAD <const> = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="kadenza">
<title>%s</title>
<style>
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1d2329;
--soft:#5b6570;--line:#dde2e7;--good:#1c7c43;--bad:#b3342d}
@media (prefers-color-scheme:dark){:root{--page:#14181c;--card:#1c2127;
--ink:#e2e7ec;--soft:#98a3ae;--line:#333b44;--good:#5fc587;--bad:#f0857d}
%s}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.25rem 3rem;max-width:1560px;
background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:0}
h2{font-size:1.1rem;margin:0 0 .6rem}
p{margin:.3rem 0 0;color:var(--soft)}
header{margin-bottom:1.5rem}
code,pre,.number{font-family:ui-monospace,Menlo,Consolas,monospace;
font-size:.92em;font-variant-numeric:tabular-nums}
.grid{display:grid;gap:1.1rem;
grid-template-columns:repeat(auto-fit,minmax(min(100%%,440px),1fr))}
section{overflow-x:auto}
section,figure{background:var(--card);border:1px solid var(--line);
border-radius:10px;padding:1rem 1.15rem;margin:0;min-width:0}
table{border-collapse:collapse;width:100%%}
td,th{padding:.28rem .6rem .28rem 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line);overflow-wrap:break-word}
tr:last-child td{border-bottom:0}
th{font-weight:600;color:var(--soft)}
td:first-child{min-width:5rem}
.number{text-align:right}
td.number{white-space:nowrap}
.side{display:flex;flex-direction:column;gap:1.1rem;min-width:0}
code{overflow-wrap:anywhere}
.met{color:var(--good)}.missed{color:var(--bad)}
.charts{margin-top:1.1rem}
figure svg{display:block;width:100%%;height:auto}
figcaption{color:var(--soft);margin-top:.5rem}
details{margin-top:.4rem}
summary{cursor:pointer;color:var(--soft)}
pre{max-height:16rem;overflow:auto;margin:.4rem 0 0}
.warning{color:var(--bad)}
footer{margin-top:1.5rem;color:var(--soft);font-size:.88rem}
</style>
</head>
<body>
]]

local function cell(text, class)
  return ("<td%s>%s</td>"):format(class and ' class="' .. class .. '"' or "",
    quote.html(text))
end

local VERDICTS <const> = { [true] = { "met", "met" },
  [false] = { "missed", "missed" } }

local function verdict_cell(row)
  local verdict = VERDICTS[row.met]
  return verdict and cell(verdict[1], verdict[2]) or cell("")
end

local function section(title, head, rows)
  return ("<section><h2>%s</h2>\n<table>\n%s%s\n</table></section>\n")
    :format(title, head, table.concat(rows, "\n"))
end

local function heading(names)
  local cells = {}
  for i, name in ipairs(names) do
    cells[i] = ("<th%s>%s</th>"):format(i > 1 and ' class="number"' or "",
      quote.html(name))
  end
  return "<tr>" .. table.concat(cells) .. "</tr>\n"
end

-- Returns the section of figures with goals; empty if there are none.
local function goals_section(figures)
  local rows = {}
  for _, figure in ipairs(figures) do
    if figure.goal then
      rows[#rows + 1] = "<tr>" .. cell(figure.name)
        .. cell(figure.text, "number") .. cell(figure.goal, "number")
        .. verdict_cell(figure) .. "</tr>"
    end
  end
  return rows[1] and section("Goals",
    heading({ "figure", "measured", "goal", "" }), rows) or ""
end

-- Returns the section of operations: a row for each kind, a column for each
-- figure.
local function operations_section(figures)
  local names, kinds, texts = {}, {}, {}
  for _, figure in ipairs(figures) do
    if figure.kind then
      if not texts[figure.kind] then
        texts[figure.kind] = {}
        kinds[#kinds + 1] = figure.kind
      end
      if not names[figure.label] then
        names[figure.label] = true
        names[#names + 1] = figure.label
      end
      texts[figure.kind][figure.label] = figure.text
    end
  end
  local rows = {}
  for i, kind in ipairs(kinds) do
    local cells = { cell(kind) }
    for _, name in ipairs(names) do
      cells[#cells + 1] = cell(texts[kind][name] or "", "number")
    end
    rows[i] = "<tr>" .. table.concat(cells) .. "</tr>"
  end
  return rows[1] and section("Operations",
    heading({ "", table.unpack(names) }), rows) or ""
end

-- Returns the section of all other figures.
local function overlay_section(figures)
  local rows = {}
  for _, figure in ipairs(figures) do
    if not figure.goal and not figure.kind then
      rows[#rows + 1] = "<tr>" .. cell(figure.name)
        .. cell(figure.text, "number") .. "</tr>"
    end
  end
  return rows[1] and section("Overlay", "", rows) or ""
end

local function run_section(report)
  local lines = {}
  local function add(name, value)
    lines[#lines + 1] = "<tr>" .. cell(name) .. "<td><code>"
      .. quote.html(value) .. "</code></td></tr>"
  end
  add("scenario", report.scenario)
  add("seed", ("%d"):format(report.seed))
  for _, option in ipairs(report.options) do
    add(option.name, option.value)
  end
  add("trace hash", report.hash)
  return section("Run", "", lines)
end

-- Returns an SVG file as a part of a page: without its prolog and its style.
local function inline(svg, chart)
  svg = svg:gsub("^.-<svg", "<svg", 1):gsub("<style>.-</style>", "", 1)
  return (svg:gsub("<svg", function()
    return ('<svg role="img" aria-label="%s"'):format(quote.html(chart.title))
  end, 1))
end

local function figure(chart, svg)
  local drawn = svg and inline(svg, chart)
    or "<h2>" .. quote.html(chart.title) .. "</h2>"
  return ("<figure>%s\n<figcaption>%s<details><summary>%s.csv</summary>"
    .. "<pre>%s</pre></details></figcaption></figure>\n"):format(drawn,
    quote.html(chart.note or ""), chart.name,
    (plot.csv(chart):gsub("[^\r\n]+", quote.html)))
end

--- Returns the page of a report.
---@param report kadenza.sim.Report
---@param drawings table<string, string>  SVG by the name of the chart
---@param warning? string  why a chart is missing
---@return string html
function M.render(report, drawings, warning)
  local parts = { HEAD:format(quote.html(report.title), plot.DARK),
    "<header><h1>", quote.html(report.title), "</h1>\n<p>",
    quote.html(report.about or ""), "</p></header>\n" }
  local function add(text)
    parts[#parts + 1] = text
  end
  if warning then
    add('<p class="warning">' .. quote.html(warning) .. "</p>\n")
  end
  add('<main>\n<div class="grid">\n')
  add('<div class="side">\n')
  add(goals_section(report.summary))
  add(operations_section(report.summary))
  add('</div>\n<div class="side">\n')
  add(overlay_section(report.summary))
  add(run_section(report))
  add("</div>\n")
  add('</div>\n<div class="grid charts">\n')
  for _, chart in ipairs(report.charts) do
    add(figure(chart, drawings[chart.name]))
  end
  add("</div>\n</main>\n<footer>The same scenario, options and seed give the "
    .. "same trace hash. Numbers are also in summary.json and the CSV files, "
    .. "charts in the SVG files beside this page.</footer>\n</body>\n</html>\n")
  return table.concat(parts)
end

return M
