--- The log: one line for each event, on standard error or through a `sink`.
--
--     log.info("joined", { contacts = 12 })
--     2026-11-22T12:00:00Z info joined contacts=12
--
-- An event is a table {level, message, fields}; it is passed to the sink.

local check = require("kadenza.check")

local M = {}

local OPTIONS <const> =
  { level = "string", format = "string", sink = "function" }

---@alias kadenza.Level "error"|"warn"|"info"|"debug"|"off"

local RANKS <const> = { off = 0, error = 1, warn = 2, info = 3, debug = 4 }

-- The settings of this Lua state; `configure` changes them.
local settings = { level = "info", format = "text" }

local ESCAPES <const> = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

-- Text of other nodes must not break lines or control a terminal.
local function escape(text)
  return (text:gsub("[%c\127]", function(char)
    return ESCAPES[char] or string.format("\\x%02x", char:byte())
  end))
end

-- Returns the names of fields in order, and their values by name.
local function sort_fields(fields)
  local names, values = {}, {}
  for key, value in pairs(fields) do
    local name = tostring(key)
    names[#names + 1] = name
    values[name] = value
  end
  table.sort(names)
  return names, values
end

local function text_value(value)
  local text = escape(tostring(value))
  if text == "" or text:find("[ =\"]") then
    return '"' .. text:gsub('"', '\\"') .. '"'
  end
  return text
end

local function as_text(event, time)
  local parts = { time, event.level, escape(event.message) }
  local names, values = sort_fields(event.fields)
  for _, name in ipairs(names) do
    parts[#parts + 1] = text_value(name) .. "=" .. text_value(values[name])
  end
  return table.concat(parts, " ")
end

-- In text that is not UTF-8, bytes above 127 become the characters of the same
-- number.
local function json_string(text)
  local unsafe = utf8.len(text) and '[%c"\\]' or '[%c\127-\255"\\]'
  text = text:gsub(unsafe, function(char)
    return string.format("\\u%04x", char:byte())
  end)
  return '"' .. text .. '"'
end

local function json_value(value)
  local kind = type(value)
  if kind == "boolean" or math.type(value) == "integer" then
    return tostring(value)
  elseif kind == "number" and value == value and math.abs(value) < 1e300 then
    return string.format("%.14g", value)
  end
  return json_string(tostring(value))
end

local function as_json(event, time)
  local parts = {
    '"time":' .. json_string(time),
    '"level":' .. json_string(event.level),
    '"message":' .. json_string(event.message),
  }
  local names, values = sort_fields(event.fields)
  for _, name in ipairs(names) do
    parts[#parts + 1] = json_string(name) .. ":" .. json_value(values[name])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- Returns the line of an event, without a newline.
---@param event { level: string, message: string, fields: table }
---@param time string
---@param format "text"|"json"
---@return string line
function M.line(event, time, format)
  return (format == "json" and as_json or as_text)(event, time)
end

local function to_standard_error(event)
  local time = os.date("!%Y-%m-%dT%H:%M:%SZ")
  io.stderr:write(M.line(event, time, settings.format), "\n")
end

--- Changes the settings of this Lua state, and returns those before.
---@param changes { level?: kadenza.Level, format?: "text"|"json",
---  sink?: fun(event: table) }
---@return table before
function M.configure(changes)
  check.options(changes, 2, OPTIONS)
  if changes.level and not RANKS[changes.level] then
    error("unknown level '" .. tostring(changes.level) .. "'", 2)
  end
  local before = settings
  settings = {
    level = changes.level or before.level,
    format = changes.format or before.format,
    sink = changes.sink or before.sink,
  }
  return before
end

--- Restores the settings that `configure` returned.
---@param before table
function M.restore(before)
  settings = before
end

--- Logs an event.
---@param level kadenza.Level
---@param message string
---@param fields? table<string, any>
function M.write(level, message, fields)
  if not RANKS[level] then
    error("unknown level '" .. tostring(level) .. "'", 2)
  end
  if RANKS[level] <= RANKS[settings.level] then
    local sink = settings.sink or to_standard_error
    sink({ level = level, message = message, fields = fields or {} })
  end
end

---@param message string
---@param fields? table<string, any>
function M.error(message, fields)
  M.write("error", message, fields)
end

---@param message string
---@param fields? table<string, any>
function M.warn(message, fields)
  M.write("warn", message, fields)
end

---@param message string
---@param fields? table<string, any>
function M.info(message, fields)
  M.write("info", message, fields)
end

---@param message string
---@param fields? table<string, any>
function M.debug(message, fields)
  M.write("debug", message, fields)
end

return M
