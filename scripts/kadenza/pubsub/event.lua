--- Events: encodes records for pushes, and identifies them. Tested by
--- tests/spec/pubsub_spec.lua, tests/spec/pubsub/board_spec.lua.

local kad = require("kadenza")

local M = {}

local MAX_VALUE <const> = 1000
local MAX_SALT <const> = 64
local PUBLISHER <const> = 32
local SIGNATURE <const> = 64
local MAX_TTL <const> = 30 * 86400 -- seconds, of any record

-- The fields of a record in a push, and their names there.
local FIELDS <const> = { value = "v", publisher = "k", salt = "salt",
  seq = "seq", signature = "sig" }

--- Returns a copy of a record: a record of a hook is valid only during the
--- hook.
---@param record kadenza.Record|table
---@return table copy
function M.copy(record)
  local ttl = record.ttl
  local copy = { key = record.key, type = record.type,
    ttl = ttl and ttl > 0 and ttl or nil }
  for name in pairs(FIELDS) do
    copy[name] = record[name]
  end
  return copy
end

--- Returns the id of a record under its key, a hash of 16 bytes.
---@param record kadenza.Record|table
---@return string id
function M.identify(record)
  local text = string.pack(">s4s4s4Bj", record.value, record.salt or "",
    record.publisher or "", record.seq and 1 or 0, record.seq or 0)
  return kad.hash(text):sub(1, 16)
end

--- Returns 8 bytes that distinguish an event from all others.
---@param secret string  of the node
---@param number integer  of the node's event
---@return string nonce
function M.nonce(secret, number)
  return kad.hash(secret .. string.pack(">I8", number)):sub(1, 8)
end

--- Returns the item of a push for a record.
---@param record kadenza.Record|table
---@return table item
function M.pack(record)
  local item = { ttl = record.ttl }
  for name, short in pairs(FIELDS) do
    item[short] = record[name]
  end
  return item
end

--- Returns the approximate encoded size of an item.
---@param item table
---@return integer bytes
function M.size_of(item)
  return #item.v + #(item.salt or "") + (item.k and 120 or 0) + 50
end

-- The length of an item's strings in bytes: least, most.
local LENGTHS <const> = {
  v = { 0, MAX_VALUE },
  salt = { 1, MAX_SALT },
  k = { PUBLISHER, PUBLISHER },
  sig = { SIGNATURE, SIGNATURE },
}

-- Tells whether a field is nil or an integer from `least`.
local function may_be_integer(value, least)
  return value == nil or math.type(value) == "integer" and value >= least
end

-- Tells whether an item has the right fields.
local function is_well_formed(item)
  if type(item) ~= "table" or item.v == nil
    or (item.k == nil) ~= (item.sig == nil)
  then
    return false
  end
  for name, length in pairs(LENGTHS) do
    local text = item[name]
    if text ~= nil and (type(text) ~= "string" or #text < length[1]
      or #text > length[2])
    then
      return false
    end
  end
  return may_be_integer(item.seq, math.mininteger)
    and may_be_integer(item.ttl, 1)
end

-- Verifies the signature of a record, if there is one. The core verifies only
-- records in its own queries.
local function has_valid_signature(record)
  if not record.publisher then
    return true
  end
  local text = kad.bencode.encode({
    key = record.key,
    salt = record.salt,
    seq = record.seq,
    type = record.type,
    v = record.value,
  })
  return kad.verify(record.publisher, text, record.signature)
end

--- Returns the record of an item that another node has sent; nil if it is
--- malformed or its signature is not valid.
---@param item any
---@param key string
---@param kind string  type of the record
---@return table? record
function M.unpack(item, key, kind)
  if not is_well_formed(item) then
    return nil
  end
  local record = { key = key, type = kind,
    ttl = item.ttl and math.min(item.ttl, MAX_TTL) }
  for name, short in pairs(FIELDS) do
    record[name] = item[short]
  end
  return has_valid_signature(record) and record or nil
end

-- A set of the last ids that were added.
local Seen = {}
Seen.__index = Seen

--- Makes a set that keeps the last `capacity` ids.
---@param capacity integer
function M.new_seen(capacity)
  return setmetatable({ capacity = capacity, ids = {}, ring = {}, next = 1 },
    Seen)
end

--- Tells whether the set has `id`.
function Seen:has(id)
  return self.ids[id] ~= nil
end

--- Adds `id`; returns false if the set has it.
function Seen:add(id)
  if self.ids[id] then
    return false
  end
  local at = self.next
  local oldest = self.ring[at]
  if oldest and self.ids[oldest] == at then
    self.ids[oldest] = nil
  end
  self.ring[at], self.ids[id] = id, at
  self.next = at % self.capacity + 1
  return true
end

--- Removes `id`, so that it can be added again.
function Seen:remove(id)
  self.ids[id] = nil
end

return M
