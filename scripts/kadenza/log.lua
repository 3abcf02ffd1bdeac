--- The log: one line for each event, on standard error or through a `sink`.
--
--     kad.log.info("joined", { contacts = 12 })
--     -- 2026-11-22T12:00:00Z info joined contacts=12
--
-- An event is a table {level, message, fields}; it is passed to the sink.

local check = require("kadenza.check")

local M = {}

local OPTIONS <const> =
  { level = "string", format = "string", write = "function",
    sink = "function" }

---@alias kadenza.Level "error"|"warn"|"info"|"debug"|"off"

local RANKS <const> = { off = 0, error = 1, warn = 2, info = 3, debug = 4 }

-- The settings of this Lua state; `configure` changes them.
local settings = { level = "info", format = "text", write = function(line)
  io.stderr:write(line, "\n")
end }

-- The functions of `observe`.
local observers = {}

local EVENT <const> = {
  level = { kind = "string", required = true },
  message = { kind = "string", required = true },
  fields = { kind = "table", required = true },
}
local FORMATS <const> = { text = true, json = true }

--- Returns the line of an event, without a newline.
---@param event { level: string, message: string, fields: table }
---@param time string
---@param format "text"|"json"
---@return string line
function M.line(event, time, format)
  check.options(event, 2, EVENT)
  if type(time) ~= "string" then
    error("the time must be a string, not " .. type(time), 2)
  elseif not FORMATS[format] then
    error("the format must be text or json, not '" .. tostring(format) .. "'",
      2)
  end
  -- Now: the VM of a policy passes events on and writes no lines.
  return require("kadenza.log_line")[format](event, time)
end

local function to_standard_error(event)
  local time = os.date("!%Y-%m-%dT%H:%M:%SZ")
  settings.write(M.line(event, time, settings.format), event.level)
end

--- Changes the settings of this Lua state, and returns those before.
---@param changes { level?: kadenza.Level, format?: "text"|"json",
---  write?: fun(line: string, level: kadenza.Level),
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
    write = changes.write or before.write,
    sink = changes.sink or before.sink,
  }
  return before
end

--- Restores the settings that `configure` returned.
---@param before table
function M.restore(before)
  settings = before
end

--- Calls `fn` with each event that the level lets through, before it is
--- written. `fn` must not log, raise or change the event.
---@param fn fun(event: { level: string, message: string, fields: table })
---@return fun() stop  ends that
function M.observe(fn)
  check.kind(fn, "function", "fn", 2)
  local function observer(event)
    fn(event)
  end
  observers[observer] = true
  return function()
    observers[observer] = nil
  end
end

-- Logs an event. `depth` is the level of `error` for a mistake of the caller.
local function write(depth, level, message, fields)
  if not RANKS[level] then
    error("unknown level '" .. tostring(level) .. "'", depth)
  elseif type(message) ~= "string" and type(message) ~= "number" then
    error("the message must be a string, not " .. type(message), depth)
  elseif fields ~= nil and type(fields) ~= "table" then
    error("the fields must be a table, not " .. type(fields), depth)
  elseif RANKS[level] <= RANKS[settings.level] then
    local event =
      { level = level, message = tostring(message), fields = fields or {} }
    for observer in pairs(observers) do
      observer(event)
    end
    local sink = settings.sink or to_standard_error
    sink(event)
  end
end

--- Logs an event. The values of fields are texts, numbers and booleans; another
--- is logged as `tostring` shows it.
---@param level kadenza.Level
---@param message string
---@param fields? table<string, any>
function M.write(level, message, fields)
  write(3, level, message, fields)
end

---@param message string
---@param fields? table<string, any>
function M.error(message, fields)
  write(3, "error", message, fields)
end

---@param message string
---@param fields? table<string, any>
function M.warn(message, fields)
  write(3, "warn", message, fields)
end

---@param message string
---@param fields? table<string, any>
function M.info(message, fields)
  write(3, "info", message, fields)
end

---@param message string
---@param fields? table<string, any>
function M.debug(message, fields)
  write(3, "debug", message, fields)
end

return M
