--- Blobs: values larger than a datagram, as a Merkle tree of `chunk` records.
--
--     local blob = require("kadenza.blob")
--     local net <close> = kad.sim({ nodes = 20, policies = { blob.policy() } })
--     net:perform(function()
--       local root = assert(blob.put(net.nodes[2], bytes))
--       local same = assert(blob.get(net.nodes[9], root))
--     end)
--
-- A chunk is a record whose key is the hash of its value, so that nobody can
-- pass off another one for it. The chunk of the root, by whose key a blob is
-- named, says how long the blob is, and with that how many chunks there are and
-- what each has to look like. Whatever a stranger publishes, a reader never
-- fetches more than the length that he has agreed to, `max_size`.

local check = require("kadenza.check")
local kad = require("kadenza")
local reader = require("kadenza.blob.reader")
local tree = require("kadenza.blob.tree")

local M = {}

--- Bytes of a blob at most, unless `max_size` says otherwise.
M.MAX_SIZE = 16 * 1024 * 1024

local MAX_MISSING <const> = 64 -- then `get` gives up
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

--- Returns the type of records that blobs are made of, for the `types` of a
--- policy, where it has to be called `chunk`. Whoever holds a chunk republishes
--- it now and then, and forgets it `ttl` seconds after it was put last.
---@param options? { ttl?: integer, republish?: integer }  seconds: a day, an
---  hour
---@return kadenza.Type type
function M.chunk(options)
  return make_type(check.with_defaults(options, 2, TYPE_OPTIONS))
end

--- Returns a policy that does nothing but hold chunks.
---@param options? { ttl?: integer, republish?: integer }
---@return kadenza.Policy policy
function M.policy(options)
  local chunk = make_type(check.with_defaults(options, 2, TYPE_OPTIONS))
  return { name = "blob", version = 1, types = { chunk = chunk } }
end

---------------------------------------------------------------- writing --

-- What is being put. Its workers take chunk after chunk; the first that cannot
-- be stored ends them all.
local Writer = {}
Writer.__index = Writer

function Writer:store(chunk)
  local options = { type = "chunk", ttl = self.options.ttl }
  local info, message, code, details =
    reader.persist(self.node, self.options.attempts, function()
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

-- Stores the chunks up to `last`.
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

local function report_failure(writer, root)
  local failure = writer.failure
  return nil, string.format("%d of %d chunks are stored: %s", writer.done,
    #writer.chunks, failure.message), failure.code,
    { root = root, key = failure.key, krpc = failure.krpc,
      stored = writer.stored }
end

--- Stores bytes, up to `max_size` of them. Returns the key of the root, with
--- which `get` finds them, and details: `size` in bytes, `chunks`, and `nodes`,
--- the number of nodes that took the chunk that the fewest took. When it fails,
--- pass the `stored` of the details back as an option to go on from there. To
--- keep a blob longer than its `ttl`, put it again.
---@async
---@param node kadenza.Node  whose policies have the type `chunk`
---@param bytes string
---@param options? { parallel?: integer, attempts?: integer, ttl?: integer,
---  max_size?: integer, stored?: table<string, true>,
---  on_progress?: fun(done: integer, total: integer) }  chunks at a time, 8;
---  tries of each, 3; `stored` is filled with the keys of what is stored;
---  on_progress is told chunks
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
    kad.sleep(0) -- others have their turn
  end)
  local writer = setmetatable({ node = node, options = checked,
    chunks = chunks, stored = checked.stored or {}, next = 1, done = 0 },
    Writer)
  writer:run(#chunks - 1)
  if not writer.failure then
    writer:run(#chunks) -- the root comes last: whoever finds it finds all
  end
  if writer.failure then
    return report_failure(writer, root)
  end
  return root, { size = #bytes, chunks = #chunks, nodes = writer.least }
end

---------------------------------------------------------------- reading --

--- Opens a blob for reading in order, from the byte `offset` on, 0 unless it
--- is given. Fetches its root.
---@async
---@param node kadenza.Node  whose policies have the type `chunk`
---@param root string
---@param options? { offset?: integer, parallel?: integer, attempts?: integer,
---  max_size?: integer, cache?: table<string, string> }  as of `get`
---@return kadenza.blob.Reader? opened
---@return string? message
---@return kadenza.Code? code
---@return table? details
function M.open(node, root, options)
  check.node(node, 2)
  check.id(node, root, "the root of a blob", 2)
  local checked = check.with_defaults(options, 2, OPTIONS, OPEN_OPTIONS)
  return reader.open(node, root, checked)
end

-- Reads all that can be had: its parts, how many bytes, and what is missing; or
-- nil and what a reader returns for a tree that is malformed.
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

--- Fetches a blob, chunks in parallel, each verified. Returns its bytes. If
--- some cannot be had, returns nil, message, code and details: `missing`, a
--- list of { key, offset, length, code }, at most 64. What has been fetched is
--- in `cache`, key → chunk: pass the same table again to go on, also after a
--- cancel. It is verified when it is used, so that it may come from a disk.
---@async
---@param node kadenza.Node  whose policies have the type `chunk`
---@param root string
---@param options? { parallel?: integer, attempts?: integer,
---  max_size?: integer, cache?: table<string, string>,
---  on_progress?: fun(done: integer, total: integer) }  chunks at a time, 8;
---  tries of each, 3; 16 MiB; on_progress is told bytes
---@return string? bytes
---@return string? message
---@return kadenza.Code? code
---@return table? details
function M.get(node, root, options)
  check.node(node, 2)
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
