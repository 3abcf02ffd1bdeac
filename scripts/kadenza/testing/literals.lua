--- Makes the arguments of hooks from literal values, for tests.
--
-- They are plain tables. To set or to read an unknown field is an error that
-- suggests the nearest known field.

local core = require("kadenza.core")
local errors = require("kadenza.errors")
local key = require("kadenza.key")
local suggest = require("kadenza.suggest")

local M = {}

---@class kadenza.testing.RecordFields
---@field key? string  binary
---@field type? string
---@field value? string
---@field seq? integer
---@field salt? string
---@field publisher? string
---@field signature? string
---@field ttl? integer
---@field age? integer
---@field secret? string  secret key; signs the record

---@class kadenza.testing.ContextFields
---@field reason? "store"|"republish"|"handoff"|"cache"|"get"
---@field from? table  a contact, or its fields
---@field now? number
---@field node? kadenza.Node

local RECORD <const> = {
  key = "string", type = "string", value = "string", seq = "integer",
  salt = "string", publisher = "string", signature = "string",
  ttl = "integer", age = "integer",
}
local CONTEXT <const> = { reason = "string", from = "table", now = "number",
  node = "any" }
local CONTACT <const> = { id = "string", address = "string", host = "string",
  port = "integer", proven = "boolean" }
local REQUEST <const> = { method = "string", args = "table" }

local REASONS <const> = { store = true, republish = true, handoff = true,
  cache = true, get = true }

-- The default address of a contact, from the range for documentation.
local ADDRESS <const> = "192.0.2.1:6881"

local function has_kind(value, kind)
  return kind == "any" or type(value) == kind
    or kind == "integer" and math.type(value) == "integer"
end

-- Raises, without a place, unless all fields are known and of their kind.
local function check_fields(given, fields, what)
  for name, value in pairs(given) do
    local kind = fields[name]
    if not kind then
      error(("a %s has no field '%s'%s"):format(what, tostring(name),
        suggest.hint(tostring(name), fields)), 0)
    elseif not has_kind(value, kind) then
      local article = kind == "integer" and "an " or "a "
      error(("field '%s' of a %s must be %s%s, not %s"):format(name, what,
        article, kind, tostring(value)), 0)
    end
  end
end

-- Returns the metatable of a kind of arguments: unknown fields raise.
local function make_meta(fields, what, methods)
  return {
    __name = "kadenza.testing." .. what,
    __index = function(_, name)
      if fields[name] or methods and methods[name] then
        return methods and methods[name]
      end
      error(("a %s has no field '%s'%s"):format(what, tostring(name),
        suggest.hint(tostring(name), fields)), 2)
    end,
  }
end

local function copy_table(given)
  if type(given) ~= "table" then
    error("a table is needed, not a " .. type(given), 0)
  end
  local copy = {}
  for name, value in pairs(given) do
    copy[name] = value
  end
  return copy
end

local Record = make_meta(RECORD, "record", { copy = copy_table })
local Context = make_meta(CONTEXT, "context")
local Contact = make_meta(CONTACT, "contact")
local Request = make_meta(REQUEST, "request")

local function sign(record, secret)
  if type(secret) ~= "string" or #secret ~= 64 then
    error("secret must be a secret key of 64 bytes", 0)
  end
  record.publisher = secret:sub(33)
  record.signature = assert(core.sign(record, secret, #record.key * 8))
end

local function make_record(fields)
  local record = copy_table(fields)
  local secret = record.secret
  record.secret = nil
  check_fields(record, RECORD, "record")
  record.key = record.key or key.of("test")
  record.type = record.type or "value"
  record.value = record.value or ""
  record.age = record.age or 0
  record.ttl = record.ttl or 0
  if secret then
    sign(record, secret)
  end
  return setmetatable(record, Record)
end

--- Makes a record as hooks receive it. Defaults: the key of "test", the type
--- `value`, an empty value, `ttl` and `age` 0. A `secret` signs the record.
---@param fields? kadenza.testing.RecordFields
---@return kadenza.Record record
function M.record(fields)
  return errors.at_level(1, make_record, fields or {})
end

local function make_contact(fields)
  local contact = copy_table(fields)
  check_fields(contact, CONTACT, "contact")
  contact.address = contact.address or ADDRESS
  local host, port = contact.address:match("^(.*):(%d+)$")
  if not core.address(contact.address) then
    error("'" .. contact.address .. "' is not an address such as " .. ADDRESS,
      0)
  end
  contact.host = host:gsub("[%[%]]", "")
  contact.port = math.tointeger(port)
  return setmetatable(contact, Contact)
end

--- Makes a contact. The default address is 192.0.2.1:6881. `proven` is for the
--- `from` of a context.
---@param fields? { id?: string, address?: string, proven?: boolean }
---@return kadenza.From contact
function M.contact(fields)
  return errors.at_level(1, make_contact, fields or {})
end

local function make_context(fields)
  local context = copy_table(fields)
  check_fields(context, CONTEXT, "context")
  context.reason = context.reason or "store"
  context.now = context.now or 0
  if not REASONS[context.reason] then
    error(("'%s' is not a reason%s"):format(context.reason,
      suggest.hint(context.reason, REASONS)), 0)
  end
  if context.from and getmetatable(context.from) ~= Contact then
    context.from = make_contact(context.from)
  end
  return setmetatable(context, Context)
end

--- Makes a context. The default reason is `store`; without `from` the node
--- itself is the source. `node` and `now` are used where a test calls a hook as
--- a function; `policy:call` has a node and a clock of its own.
---@param fields? kadenza.testing.ContextFields
---@return kadenza.Context context
function M.context(fields)
  return errors.at_level(1, make_context, fields or {})
end

local function make_request(fields)
  local request = copy_table(fields)
  check_fields(request, REQUEST, "request")
  if not request.method then
    error("a request needs a method", 0)
  end
  request.args = request.args or {}
  return setmetatable(request, Request)
end

--- Makes a request, for `on_request` and for custom queries.
---@param fields { method: string, args?: table }
---@return kadenza.Request request
function M.request(fields)
  return errors.at_level(1, make_request, fields)
end

--- The same functions, which raise errors without a place.
M.unplaced = { record = make_record, contact = make_contact,
  context = make_context, request = make_request }

--- Tells whether `value` is a request made here.
---@param value any
---@return boolean
function M.is_request(value)
  return getmetatable(value) == Request
end

return M
