--- Reads a blob in order, and fetches some chunks ahead.

local kad = require("kadenza")
local tree = require("kadenza.blob.tree")

local M = {}

local AHEAD <const> = 4 -- chunks fetched ahead, for each that is under way
local RETRY_SECONDS <const> = 0.5

-- Failures that another attempt will not mend.
local FINAL <const> = { KAD_ECLOSED = true, KAD_ECANCELED = true,
  KAD_ETYPE = true, KAD_EINVAL = true }

---@class kadenza.blob.Reader
---@field size integer  bytes of the blob
local Reader = {}
Reader.__index = Reader
Reader.__name = "kadenza.blob.Reader"

--- Calls `try(attempt)` until it returns something, or so many times.
---@async
---@param node kadenza.Node
---@param attempts integer
---@param try async fun(attempt: integer): any, string?, string?, table?
---@return any ...  as of the last try
function M.persist(node, attempts, try)
  local message, code, details
  for attempt = 1, attempts do
    if not node:is_open() then
      return nil, "closed node", "KAD_ECLOSED"
    end
    local result
    result, message, code, details = try(attempt)
    if result or FINAL[code] then
      return result, message, code, details
    elseif attempt < attempts then
      kad.sleep(RETRY_SECONDS * attempt)
    end
  end
  return nil, message, code, details
end

--------------------------------------------------------------- fetching --

-- Returns a chunk that another node gave for `key`.
local function ask_for(node, key, attempt)
  -- The first answer will do, unless it was a wrong one.
  local records, message, code = node:get(key,
    { type = "chunk", all = true, quorum = attempt == 1 and 1 or nil })
  for _, record in ipairs(records or {}) do
    if tree.key_of(record.value, #key) == key then
      return record.value
    end
  end
  return nil, message or "not found", code or "KAD_ENOTFOUND"
end

-- Returns the chunk of a key, from the cache or from others.
local function fetch(reader, key)
  local cache = reader.options.cache or {}
  local kept = cache[key]
  if type(kept) == "string" and tree.key_of(kept, #key) == key then
    return kept
  end
  local value, message, code =
    M.persist(reader.node, reader.options.attempts, function(attempt)
      return ask_for(reader.node, key, attempt)
    end)
  if value then
    cache[key] = value
  end
  return value, message, code
end

-- Fetches what an item names. Whoever reads raises what has gone wrong there.
local function fill_item(reader, item)
  local fine, value, message, code = pcall(fetch, reader, item.key)
  if fine then
    item.value, item.message, item.code = value, message, code
  else
    item.raised = { value }
  end
  item.done = true
  reader.active = reader.active - 1
  reader.tasks[item] = nil
  if reader.wake then
    reader.wake()
  end
end

-- Starts what comes next, as much as may be under way.
local function look_ahead(reader)
  local items, parallel = reader.items, reader.options.parallel
  for i = #items, math.max(1, #items - AHEAD * parallel + 1), -1 do
    local item = items[i]
    if reader.active >= parallel then
      return
    elseif not item.started then
      item.started = true
      reader.active = reader.active + 1
      local work = kad.spawn(fill_item, reader, item)
      reader.tasks[item] = not item.done and work or nil
    end
  end
end

-- Waits until the next item is there, and returns it; nil at the end.
local function take(reader)
  local item = reader.items[#reader.items]
  while item and not item.done do
    look_ahead(reader)
    if not item.done then
      kad.wait(function(resume)
        reader.wake = resume
      end)
      reader.wake = nil
    end
    if reader.items[#reader.items] ~= item then
      return nil -- it was closed meanwhile
    end
  end
  reader.items[#reader.items] = nil
  return item
end

---------------------------------------------------------------- reading --

-- Replaces an item above level 0 by its parts, but for those before the start.
-- The next item is the last of the list. Returns nil if the chunk is malformed.
local function expand(reader, item)
  local parts =
    tree.parts_of(item.value, #item.key, item.level, item.length)
  for i = #(parts or {}), 1, -1 do
    local part = parts[i]
    part.level = item.level - 1
    part.offset = item.offset + part.offset
    if part.offset + part.length > reader.options.offset then
      table.insert(reader.items, part)
    end
  end
  return parts
end

-- Returns what `read` does of an item of level 0; nil if it is malformed.
local function deliver(reader, item)
  local data = tree.data_of(item.value, item.length)
  if not data then
    return nil
  end
  local skip = math.max(reader.options.offset - item.offset, 0)
  return data:sub(1 + skip), item.offset + skip
end

local function malformed(reader, item)
  reader:close()
  return nil, string.format("the tree is malformed at byte %d", item.offset),
    "KAD_EMALFORMED", { key = item.key, offset = item.offset }
end

local function missing(item)
  return nil, string.format("%d bytes from %d on are missing: %s", item.length,
    item.offset, item.message), item.code,
    { key = item.key, offset = item.offset, length = item.length }
end

--- Returns the next bytes of the blob and their offset, from 0 on; nil alone at
--- the end or when the reader is closed. When they cannot be had, returns nil,
--- message, code and a table with `key`, `offset` and `length` of what is
--- missing: the next call goes on behind it. One task reads at a time.
---@async
---@return string? bytes
---@return integer|string? offset
---@return kadenza.Code? code
---@return table? details
function Reader:read()
  local item = take(self)
  while item do
    if item.raised then
      error(item.raised[1], 0)
    elseif not item.value then
      return missing(item)
    elseif item.level == 0 then
      local data, offset = deliver(self, item)
      if not data then
        return malformed(self, item)
      end
      return data, offset
    elseif not expand(self, item) then
      return malformed(self, item)
    end
    item = take(self)
  end
  return nil
end

--- Ends the reader: what it fetches is withdrawn. A `<close>` variable does so
--- at the end of its scope.
function Reader:close()
  local tasks = self.tasks
  self.items, self.tasks = {}, {}
  for _, work in pairs(tasks) do
    work:cancel()
  end
  if self.wake then
    self.wake()
  end
end

Reader.__close = Reader.close

---------------------------------------------------------------- opening --

--- Opens a blob, with options that have been checked. Fetches its root.
---@async
---@param node kadenza.Node
---@param root string
---@param options { parallel: integer, attempts: integer, max_size: integer,
---  offset: integer, cache: table<string, string>? }
---@return kadenza.blob.Reader? reader
---@return string? message
---@return kadenza.Code? code
---@return table? details
function M.open(node, root, options)
  local reader = setmetatable({ node = node, options = options, active = 0,
    tasks = {}, items = {} }, Reader)
  local value, message, code = fetch(reader, root)
  if not value then
    return nil, "the root of the blob is missing: " .. message, code,
      { missing = { { key = root, offset = 0, code = code } } }
  end
  local level, length = tree.read_root(value, #root)
  if not level then
    return nil, "this is not the root of a blob", "KAD_EMALFORMED",
      { key = root, offset = 0 }
  elseif length > options.max_size then
    return nil, string.format("the blob has %d bytes: over max_size, %d",
      length, options.max_size), "KAD_ETOOBIG", { size = length }
  end
  reader.size = length
  if length > options.offset then
    reader.items[1] = { key = root, level = level, offset = 0,
      length = length, value = value, started = true, done = true }
  end
  return reader
end

return M
