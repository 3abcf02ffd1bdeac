--- Blobs: values larger than a datagram, as a Merkle tree of `chunk` records.
--
--     local blob = require("kadenza.blob")
--     local net <close> = kad.sim({ nodes = 20, policies = { blob.policy() } })
--     net:perform(function()
--       local root = assert(blob.put(net.nodes[2], bytes))
--       local same = assert(blob.get(net.nodes[9], root))
--     end)
--
-- A chunk is a record whose key is the hash of its value, so that it cannot be
-- forged. The key of the root chunk names the blob. The root contains the
-- length of the blob, from which the number and the form of all chunks follow.
-- A reader never fetches more than `max_size` bytes, whatever others publish.

local check = require("kadenza.check")
local kad = require("kadenza")
local reader = require("kadenza.blob.reader")
local tree = require("kadenza.blob.tree")

local M = {}

--- Default of `max_size`, in bytes.
M.MAX_SIZE = 16 * 1024 * 1024

local MAX_MISSING <const> = 64 -- chunks after which `get` fails
local MAX_LIFE <const> = 2592000 -- seconds: 30 days

local OPTIONS <const> = {
  parallel = { default = 8, kind = "integer", from = 1, to = 64 },
  attempts = { default = 3, kind = "integer", from = 1, to = 100 },
  max_size = { default = M.MAX_SIZE, kind = "integer", from = 0, to = 1 << 40 },
}
local OPEN_OPTIONS <const> = {
  cache = { kind = "table" },
  offset = { default = 0, kind = "integer", from = 0, to = 1 << 40 },
}
local GET_OPTIONS <const> = {
  cache = { kind = "table" },
  on_progress = { kind = "function" },
}
local PUT_OPTIONS <const> = {
  on_progress = { kind = "function" },
  stored = { kind = "table" },
  ttl = { kind = "integer", from = 1, to = MAX_LIFE },
}
local TYPE_OPTIONS <const> = {
  republish = { default = 3600, kind = "integer", from = 1, to = MAX_LIFE },
  ttl = { default = 86400, kind = "integer", from = 1, to = MAX_LIFE },
}

