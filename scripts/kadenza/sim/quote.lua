--- Escapes texts that come from outside, such as names of scenarios and
--- policies, for the files of a report.
--
-- Tested by tests/spec/sim/report_spec.lua.

local M = {}

--- Returns a text as one line of UTF-8. Control characters become `\x0a` and so
--- on, and so do all bytes above 127 of a text that is not UTF-8.
---@param text any
---@return string line
function M.line(text)
  text = tostring(text)
  local pattern = utf8.len(text) and "[%c\127]" or "[%c\127-\255]"
  return (text:gsub(pattern, function(char)
    return ("\\x%02x"):format(char:byte())
  end))
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
  return math.type(value) == "integer" and ("%d"):format(value)
    or ("%.10g"):format(value)
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
