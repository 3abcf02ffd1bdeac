--- Reads a blob in order, and fetches chunks ahead.

local kad = require("kadenza")
local tree = require("kadenza.blob.tree")

local M = {}

local AHEAD <const> = 4 -- chunks to look ahead, for each parallel fetch
local RETRY_SECONDS <const> = 0.5

-- Errors that are not tried again.
local FINAL <const> = { KAD_ECLOSED = true, KAD_ECANCELED = true,
  KAD_ETYPE = true, KAD_EINVAL = true }

---@class kadenza.blob.Reader
---@field size integer  bytes of the blob
local Reader = {}
Reader.__index = Reader
Reader.__name = "kadenza.blob.Reader"

--- Calls `try(attempt)` until it succeeds, at most `attempts` times.
---@async
---@param node kadenza.Node
---@param attempts integer
---@param try async fun(attempt: integer): any, string?, string?, table?
---@return any ...  of the last attempt
function M.retry(node, attempts, try)
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

-- Gets a chunk from the overlay.
local function get_chunk(node, key, attempt)
  -- One value is enough, unless the first attempt found a wrong one.
  local records, message, code = node:get(key,
    { type = "chunk", all = true, quorum = attempt == 1 and 1 or nil })
  for _, record in ipairs(records or {}) do
    if tree.key_of(record.value, #key) == key then
      return record.value
    end
  end
  return nil, message or "not found", code or "KAD_ENOTFOUND"
end

-- Returns the chunk of a key, from the cache or from the overlay.
local function fetch(reader, key)
  local cache = reader.options.cache or {}
  local kept = cache[key]
  if type(kept) == "string" and tree.key_of(kept, #key) == key then
    return kept
  end
  local value, message, code =
    M.retry(reader.node, reader.options.attempts, function(attempt)
      return get_chunk(reader.node, key, attempt)
    end)
  if value then
    cache[key] = value
  end
  return value, message, code
end

-- Fetches the chunk of an item. `Reader:read` raises the errors.
local function fetch_item(reader, item)
  local succeeded, value, message, code = pcall(fetch, reader, item.key)
  if succeeded then
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

-- Starts the fetches of the next items, at most `parallel` at a time.
local function start_fetches(reader)
  local items, parallel = reader.items, reader.options.parallel
  for i = #items, math.max(1, #items - AHEAD * parallel + 1), -1 do
    local item = items[i]
    if reader.active >= parallel then
      return
    elseif not item.started then
      item.started = true
      reader.active = reader.active + 1
      local work = kad.spawn(fetch_item, reader, item)
      reader.tasks[item] = not item.done and work or nil
    end
  end
end

-- Waits for the next item, removes and returns it; nil at the end.
local function take_item(reader)
  local item = reader.items[#reader.items]
  while item and not item.done do
    start_fetches(reader)
    if not item.done then
      kad.wait(function(resume)
        reader.wake = resume
      end)
      reader.wake = nil
    end
    if reader.items[#reader.items] ~= item then
      return nil -- closed while it waited
    end
  end
  reader.items[#reader.items] = nil
  return item
end

---------------------------------------------------------------- reading --

-- Replaces an item above level 0 by its parts, without those before the start.
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

-- Returns the data of an item of level 0 and its offset; nil if it is
-- malformed.
local function data_of(reader, item)
  local data = tree.data_of(item.value, item.length)
  if not data then
    return nil
  end
  local skip = math.max(reader.options.offset - item.offset, 0)
  return data:sub(1 + skip), item.offset + skip
end

-- Closes the reader: behind a malformed tree the offsets are unknown.
local function fail_malformed(reader, item)
  reader:close()
  return nil, string.format("the tree is malformed at byte %d", item.offset),
    "KAD_EMALFORMED", { key = item.key, offset = item.offset }
end

local function missing_failure(item)
  return nil, string.format("%d bytes from %d on are missing: %s", item.length,
    item.offset, item.message), item.code,
    { key = item.key, offset = item.offset, length = item.length }
end

--- Returns the next bytes of the blob and their offset, which begins at 0; nil
--- alone at the end, or if the reader is closed. If a chunk is missing, returns
--- nil, message, code and a table with its `key`, `offset` and `length`; the
--- next call continues behind it. A malformed tree (KAD_EMALFORMED) closes the
--- reader. Only one task may read at a time.
---@async
---@return string? bytes
---@return integer|string? offset
---@return kadenza.Code? code
---@return table? details
function Reader:read()
  local item = take_item(self)
  while item do
    if item.raised then
      error(item.raised[1], 0)
    elseif not item.value then
      return missing_failure(item)
    elseif item.level == 0 then
      local data, offset = data_of(self, item)
      if not data then
        return fail_malformed(self, item)
      end
      return data, offset
    elseif not expand(self, item) then
      return fail_malformed(self, item)
    end
    item = take_item(self)
  end
  return nil
end

--- Closes the reader and cancels its fetches. A `<close>` variable does so at
--- the end of its scope.
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

--- Opens a blob and fetches its root. The options have been checked.
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
