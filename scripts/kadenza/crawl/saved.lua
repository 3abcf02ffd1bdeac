--- The file of a crawl: what it knows, so that a later run goes on with it.
--
-- It is a bencoded dictionary with a `version`, the hash of `body` and `body`,
-- another one. Nodes and info hashes are packed in one string each. A file that
-- is damaged, or none of ours, is refused and left as it is. Times are saved as
-- the seconds that are left, with a reading of the clocks: see kadenza.clock.
-- Tested by tests/spec/crawl_spec.lua.

local clock = require("kadenza.clock")
local core = require("kadenza.core")
local key = require("kadenza.key")

local M = {}

local VERSION <const> = 1
local FORMAT <const> = "kadenza crawl"
local MAX_BYTES <const> = 256 << 20
local MAX_TABLES <const> = 2 -- of each of the two dictionaries

--- Longest time in seconds until a node may be asked again (BEP 51).
M.MAX_REST = 21600

local NODE <const> = ">s1s1BI4I4" -- address, id, kind, rest, num
local MIN_NODE <const> = 1 + 1 + 1 + 20 + 1 + 4 + 4

-- The kinds of nodes by their number in the file.
local KINDS <const> = { [0] = "new", "sampled", "plain", "silent" }
local NUMBERS <const> = { sampled = 1, plain = 2, silent = 3 }

---@class kadenza.crawl.Saved
---@field nodes { address: string, id: string, kind?: string, rest: number,
---  num: integer }[]  `rest`: seconds until it may be asked again
---@field infohashes string[]
---@field queries integer  sent by all runs so far
---@field seconds number  that they took

local function refuse(path, problem)
  return nil, ("%s: %s: it is left unchanged; give another file"):format(path,
    problem), "KAD_EMALFORMED"
end

local function is_count(value)
  return math.type(value) == "integer" and value >= 0
end

-- Returns the dictionary in `bytes`, or nil.
local function decode(bytes)
  if core.bencode_tables(bytes) > MAX_TABLES then
    return nil
  end
  local value = core.decode(bytes)
  return type(value) == "table" and value or nil
end

-- Returns the body in the bytes of a file, or nil and what is wrong.
local function read_body(bytes)
  local value = decode(bytes)
  if not value or value.format ~= FORMAT then
    return nil, "it is not the state of a crawl, or it is cut"
  elseif not is_count(value.version) or value.version < 1 then
    return nil, "it has no version"
  elseif value.version > VERSION then
    return nil, "it is of a newer kadenza"
  elseif type(value.body) ~= "string" or key.hash(value.body) ~= value.hash then
    return nil, "it is damaged"
  end
  return decode(value.body)
end

-- Returns the node at `at` and the place behind it, or nil.
local function unpack_node(packed, at, id_size, elapsed)
  if #packed - at + 1 < MIN_NODE then
    return nil
  end
  local fits, text, id, kind, rest, num, next_at =
    pcall(string.unpack, NODE, packed, at)
  local address = fits and core.address(text)
  if not address or #id ~= id_size or not KINDS[kind] then
    return nil
  end
  return {
    address = address,
    id = id,
    kind = NUMBERS[KINDS[kind]] and KINDS[kind],
    rest = math.max(math.min(rest, M.MAX_REST) - elapsed, 0),
    num = num,
  }, next_at
end

local function unpack_nodes(packed, id_size, elapsed)
  local nodes, at = {}, 1
  while at <= #packed do
    local node, next_at = unpack_node(packed, at, id_size, elapsed)
    if not node then
      return nil
    end
    nodes[#nodes + 1] = node
    at = next_at
  end
  return nodes
end

local function unpack_ids(packed, size)
  local ids = {}
  for at = 1, #packed, size do
    ids[#ids + 1] = packed:sub(at, at + size - 1)
  end
  return ids
end

-- Tells whether a body has the fields that every one has.
local function has_fields(body)
  return type(body.nodes) == "string" and type(body.infohashes) == "string"
    and is_count(body.queries) and is_count(body.seconds)
    and is_count(body.time) and is_count(body.boot)
end

-- Returns the seconds since a body was saved.
local function elapsed_since(body, now)
  local boot_id = type(body.boot_id) == "string" and body.boot_id or nil
  return clock.elapsed({ wall = body.time, boot = body.boot,
    boot_id = boot_id }, now)
end

-- Returns the state in the bytes of a file, or nil and what is wrong.
local function read(bytes, bits, now)
  local body, problem = read_body(bytes)
  if not body then
    return nil, problem or "it is damaged"
  elseif body.bits ~= bits then
    return nil, ("it is of an overlay whose ids have %s bits, not %d"):format(
      is_count(body.bits) and body.bits or "other", bits)
  elseif not has_fields(body) or #body.infohashes % (bits // 8) ~= 0 then
    return nil, "it is damaged"
  end
  local nodes = unpack_nodes(body.nodes, bits // 8, elapsed_since(body, now))
  if not nodes then
    return nil, "it is damaged"
  end
  return { nodes = nodes, infohashes = unpack_ids(body.infohashes, bits // 8),
    queries = body.queries, seconds = body.seconds }
end

--- Reads the file of a crawl. Returns false if there is none; nil, a message
--- and a code for a file that is not a valid one.
---@param path string
---@param bits integer  of the overlay's ids
---@param now kadenza.Reading
---@return kadenza.crawl.Saved|false|nil saved
---@return string? message
---@return kadenza.Code? code
function M.read(path, bits, now)
  local bytes, message, code = core.read_saved(path, MAX_BYTES)
  if not bytes then
    return bytes, message, code
  end
  local saved, problem = read(bytes, bits, now)
  if not saved then
    return refuse(path, problem)
  end
  return saved
end

local function pack_nodes(nodes)
  local packed = {}
  for i, node in ipairs(nodes) do
    packed[i] = NODE:pack(node.address, node.id, NUMBERS[node.kind] or 0,
      math.ceil(math.min(math.max(node.rest, 0), M.MAX_REST)), node.num)
  end
  return table.concat(packed)
end

--- Writes the file of a crawl: a reader finds the old one or the new one.
---@param path string
---@param state kadenza.crawl.Saved
---@param bits integer
---@param now kadenza.Reading
---@return true? written
---@return string? message
---@return kadenza.Code? code
function M.write(path, state, bits, now)
  local body = core.encode({
    bits = bits,
    nodes = pack_nodes(state.nodes),
    infohashes = table.concat(state.infohashes),
    queries = state.queries,
    seconds = math.floor(state.seconds),
    time = now.wall,
    boot = now.boot,
    boot_id = now.boot_id,
  })
  return core.write_file(path, core.encode({ format = FORMAT,
    version = VERSION, hash = key.hash(body), body = body }), "private")
end

return M
