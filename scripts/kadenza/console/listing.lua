--- Lists what a node has: its contacts, and the records that it holds, page by
--- page.

local json = require("kadenza.json")
local kad = require("kadenza")
local sorted = require("kadenza.sorted")
local status = require("kadenza.console.status")

local M = {}

--- Records of one page, at most.
M.MAX_RECORDS = 500

local CONTACT <const> = { "contacts", "bucket", "id", "address", "state",
  "idle", "rtt", "failures" }
--- The order of the fields of records.
M.RECORD = { "total", "records", "cursor", "key", "type", "size",
  "age", "ttl", "seq", "publisher", "origin", "value" }

-- Rounds to milliseconds.
local function round(seconds)
  return tonumber(("%.3f"):format(seconds))
end

--- Returns the contacts of a node, those of bucket 0 first; within a bucket
--- those that replied last.
---@param node kadenza.Node
---@return { contacts: table[] } document
---@return string[] order  of fields
function M.contacts(node)
  local id, list = node:id(), {}
  for i, contact in ipairs(node:contacts()) do
    list[i] = { bucket = status.bucket(id, contact), id = kad.hex(contact.id),
      address = contact.address, idle = round(contact.idle),
      state = contact.good and "good" or "questionable",
      rtt = round(contact.rtt), failures = contact.failures }
  end
  table.sort(list, function(a, b)
    if a.bucket ~= b.bucket then
      return a.bucket < b.bucket
    elseif a.idle ~= b.idle then
      return a.idle < b.idle
    end
    return a.id < b.id
  end)
  return { contacts = json.array(list) }, CONTACT
end

-- Returns a record as fields of JSON, with its value if `has_value`.
local function describe(record, has_value)
  return { key = kad.hex(record.key), type = record.type,
    size = #record.value, age = record.age, ttl = record.ttl,
    seq = record.seq, salt_size = record.salt and #record.salt or nil,
    publisher = record.publisher and kad.hex(record.publisher) or nil,
    origin = record.origin, value = has_value and record.value or nil }
end

-- Returns the records under a key, of one type or of all, the newest of each
-- type first.
local function under_key(node, request, count)
  local key = type(request.key) == "string"
    and #request.key == node:id_bits() // 4 and kad.unhex(request.key)
  if not key then
    return nil, ("the key must have %d hexadecimal digits"):format(
      node:id_bits() // 4), "KAD_EINVAL"
  end
  local types = request.type and { request.type }
    or sorted(node:held_types() or { value = 1, peers = 1, immutable = 1,
      mutable = 1 })
  local list, total = {}, 0
  for _, name in ipairs(types) do
    local records, of_type = node:held(key, name, count)
    total = total + of_type
    for i = 1, math.min(#records, count - #list) do
      list[#list + 1] = describe(records[i], true)
    end
  end
  return { total = total, records = json.array(list) }, M.RECORD
end

-- Reads the cursor of a page. Returns nil for what is none.
local function read_cursor(text)
  if text == nil then
    return 0
  end
  return type(text) == "string" and #text <= 16 and text:find("^%x+$")
    and tonumber("0x" .. text) or nil
end

-- Returns a page of all records.
local function page(node, request, count)
  local cursor = read_cursor(request.cursor)
  if not cursor then
    return nil, "the cursor must be that of the page before", "KAD_EINVAL"
  end
  local records, next_one = node:held_page(cursor, count)
  local list = {}
  for _, record in ipairs(records) do
    if not request.type or record.type == request.type then
      list[#list + 1] = describe(record, false)
    end
  end
  return { total = node:stats().records, records = json.array(list),
    cursor = next_one and ("%x"):format(next_one) or nil }, M.RECORD
end

--- Returns records that a node holds: those under a key, or a page of all.
---@param node kadenza.Node
---@param request { key?: string, type?: string, count?: integer,
---  cursor?: string }
---@return { total: integer, records: table[], cursor?: string }? document
---  `cursor` is that of the next page; nil: this is the last one
---@return string[]|string order  of fields; or a message
---@return string? code
function M.records(node, request)
  local count = request.count or M.MAX_RECORDS
  if math.type(count) ~= "integer" or count < 1 or count > M.MAX_RECORDS then
    return nil, ("count must be from 1 to %d"):format(M.MAX_RECORDS),
      "KAD_EINVAL"
  elseif request.type ~= nil and type(request.type) ~= "string" then
    return nil, "the type must be a text", "KAD_EINVAL"
  end
  return (request.key ~= nil and under_key or page)(node, request, count)
end

return M
