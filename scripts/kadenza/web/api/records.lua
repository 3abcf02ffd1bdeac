--- `GET /v1/records/{key}`: looks up records. The response is the bytes of the
--- best one, or a JSON document with its fields, by `Accept`; or the events of
--- a watch.
--- Tested by tests/spec/web/api/records_spec.lua.

local answer = require("kadenza.web.api.answer")
local core = require("kadenza.core")
local event = require("kadenza.pubsub.event")
local json = require("kadenza.json")
local kad = require("kadenza")
local parameters = require("kadenza.web.api.parameters")
local record_text = require("kadenza.web.api.record_text")
local reply = require("kadenza.web.api.reply")

local M = {}

local BYTES <const>, JSON <const> =
  "application/octet-stream", "application/json"

-- The order of fields in documents; other fields follow.
local ORDER <const> = { "key", "type", "value", "value_base64", "records",
  "ttl", "age", "seq", "salt", "salt_base64", "publisher", "signature",
  "holders", "hops", "messages" }

--- The parameters of a GET. A watch is one of all records.
M.RULES = {
  type = parameters.TYPE,
  all = parameters.SWITCH,
  watch = parameters.SWITCH,
  salt = parameters.SALT,
}

--- Returns the name under which the answer for records is kept.
---@param key string
---@param options { type: string, salt?: string }
---@return string name
function M.name(key, options)
  return ("records %s %s %s"):format(key, options.type, options.salt or "")
end

-- Returns an estimate of the bytes that the answer with some records takes,
-- with the responses that are made of it.
local function size_of(records)
  local bytes = 1500
  for _, record in ipairs(records) do
    bytes = bytes + 3 * #record.value + 500
  end
  return bytes
end

-- Looks up the records of a key.
local function look_up(node, key, options)
  local records, info, code, details = node:get(key,
    { type = options.type, salt = options.salt, all = true })
  if not records then
    return nil, info, code, details
  elseif not records[1] then
    return nil, "not found", "KAD_ENOTFOUND"
  end
  local best = records[1]
  local is_final = options.type == "immutable"
  return {
    records = records,
    holders = info.holders,
    hops = info.hops,
    messages = info.messages,
    is_final = is_final,
    life = answer.life(best.ttl, is_final),
    bytes = size_of(records),
    made = {}, -- form → a response
  }
end

-- Returns the JSON document of an answer.
local function document_of(found, key, form)
  local document
  if form == "all" then
    local rows = {}
    for i, record in ipairs(found.records) do
      rows[i] = record_text.describe(record)
    end
    document = { records = json.array(rows) }
  else
    document = record_text.describe(found.records[1])
  end
  document.key = core.hex(key)
  document.holders, document.hops = found.holders, found.hops
  document.messages = found.messages
  return json.encode(document, ORDER) .. "\n"
end

-- Returns an ETag. That of JSON is weak: `ttl` and `age` change by themselves.
local function etag_of(found, form)
  local ids = {}
  for i, record in ipairs(found.records) do
    ids[i] = event.identify(record)
  end
  if form == "bytes" then
    return ('"%s"'):format(core.hex(ids[1]))
  end
  return ('W/"%s-%s"'):format(
    core.hex(kad.hash(table.concat(ids)):sub(1, 16)), form)
end

local function add(headers, more)
  for name, value in pairs(more) do
    headers[name] = value
  end
end

-- Makes a response of an answer. Bytes of strangers are never a page: a browser
-- that shows them runs nothing.
local function make_response(found, key, form, now)
  local headers = answer.headers(found, now)
  headers["ETag"], headers["Vary"] = etag_of(found, form), "Accept"
  headers["Kadenza-Key"] = core.hex(key)
  headers["Kadenza-Holders"] = tostring(found.holders)
  headers["X-Content-Type-Options"] = "nosniff"
  if form == "bytes" then
    add(headers, record_text.headers(found.records[1]))
    headers["Content-Type"] = BYTES
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return { status = 200, headers = headers, body = found.records[1].value }
  end
  headers["Content-Type"] = JSON
  return { status = 200, headers = headers,
    body = document_of(found, key, form) }
end

-- Returns the response of an answer: the one that was made for it in the same
-- second, so that a kept answer costs little.
local function respond(found, key, form, now)
  local second = math.floor(now)
  local made = found.made[form]
  if not made or made.second ~= second then
    made = { second = second, response = make_response(found, key, form, now) }
    made.response.is_kept = true
    found.made[form] = made
  end
  return made.response
end

-- Returns the form of the response that a client wants, or nil.
local function choose_form(request, options)
  local kind = answer.choose(request, options.all and { JSON }
    or { BYTES, JSON })
  return kind == BYTES and "bytes" or kind and (options.all and "all" or "one")
end

-- Returns the headers of a response of 304, which has no body.
local function unmodified(response)
  local headers = {}
  for _, name in ipairs({ "ETag", "Vary", "Cache-Control", "Age" }) do
    headers[name] = response.headers[name]
  end
  return { status = 304, headers = headers, body = "" }
end

-- Returns the answer for a request; or nil, message, code, details.
local function fetch(api, request, key, options)
  return api.gateway:fetch(M.name(key, options),
    function(node)
      return look_up(node, key, options)
    end, answer.wants_fresh(request))
end

-- Begins a watch, if the node can look up the key at all.
local function watch(api, request, node, key, options)
  local found, message, code, details = fetch(api, request, key, options)
  if not found and code ~= "KAD_ENOTFOUND" then
    return reply.failure(message, code, details)
  end
  return api.watches:respond(request, node, key, options)
end

-- Returns the response with the records of a key.
local function read_records(api, request, key, options)
  local form = choose_form(request, options)
  if not form then
    return reply.error(406, "not_acceptable", "a record is "
      .. (options.all and JSON or BYTES .. " or " .. JSON))
  end
  local found, message, code, details = fetch(api, request, key, options)
  if not found then
    return reply.failure(message, code, details)
  end
  local response = respond(found, key, form, kad.now())
  return answer.has(request, response.headers["ETag"])
    and unmodified(response) or response
end

--- Looks up the records of a key.
---@async
---@param api kadenza.web.Api
---@param request table
---@return table response
function M.get(api, request)
  local node, closed, why = api.gateway:node()
  if not node then
    return reply.failure(closed, why)
  end
  local key, problem = parameters.key(request.params.key, node:id_bits())
  local options, fault, status = parameters.query(request.query, M.RULES)
  if not key or not options then
    return reply.malformed(problem or fault, not problem and status or nil)
  end
  options.type = options.type or "value"
  if options.watch then
    return watch(api, request, node, key, options)
  end
  return read_records(api, request, key, options)
end

return M
