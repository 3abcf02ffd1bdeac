--- Events: what pub/sub sends of a record, and how to tell two apart.

local kad = require("kadenza")

local M = {}

local MAX_VALUE <const> = 1000
local MAX_SALT <const> = 64
local PUBLISHER <const> = 32
local SIGNATURE <const> = 64

--- Returns a record as a table that outlives its hook.
---@param record kadenza.Record|table
---@return table copy
function M.copy(record)
  return {
    key = record.key,
    type = record.type,
    value = record.value,
    seq = record.seq,
    salt = record.salt,
    publisher = record.publisher,
    signature = record.signature,
  }
end

--- Returns what stands for a record under its key: 16 bytes.
---@param record kadenza.Record|table
---@return string id
function M.identify(record)
  local text = string.pack(">s4s4s4Bj", record.value, record.salt or "",
    record.publisher or "", record.seq and 1 or 0, record.seq or 0)
  return kad.hash(text):sub(1, 16)
end

--- Returns 8 bytes that make an event another than all before it.
---@param secret string  of the node
---@param number integer
---@return string nonce
function M.nonce(secret, number)
  return kad.hash(secret .. string.pack(">I8", number)):sub(1, 8)
end

--- Returns what is sent of a record.
---@param record kadenza.Record|table
---@return table item
function M.pack(record)
  return {
    v = record.value,
    k = record.publisher,
    salt = record.salt,
    seq = record.seq,
    sig = record.signature,
  }
end

--- Returns about how many bytes an item takes.
---@param item table
---@return integer bytes
function M.size_of(item)
  return #item.v + #(item.salt or "") + (item.k and 120 or 0) + 40
end

-- How many bytes the texts of an item may have, if it has them.
local LENGTHS <const> = {
  v = { 0, MAX_VALUE },
  salt = { 1, MAX_SALT },
  k = { PUBLISHER, PUBLISHER },
  sig = { SIGNATURE, SIGNATURE },
}

-- Tells whether the fields of an item are what they have to be.
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
  return item.seq == nil or math.type(item.seq) == "integer"
end

-- The core verifies the records that it gets; what is pushed it does not see.
local function is_signed_well(record)
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

--- Returns the record of an item that another node has sent, or nil if it is
--- malformed or its signature is not the publisher's.
---@param item any
---@param key string
---@param kind string  the type of the record
---@return table? record
function M.unpack(item, key, kind)
  if not is_well_formed(item) then
    return nil
  end
  local record = {
    key = key,
    type = kind,
    value = item.v,
    seq = item.seq,
    salt = item.salt,
    publisher = item.k,
    signature = item.sig,
  }
  return is_signed_well(record) and record or nil
end

------------------------------------------------------------------- seen --

-- The last ids that were seen.
local Seen = {}
Seen.__index = Seen

--- Returns a memory of the last `room` ids.
---@param room integer
function M.new_seen(room)
  return setmetatable({ room = room, ids = {}, ring = {}, next = 1 }, Seen)
end

--- Tells whether `id` is among them.
function Seen:has(id)
  return self.ids[id] ~= nil
end

--- Adds `id`; returns false if it was there.
function Seen:add(id)
  if self.ids[id] then
    return false
  end
  local forgotten = self.ring[self.next]
  if forgotten then
    self.ids[forgotten] = nil
  end
  self.ring[self.next], self.ids[id] = id, true
  self.next = self.next % self.room + 1
  return true
end

return M
