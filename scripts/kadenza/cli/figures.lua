--- Writes figures for people: short, and of a width that does not jump.

local M = {}

local UNITS <const> = { "kB", "MB", "GB", "TB" }

--- Returns a whole number with its digits in groups, such as "1,234,567".
---@param value number
---@return string text
function M.count(value)
  local digits = ("%.0f"):format(value)
  return (digits:reverse():gsub("(%d%d%d)", "%1,"):reverse()
    :gsub("^(%-?),", "%1"))
end

--- Returns a number with about three digits, such as "0.42", "12.3", "1,234".
---@param value number
---@return string text
function M.number(value)
  local size = math.abs(value)
  if size >= 100 then
    return M.count(value)
  elseif size >= 10 then
    return ("%.1f"):format(value)
  end
  return value == 0 and "0" or ("%.2f"):format(value)
end

--- Returns a number of bytes, such as "640 B", "1.50 MB".
---@param bytes number
---@return string text
function M.bytes(bytes)
  if bytes < 1000 then
    return ("%.0f B"):format(bytes)
  end
  local unit = 0
  repeat
    bytes, unit = bytes / 1000, unit + 1
  until bytes < 999.5 or unit == #UNITS
  return M.number(bytes) .. " " .. UNITS[unit]
end

--- Returns a long time in its two largest units, such as "3 d 4 h", "12 min".
---@param seconds number
---@return string text
function M.span(seconds)
  seconds = math.floor(seconds)
  if seconds < 60 then
    return ("%d s"):format(seconds)
  elseif seconds < 3600 then
    local rest = seconds < 600 and seconds % 60 or 0
    return ("%d min"):format(seconds // 60)
      .. (rest > 0 and (" %d s"):format(rest) or "")
  elseif seconds < 86400 then
    return ("%d h %d min"):format(seconds // 3600, seconds // 60 % 60)
  end
  return ("%d d %d h"):format(seconds // 86400, seconds // 3600 % 24)
end

--- Returns a short time, such as "12 µs", "3.4 ms", "1.20 s".
---@param seconds number
---@return string text
function M.duration(seconds)
  if seconds < 1e-3 then
    return ("%.0f µs"):format(seconds * 1e6)
  elseif seconds < 1 then
    return M.number(seconds * 1e3) .. " ms"
  elseif seconds < 60 then
    return M.number(seconds) .. " s"
  end
  return M.span(seconds)
end

return M
