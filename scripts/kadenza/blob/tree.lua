--- The tree that a blob is: how its chunks are written and read.
--
-- A chunk is a record whose key is the hash of its value. Its first byte is its
-- level. One of level 0 holds data. One above holds the number of bytes below
-- it (8 bytes, the highest first) and then the keys of its parts, in order: all
-- but the last are full. So the level and the length of a chunk say what its
-- parts have to be.

local kad = require("kadenza")

local M = {}

--- Bytes of data in a chunk at most.
M.DATA = 999

--- Bytes of a chunk at most.
M.MAX_CHUNK = 1000

local MAX_LEVEL <const> = 6
local PAUSE <const> = 500 -- chunks in a stretch: some 3 ms
local HEADER <const> = ">BI8" -- of a chunk above level 0: level, bytes below
local HEADER_SIZE <const> = 9

--- Returns the key of a chunk in an overlay whose keys have `size` bytes.
---@param value string
---@param size integer
---@return string key
function M.key_of(value, size)
  return kad.key(value, size * 8)
end

-- Returns how many keys of `size` bytes a chunk holds.
local function fan_out(size)
  return (M.MAX_CHUNK - HEADER_SIZE) // size
end

-- Returns the bytes of data below a full chunk.
local function span(level, size)
  return M.DATA * math.tointeger(fan_out(size) ^ level)
end

---------------------------------------------------------------- writing --

local function add_chunk(chunks, value, size)
  local chunk = { key = M.key_of(value, size), value = value }
  if not chunks.known[chunk.key] then
    chunks.known[chunk.key] = true
    chunks[#chunks + 1] = chunk
  end
  return chunk.key
end

-- Makes the chunks of one level of the keys of the one below.
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

--- Returns the chunks of a blob, each once and the root last, and the root's
--- key.
---@param bytes string
---@param size integer  bytes of a key
---@param pause? fun()  called now and then, as it takes a while
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

---------------------------------------------------------------- reading --

--- Returns the level and the length that the chunk of a root claims; nil when
--- it cannot be one.
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
    return nil -- it would be of another level
  end
  return level, length
end

--- Returns the parts of a chunk above level 0, or nil if it is not what a chunk
--- of that level and length has to be.
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

--- Returns the data of a chunk of level 0, or nil if it has another length.
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
