--- The Merkle tree of a blob: encodes and decodes its chunks.
--
-- A chunk is a record whose key is the hash of its value. Its first byte is its
-- level. A chunk of level 0 contains data. A chunk above contains the number of
-- data bytes below it (8 bytes, big-endian) and the keys of its parts in order;
-- all parts except the last are full. Therefore the level and the length of a
-- chunk determine the form of its parts.

local kad = require("kadenza")

local M = {}

--- Largest number of data bytes in a chunk.
M.DATA = 999

--- Largest size of a chunk in bytes.
M.MAX_CHUNK = 1000

local MAX_LEVEL <const> = 6
local PAUSE <const> = 500 -- chunks between two pauses: about 3 ms
local HEADER <const> = ">BI8" -- of a chunk above level 0: level, bytes below
local HEADER_SIZE <const> = 9

--- Returns the key of a chunk in an overlay whose keys have `size` bytes.
---@param value string
---@param size integer
---@return string key
function M.key_of(value, size)
  return kad.key(value, size * 8)
end

-- Returns the number of keys of `size` bytes in a full chunk.
local function fan_out(size)
  return (M.MAX_CHUNK - HEADER_SIZE) // size
end

-- Returns the number of data bytes below a full chunk.
local function span(level, size)
  return M.DATA * math.tointeger(fan_out(size) ^ level)
end

local function add_chunk(chunks, value, size)
  local chunk = { key = M.key_of(value, size), value = value }
  if not chunks.known[chunk.key] then
    chunks.known[chunk.key] = true
    chunks[#chunks + 1] = chunk
  end
  return chunk.key
end

-- Makes the chunks of a level from the keys of the level below.
local function add_level(chunks, keys, level, length, size)
  local fan, above = fan_out(size), {}
  local whole = span(level, size)
  for i = 1, #keys, fan do
    local below = math.min(whole, length - #above * whole)
    local parts = table.concat(keys, "", i, math.min(i + fan - 1, #keys))
    local value = string.pack(HEADER, level, below) .. parts
    above[#above + 1] = add_chunk(chunks, value, size)
  end
  return above
end

--- Returns the chunks of a blob, without duplicates and the root last, and the
--- key of the root.
---@param bytes string
---@param size integer  bytes of a key
---@param pause? fun()  called every 3 ms or so
---@return { key: string, value: string }[] chunks
---@return string root
function M.build(bytes, size, pause)
  local chunks, keys, level = { known = {} }, {}, 0
  for first = 1, math.max(#bytes, 1), M.DATA do
    local data = bytes:sub(first, first + M.DATA - 1)
    keys[#keys + 1] = add_chunk(chunks, "\0" .. data, size)
    if pause and #keys % PAUSE == 0 then
      pause()
    end
  end
  while #keys > 1 do
    level = level + 1
    keys = add_level(chunks, keys, level, #bytes, size)
  end
  return chunks, keys[1]
end

--- Returns the level and the length in a root chunk; nil if it is malformed.
---@param value string
---@param size integer  bytes of a key
---@return integer? level
---@return integer? length
function M.read_root(value, size)
  local level = value:byte()
  if not level or level > MAX_LEVEL then
    return nil
  elseif level == 0 then
    return 0, #value - 1
  elseif #value < HEADER_SIZE then
    return nil
  end
  local _, length = string.unpack(HEADER, value)
  if length <= span(level - 1, size) or length > span(level, size) then
    return nil -- a blob of this length has another level
  end
  return level, length
end

--- Returns the parts of a chunk above level 0; nil unless the chunk has this
--- level and length.
---@param value string
---@param size integer  bytes of a key
---@param level integer
---@param length integer  bytes of data below it
---@return { key: string, offset: integer, length: integer }[]? parts
function M.parts_of(value, size, level, length)
  local part = span(level - 1, size)
  local count = (length + part - 1) // part
  if #value ~= HEADER_SIZE + count * size
    or value:sub(1, HEADER_SIZE) ~= string.pack(HEADER, level, length)
  then
    return nil
  end
  local parts = {}
  for i = 1, count do
    local first = HEADER_SIZE + (i - 1) * size
    local offset = (i - 1) * part
    parts[i] = {
      key = value:sub(first + 1, first + size),
      offset = offset,
      length = math.min(part, length - offset),
    }
  end
  return parts
end

--- Returns the data of a chunk of level 0; nil if it has another length.
---@param value string
---@param length integer
---@return string? data
function M.data_of(value, length)
  if #value ~= length + 1 or value:byte() ~= 0 then
    return nil
  end
  return value:sub(2)
end

return M