local function validate(record)
  if record.publisher or record.seq or record.salt then
    return nil, "a chunk is neither signed nor numbered"
  elseif tree.key_of(record.value, #record.key) ~= record.key then
    return nil, "the key of a chunk is the hash of its value"
  end
  return true
end

local function make_type(options)
  return {
    max_size = tree.MAX_CHUNK,
    max_values = 1,
    ttl = options.ttl,
    republish = options.republish,
    validate = validate,
  }
end

--- Makes the type of chunks, for the `types` of a policy, where its name must
--- be `chunk`. A holder republishes a chunk every `republish` seconds (an
--- hour), and drops it `ttl` seconds (a day) after the last put.
---@param options? { ttl?: integer, republish?: integer }
---@return kadenza.Type type
function M.chunk(options)
  return make_type(check.with_defaults(options, 2, TYPE_OPTIONS))
end

--- Makes a policy that only holds chunks.
---@param options? { ttl?: integer, republish?: integer }
---@return kadenza.Policy policy
function M.policy(options)
  local chunk = make_type(check.with_defaults(options, 2, TYPE_OPTIONS))
  return { name = "blob", version = 1, types = { chunk = chunk } }
end

---------------------------------------------------------------- writing --

-- A put in progress. Its workers store one chunk after the other; the first
-- chunk that cannot be stored ends all of them.
local Writer = {}
Writer.__index = Writer

function Writer:store(chunk)
  local options = { type = "chunk", ttl = self.options.ttl }
  local info, message, code, details =
    reader.retry(self.node, self.options.attempts, function()
      return self.node:put(chunk.key, chunk.value, options)
    end)
  if info then
    self.stored[chunk.key] = true
    self.least = math.min(self.least or info.stored, info.stored)
  else
    self.failure = self.failure or { message = message, code = code,
      krpc = details and details.krpc, key = chunk.key }
  end
end

function Writer:work()
  while self.next <= self.last and not self.failure do
    local chunk = self.chunks[self.next]
    self.next = self.next + 1
    if not self.stored[chunk.key] then
      self:store(chunk)
    end
    if self.stored[chunk.key] then
      self.done = self.done + 1
      if self.options.on_progress then
        self.options.on_progress(self.done, #self.chunks)
      end
    end
  end
end

-- Stores the chunks up to number `last`.
function Writer:run(last)
  self.last = last
  local workers = {}
  for i = 1, math.min(self.options.parallel, last - self.next + 1) do
    workers[i] = function()
      self:work()
    end
  end
  kad.all(workers)
end

local function put_failure(writer, root)
  local failure = writer.failure
  return nil, string.format("%d of %d chunks are stored: %s", writer.done,
    #writer.chunks, failure.message), failure.code,
    { root = root, key = failure.key, krpc = failure.krpc,
      stored = writer.stored }
end

--- Stores bytes, at most `max_size`. Returns the key of the root, for `get`,
--- and details: `size` in bytes, `chunks`, and `nodes`, the smallest number of
--- nodes that accepted a chunk. To continue after a failure, pass `stored` of
--- its details as an option. Put a blob again before its `ttl` has passed to
--- keep it.
---@async
---@param node kadenza.Node  whose policies have the type `chunk`
---@param bytes string
---@param options? { parallel?: integer, attempts?: integer, ttl?: integer,
---  max_size?: integer, stored?: table<string, true>,
---  on_progress?: fun(done: integer, total: integer) }  chunks at a time, 8;
---  attempts for each, 3; `stored` receives the keys of stored chunks;
---  on_progress gets numbers of chunks
---@return string? root
---@return table|string details
---@return kadenza.Code? code
---@return table? details
function M.put(node, bytes, options)
  check.node(node, 2)
  check.kind(bytes, "string", "what a blob is made of", 2)
  local checked = check.with_defaults(options, 2, OPTIONS, PUT_OPTIONS)
  if #bytes > checked.max_size then
    return nil, string.format("the blob has %d bytes: over max_size, %d",
      #bytes, checked.max_size), "KAD_ETOOBIG", { size = #bytes }
  end
  local chunks, root = tree.build(bytes, node:id_bits() // 8, function()
    kad.sleep(0) -- let other tasks run
  end)
  local writer = setmetatable({ node = node, options = checked,
    chunks = chunks, stored = checked.stored or {}, next = 1, done = 0 },
    Writer)
  writer:run(#chunks - 1)
  if not writer.failure then
    writer:run(#chunks) -- the root last: if it is found, all chunks are stored
  end
  if writer.failure then
    return put_failure(writer, root)
  end
  return root, { size = #bytes, chunks = #chunks, nodes = writer.least }
end

---------------------------------------------------------------- reading --

--- Opens a blob for reading in order from the byte `offset` (0) on, and fetches
--- its root.
---@async
---@param node kadenza.Node  whose policies have the type `chunk`
---@param root string
---@param options? { offset?: integer, parallel?: integer, attempts?: integer,
---  max_size?: integer, cache?: table<string, string> }  see `get`
---@return kadenza.blob.Reader? opened
---@return string? message
---@return kadenza.Code? code
---@return table? details
function M.open(node, root, options)
  check.id(node, root, "the root of a blob", 2)
  local checked = check.with_defaults(options, 2, OPTIONS, OPEN_OPTIONS)
  return reader.open(node, root, checked)
end

-- Reads all chunks that are found. Returns their bytes, the number of these,
-- and a list of missing chunks; or nil and the failure of a malformed tree.
local function read_all(opened, on_progress)
  local parts, got, gaps = {}, 0, {}
  repeat
    local bytes, message, code, details = opened:read()
    if bytes then
      parts[#parts + 1], got = bytes, got + #bytes
      if on_progress then
        on_progress(got, opened.size)
      end
    elseif code and not details.length then
      return nil, message, code, details
    elseif code then
      details.code = code
      gaps[#gaps + 1] = details
    end
  until not bytes and not code or #gaps >= MAX_MISSING
  return parts, got, gaps
end

--- Fetches the bytes of a blob: several chunks at a time, each verified. If
--- chunks are missing, returns nil, message, code and details: `missing` is a
--- list of { key, offset, length, code }, at most 64. `cache`, key → chunk,
--- receives the chunks that are fetched: pass the same table again to continue
--- after a failure or a cancel. Cached chunks are verified when they are used,
--- so a cache may be loaded from a disk.
---@async
---@param node kadenza.Node  whose policies have the type `chunk`
---@param root string
---@param options? { parallel?: integer, attempts?: integer,
---  max_size?: integer, cache?: table<string, string>,
---  on_progress?: fun(done: integer, total: integer) }  chunks at a time, 8;
---  attempts for each, 3; 16 MiB; on_progress gets numbers of bytes
---@return string? bytes
---@return string? message
---@return kadenza.Code? code
---@return table? details
function M.get(node, root, options)
  check.id(node, root, "the root of a blob", 2)
  local checked = check.with_defaults(options, 2, OPTIONS, GET_OPTIONS)
  checked.offset = 0
  local opened <close>, message, code, details =
    reader.open(node, root, checked)
  if not opened then
    return nil, message, code, details
  end
  local parts, got, gaps, why = read_all(opened, checked.on_progress)
  if not parts then
    return nil, got, gaps, why
  elseif gaps[1] then
    return nil, string.format("%d of %d bytes are missing, in %d parts",
      opened.size - got, opened.size, #gaps), gaps[1].code,
      { size = opened.size, got = got, missing = gaps }
  end
  return table.concat(parts)
end

return M
