--- Writes the metrics of a node into docs/metrics.md, from the table that
--- `/metrics` also comes from (kadenza.metrics.families).

local families = require("kadenza.metrics.families")

local M = {}

local HEAD <const> = "| metric | labels | counter | |\n|---|---|---|---|\n"

local ENDINGS <const> = { counter = "_total", gauge = "", histogram = "" }

local function code(list)
  local quoted = {}
  for i, text in ipairs(list) do
    quoted[i] = "`" .. text .. "`"
  end
  return table.concat(quoted, ", ")
end

-- Returns the names of the counters of `node:stats()`, in short.
local function counters_of(family)
  local names = {}
  for i, row in ipairs(family.rows or {}) do
    names[i] = row.counter
  end
  return #names < 2 and code(names)
    or ("%s … `%s`"):format(code({ names[1] }), names[#names])
end

--- Returns the row of a metric.
---@param family kadenza.metrics.Family
---@return string row
function M.row(family)
  local kind = family.type == "histogram" and ", histogram" or ""
  return ("| `%s`%s | %s | %s | %s |"):format(
    family.name .. ENDINGS[family.type], kind, code(family.labels),
    counters_of(family), family.help)
end

--- Returns docs/metrics.md with its table of metrics up to date.
---@param text string
---@return string text
function M.page(text)
  local rows = {}
  for i, family in ipairs(families.list()) do
    rows[i] = M.row(family)
  end
  local _, from = assert(text:find(HEAD, 1, true))
  local to = assert(text:find("\n\n", from, true))
  return text:sub(1, from) .. table.concat(rows, "\n") .. text:sub(to)
end

return M
