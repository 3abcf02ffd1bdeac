--- Storing and publishing values, and announcing peers. `kadenza.node` makes
--- these functions methods of its nodes; see `kadenza.operation`.
--- Tested by tests/spec/operation_spec.lua.

local check = require("kadenza.check")
local core = require("kadenza.core")
local lookup_options = require("kadenza.lookup_options")
local operation = require("kadenza.operation")
local size_limit = require("kadenza.size_limit")

---@class kadenza.Node
local Node = {}

-- Returns the signature of a record; that of a mutable item is of BEP 44.
local function sign(self, record, secret)
  if record.type == "mutable" and record.seq and record.seq >= 0 then
    return core.sign_item(record.value, record.salt, record.seq, secret)
  end
  return core.sign(record, secret, self.core:id_bits())
end

-- Makes the record of a put, and signs it if there is a secret. Returns nil,
-- message, code if it cannot be signed.
local function make_record(self, key, value, options)
  local record = {
    key = key,
    type = options.type or "value",
    value = value,
    ttl = options.ttl,
    seq = options.seq,
    salt = options.salt,
    publisher = options.publisher,
    signature = options.signature,
  }
  if not options.secret then
    return record
  elseif #value > size_limit.VALUE then
    return nil, core.errors.KAD_ETOOBIG, "KAD_ETOOBIG"
  end
  local message, code
  record.publisher = options.secret:sub(33)
  record.signature, message, code = sign(self, record, options.secret)
  if not record.signature then
    return nil, message, code
  end
  return record
end

-- Stores a value; `publish` makes it a publication. Mistakes are raised in the
-- name of the caller of `put` or `publish`, which call this by a tail call.
local function store(self, key, value, options, callback, publish)
  check.id(self, key, "key", 2)
  check.kind(value, "string", "value", 2)
  local lookup
  lookup, options, callback =
    lookup_options.read(options, callback, lookup_options.PUT, 2)
  lookup.publish = publish
  local record, message, code = make_record(self, key, value, options)
  local start = record and operation.start(self, "put", record, lookup)
    or function(done) done(nil, message, code) end
  return operation.run(self, callback, operation.count_stored(
    size_limit.of_value(start, self, value), lookup.min_stored))
end

--- Stores a value at the nodes closest to its key. Returns details: `stored` of
--- `asked` nodes accepted it, this one included. A node that reaches no other
--- holds the value itself, `stored` is 1, and gives it to others that it meets;
--- `min_stored` asks for more.
---@async
---@param key string
---@param value string
---@param options? kadenza.PutOptions
---@param callback? fun(...)
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Node:put(key, value, options, callback)
  check.open(self, 2)
  return store(self, key, value, options, callback, nil)
end

--- Stores a value as `put` does, and keeps it alive: the node stores it again
--- each period, until its ttl has passed or `unpublish` ends this. With a state
--- folder, a node that is opened again goes on publishing its records.
---@async
---@param key string
---@param value string
---@param options? kadenza.PutOptions
---@param callback? fun(...)
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Node:publish(key, value, options, callback)
  check.open(self, 2)
  return store(self, key, value, options, callback, true)
end

--- Announces a peer of an info hash (BEP 5).
---@async
---@param info_hash string
---@param port? integer  without one, that of the node's datagrams
---@param options? kadenza.AnnounceOptions
---@param callback? fun(...)
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Node:announce(info_hash, port, options, callback)
  check.open(self, 2)
  if type(port) == "function" then
    port, callback = nil, port
  end
  check.id(self, info_hash, "info_hash", 2)
  if port ~= nil and not (math.type(port) == "integer" and port >= 0
    and port <= 65535) then
    error("port must be an integer in 0 to 65535", 2)
  end
  local lookup, _, done =
    lookup_options.read(options, callback, lookup_options.ANNOUNCE, 2)
  local start = operation.start(self, "announce", info_hash, port or 0, lookup)
  return operation.run(self, done,
    operation.count_stored(start, lookup.min_stored))
end

return Node
