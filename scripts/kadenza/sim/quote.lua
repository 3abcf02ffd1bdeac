--- Texts of others, such as names of scenarios and policies, made safe for the
--- files of a report: shown as they are, and never anything else.

local M = {}

--- Makes a text one line of UTF-8: control characters and bytes that are no
--- UTF-8 are shown as `\x0a`.
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

--- Makes a text one of HTML or XML, also for attributes in quotes.
---@param text any
---@return string html
function M.html(text)
  return (M.line(text):gsub("[&<>\"']", ENTITIES))
end

--- Makes a number or text: as many digits as matter, and no more.
---@param value number
---@return string text
function M.number(value)
  return math.type(value) == "integer" and ("%d"):format(value)
    or ("%.10g"):format(value)
end

--- Makes a cell of a CSV file (RFC 4180); nil is an empty one.
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

--- Makes a string of gnuplot, in which nothing is expanded.
---@param text any
---@return string literal
function M.gnuplot(text)
  return "'" .. M.line(text):gsub("'", "''") .. "'"
end

return M
