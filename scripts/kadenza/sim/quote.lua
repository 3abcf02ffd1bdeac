--- Escapes texts that come from outside, such as names of scenarios and
--- policies, for the files of a report.
--
-- Tested by tests/spec/sim/report_spec.lua.

local number_text = require("kadenza.number_text")
local shown = require("kadenza.shown")

local M = {}

--- Returns a text as one line of UTF-8, as `kadenza.shown` does.
---@param text any
---@return string line
function M.line(text)
  return shown.line(tostring(text))
end

local ENTITIES <const> = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
  ['"'] = "&quot;", ["'"] = "&#39;" }

--- Escapes a text for HTML or XML, also for an attribute in quotes.
---@param text any
---@return string html
function M.html(text)
  return (M.line(text):gsub("[&<>\"']", ENTITIES))
end

--- Formats a number with up to 10 significant digits.
---@param value number
---@return string text
function M.number(value)
  local rounded = math.type(value) == "float" and value == value
    and math.abs(value) < math.huge and tonumber(("%.10g"):format(value))
  return number_text(rounded or value)
end

--- Formats a cell of a CSV file (RFC 4180); nil becomes an empty cell.
---@param value any
---@return string cell
function M.csv(value)
  if value == nil then
    return ""
  elseif type(value) == "number" then
    return M.number(value)
  end
  local text = M.line(value)
  if text:find('[",]') then
    text = '"' .. text:gsub('"', '""') .. '"'
  end
  return text
end

--- Makes a string literal of gnuplot, in which gnuplot expands nothing.
---@param text any
---@return string literal
function M.gnuplot(text)
  return "'" .. M.line(text):gsub("'", "''") .. "'"
end

return M
