--- What a running node and its consoles send each other: one JSON object a
--- line. A console sends requests:
--
--     {"id":1,"command":"records","key":"0beec7…"}
--
-- The node answers each, in their order, with a result or an error; some
-- commands send events before that, or until the console closes:
--
--     {"id":1,"ok":{…}}
--     {"id":1,"error":{"code":"KAD_ENOTFOUND","message":"no such key"}}
--     {"id":1,"event":{…}}
--
-- `id` is a number or a short text of the console's choice; null where the
-- node could not read it.

local dkjson = require("dkjson")

local json = require("kadenza.json")

local M = {}

--- Bytes of the longest request.
M.MAX_REQUEST = 65536

--- Bytes of the longest line that a console reads.
M.MAX_REPLY = 16 << 20

local MAX_ID <const> = 64 -- bytes of a text

-- Returns the object of a line; nil if it is none.
local function decode(line)
  if not utf8.len(line) then
    return nil
  end
  -- Deep nesting overflows the stack of Lua, which is an error like others.
  local decoded, object, position = pcall(dkjson.decode, line)
  local meta = decoded and type(object) == "table" and getmetatable(object)
  if not meta or meta.__jsontype ~= "object" or line:find("%S", position) then
    return nil
  end
  return setmetatable(object, nil)
end

local function is_id(value)
  return type(value) == "number" or type(value) == "string" and #value <= MAX_ID
end

--- Reads a request.
---@param line string
---@return { id?: any, command: string }? request  with its parameters
---@return string? problem
---@return any id  for the reply about the problem
function M.parse_request(line)
  local request = decode(line)
  if not request then
    return nil, "a request is a JSON object on one line"
  end
  local id = is_id(request.id) and request.id or nil
  if request.id ~= nil and not id then
    return nil, "id must be a number or a text of up to 64 bytes"
  elseif type(request.command) ~= "string" then
    return nil, "command must be a text", id
  end
  return request
end

--- Returns the line of a request, with its newline.
---@param request { id: integer, command: string }
---@return string line
function M.request(request)
  return json.encode(request, { "id", "command" }) .. "\n"
end

-- Returns a line with an id and one other field.
local function line_of(id, name, value, order)
  local start = id == nil and '{"id":null,' or
    ('{"id":%s,'):format(json.encode(id))
  return ('%s"%s":%s}\n'):format(start, name, json.encode(value, order))
end

--- Returns the line of a result.
---@param id any
---@param result table
---@param order? string[]  names of fields that come first
---@return string line
function M.ok(id, result, order)
  return line_of(id, "ok", result, order)
end

--- Returns the line of an error.
---@param id any
---@param message string
---@param code? string
---@return string line
function M.error(id, message, code)
  return line_of(id, "error", { code = code or "KAD_EINVAL",
    message = message })
end

--- Returns the line of an event.
---@param id any
---@param event table
---@param order? string[]
---@return string line
function M.event(id, event, order)
  return line_of(id, "event", event, order)
end

--- Reads a line of a node, about a request whose id is an integer.
---@param line string
---@return { id: any, ok?: table, error?: table, event?: table }? reply
---@return string? raw  the JSON of the result or event, as it was written
function M.parse_reply(line)
  local reply = decode(line)
  if not reply or not (reply.ok or reply.error or reply.event) then
    return nil
  end
  return reply, line:match('^{"id":%d+,"%a+":(.*)}$')
end

return M
