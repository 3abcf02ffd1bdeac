--- `PUT /v1/records/{key}`: stores a record. The body is the value, or a JSON
--- document that may have a signature. The server signs nothing: a client keeps
--- its secret key.
--- Tested by tests/spec/web/api/storing_spec.lua.

local core = require("kadenza.core")
local json = require("kadenza.json")
local kad = require("kadenza")
local parameters = require("kadenza.web.api.parameters")
local records = require("kadenza.web.api.records")
local reply = require("kadenza.web.api.reply")
local size_limit = require("kadenza.size_limit")

local M = {}

local MAX_BODY <const> = 65536 -- of a JSON document with the longest value
local BYTES <const>, JSON <const> =
  "application/octet-stream", "application/json"

local ITEMS <const> = { immutable = true, mutable = true }

-- The order of fields in documents; other fields follow.
local ORDER <const> = { "key", "type", "stored", "asked", "ttl", "seq",
  "messages" }

--- The parameters of a PUT whose body is the value.
M.RULES = {
  type = parameters.TYPE,
  ttl = parameters.TTL,
  min_stored = parameters.HOLDERS,
}

--- The fields of a PUT whose body is a document.
M.DOCUMENT_RULES = {
  value = parameters.text(MAX_BODY),
  value_base64 = parameters.base64(MAX_BODY),
  seq = parameters.SEQ,
  salt = parameters.SALT,
  salt_base64 = parameters.SALT_BASE64,
  publisher = parameters.PUBLISHER,
  signature = parameters.SIGNATURE,
  cas = parameters.COUNTER,
}
for name, rule in pairs(M.RULES) do
  M.DOCUMENT_RULES[name] = rule
end

-- Returns the fields of a PUT whose body is the value, beside the parameters.
local function read_bytes(request, options)
  options.value = request.body
  return options
end

-- Returns the fields of a PUT whose body is a document, which goes before the
-- parameters.
local function read_document(request, options)
  if #request.body > MAX_BODY then
    return nil, ("the body has %d bytes, and can have %d"):format(
      #request.body, MAX_BODY), 413
  end
  local fields, message, status =
    parameters.body(request, M.DOCUMENT_RULES)
  if not fields then
    return nil, message, status
  end
  local united, problem = parameters.unite(fields, "value")
  if not united then
    return nil, problem, 400
  elseif not fields.value then
    return nil, "value or value_base64 is missing", 400
  end
  for name, value in pairs(fields) do
    options[name] = value
  end
  return options
end

-- Returns what is wrong with fields that belong together, or nil.
local function find_clash(options)
  local is_signed = options.publisher ~= nil
  if is_signed ~= (options.signature ~= nil) then
    return "publisher and signature go together"
  elseif options.type == "mutable" and not (is_signed and options.seq) then
    return "a mutable item needs publisher, signature and seq, in a document"
  elseif options.type == "mutable" and options.seq < 0 then
    return "seq must be an integer from 0 in a mutable item"
  elseif options.cas and options.type ~= "mutable" then
    return "cas is for mutable items"
  end
end

-- Returns what is wrong with the key of an item, which its content gives; or
-- nil. A value that no item can have is refused by the node.
local function find_wrong_target(key, options)
  local target = key
  if options.type == "mutable" then
    target = kad.mutable_target(options.publisher, options.salt)
  elseif options.type == "immutable" then
    target = kad.immutable_target(options.value, { raw = true }) or key
  end
  if target ~= key then
    return ("the key of this item must be its target, %s"):format(
      core.hex(target))
  end
end

-- Returns the fields of a PUT in either form; or nil, a message and a status.
local function read_form(request)
  local kind = parameters.media_type(request)
  if kind ~= JSON and kind ~= BYTES and kind ~= nil then
    return nil, ("the Content-Type must be %s or %s"):format(BYTES, JSON), 415
  end
  local options, message, status = parameters.query(request.query, M.RULES)
  if not options then
    return nil, message, status
  end
  return (kind == JSON and read_document or read_bytes)(request, options)
end

-- Returns the fields of a PUT; or nil, a message and a status.
local function read_put(request)
  local options, message, status = read_form(request)
  if not options then
    return nil, message, status
  end
  local united, problem = parameters.unite(options, "salt")
  options.type = options.type or "value"
  problem = not united and problem or find_clash(options)
  if problem then
    return nil, problem, 400
  elseif #options.value > size_limit.VALUE then
    return nil, ("the value has %d bytes, and can have %d"):format(
      #options.value, size_limit.VALUE), 413
  end
  return options
end

-- Stores a record.
local function store(node, key, options)
  local record = {
    ttl = options.ttl, seq = options.seq, salt = options.salt,
    publisher = options.publisher, signature = options.signature,
    min_stored = options.min_stored,
  }
  if options.type == "mutable" then
    record.value, record.raw, record.cas = options.value, true, options.cas
    local target, info, code, details = node:put_mutable(record)
    return target and info, info, code, details
  end
  record.type = options.type
  return node:put(key, options.value, record)
end

-- Returns what is wrong with a record for an overlay, or nil.
local function find_mistake(key, options, bits)
  if ITEMS[options.type] and bits ~= 160 then
    return "items need an overlay with ids of 160 bits"
  end
  return find_wrong_target(key, options)
end

-- Returns the key and the fields of a request, or nil and a response.
local function read(request, bits)
  local key, problem = parameters.key(request.params.key, bits)
  if not key then
    return nil, reply.malformed(problem)
  end
  local options, message, status = read_put(request)
  if not options then
    return nil, reply.malformed(message, status)
  end
  local mistake = find_mistake(key, options, bits)
  if mistake then
    return nil, reply.error(422, "wrong_key", mistake)
  end
  return key, options
end

--- Stores a record.
---@async
---@param api kadenza.web.Api
---@param request table
---@return table response
function M.put(api, request)
  local opened, closed, why = api.gateway:node()
  if not opened then
    return reply.failure(closed, why)
  end
  local key, options = read(request, opened:id_bits())
  if not key then
    return options
  end
  local info, message, code, details = api.gateway:perform(function(node)
    return store(node, key, options)
  end)
  api.gateway:forget(records.name(key, options))
  if not info then
    return reply.failure(message, code, details)
  end
  api.watches:check(key, options.type)
  return { status = 200, headers = { ["Content-Type"] = JSON },
    body = json.encode({
      key = core.hex(key), type = options.type, seq = options.seq,
      stored = info.stored, asked = info.asked, messages = info.messages,
      ttl = info.ttl,
    }, ORDER) .. "\n" }
end

return M
