--- The two forms of a line of the log: `text` and `json`.
--- Tested by tests/spec/log_spec.lua.

local json = require("kadenza.json")
local logfmt = require("kadenza.logfmt")

local M = {}

-- Returns the message as words; or as fields if it would not be read as words.
local function message_words(message)
  if logfmt.is_words(message) then
    return message
  end
  local field = "message=" .. logfmt.value(message)
  if utf8.len(message) then
    return field
  end
  return field, "message_hex=" .. logfmt.hex(message)
end

--- Returns the line of an event: time, level, message, and its fields.
---@param event { level: string, message: string, fields: table }
---@param time string
---@return string line
function M.text(event, time)
  return logfmt.line({ time, event.level, message_words(event.message) },
    event.fields)
end

local FIRST <const> = { "time", "level", "message" }

--- Returns an event as a line of JSON. A field of the event whose name is in
--- use, such as `time`, `level` or `message`, gets a `_` behind its name.
---@param event { level: string, message: string, fields: table }
---@param time string
---@return string line
function M.json(event, time)
  local object = { time = time, level = event.level, message = event.message }
  local fields = {}
  for key, value in pairs(event.fields) do
    fields[#fields + 1] =
      { name = logfmt.text(key), kind = type(key), value = value }
  end
  table.sort(fields, function(a, b)
    return a.name < b.name or a.name == b.name and a.kind < b.kind
  end)
  for _, field in ipairs(fields) do
    local free = field.name
    while object[free] ~= nil do
      free = free .. "_"
    end
    object[free] = type(field.value) == "table" and tostring(field.value)
      or field.value
  end
  return json.encode(object, FIRST)
end

return M
