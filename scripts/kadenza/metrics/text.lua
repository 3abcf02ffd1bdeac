--- The two text formats in which Prometheus and other programs read metrics:
--- that of OpenMetrics 1.0, and the older one of Prometheus, version 0.0.4.

local M = {}

--- The formats, and the types of content that HTTP names them by.
M.TYPES = {
  openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8",
  plain = "text/plain; version=0.0.4; charset=utf-8",
}

local REPLACEMENT <const> = "\u{FFFD}"

local ESCAPES <const> = { ["\\"] = "\\\\", ["\n"] = "\\n", ['"'] = '\\"' }

-- Returns the text with bytes that are not UTF-8 replaced.
local function to_utf8(text)
  local parts, at = {}, 1
  while true do
    local _, wrong = utf8.len(text, at)
    if not wrong then
      parts[#parts + 1] = text:sub(at)
      return table.concat(parts)
    end
    parts[#parts + 1] = text:sub(at, wrong - 1) .. REPLACEMENT
    at = wrong + 1
  end
end

--- Returns `name="value"` of a label, escaped.
---@param name string
---@param value string  any bytes
---@return string text
function M.label(name, value)
  return ('%s="%s"'):format(name, (to_utf8(value):gsub('[\\\n"]', ESCAPES)))
end

-- Only OpenMetrics escapes quotation marks in the text of a metric.
local function escape_help(text, format)
  local set = format == "openmetrics" and '[\\\n"]' or "[\\\n]"
  return (to_utf8(text):gsub(set, ESCAPES))
end

--- Returns the lines before the samples of a family, with a line break before
--- each.
---@param family { name: string, type: string, help: string, unit?: string }
---  `name` is without the ending of the samples
---@param format "openmetrics"|"plain"
---@return string text
function M.head(family, format)
  local name, kind = family.name, family.type
  local unit = ""
  if format == "plain" then
    name = kind == "counter" and name .. "_total" or name
  elseif family.unit then
    unit = ("\n# UNIT %s %s"):format(name, family.unit)
  end
  return ("\n# HELP %s %s\n# TYPE %s %s%s"):format(name,
    escape_help(family.help, format), name, kind, unit)
end

--- Returns a number as text.
---@param value number
---@return string text
function M.number(value)
  if math.type(value) == "integer" then
    return tostring(value)
  elseif value ~= value then
    return "NaN"
  elseif value == math.huge then
    return "+Inf"
  elseif value == -math.huge then
    return "-Inf"
  end
  local short = ("%.15g"):format(value)
  return tonumber(short) == value and short or ("%.17g"):format(value)
end

--- Returns the end of the text.
---@param format "openmetrics"|"plain"
---@return string text
function M.ending(format)
  return format == "openmetrics" and "\n# EOF\n" or "\n"
end

return M
