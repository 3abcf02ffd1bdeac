--- Putting and getting the items of BEP 44. `kadenza.node` makes these
--- functions methods of its nodes; see `kadenza.operation`.
--
-- An item is a value under a target of 160 bits, in a form that all nodes of
-- BitTorrent's DHT know. An immutable item is found by the hash of its value. A
-- mutable one is found by the public key of its publisher, who signs each
-- version with a higher sequence number:
--
--     local target = node:put_immutable({ name = "kadenza", year = 2026 })
--     local value = node:get_immutable(target)
--
--     local pair = kad.keypair()
--     node:put_mutable { key = pair, value = "hello" }
--     local news, info = node:get_mutable(pair.publisher)
--     print(news, info.seq)

local check = require("kadenza.check")
local core = require("kadenza.core")
local item = require("kadenza.item")
local lookup_options = require("kadenza.lookup_options")
local operation = require("kadenza.operation")
local size_limit = require("kadenza.size_limit")
local task = require("kadenza.task")

---@class kadenza.Node
local Node = {}

local TARGET_BITS <const> = 160
local SECRET_SIZE <const> = 64

--- Options of `put_immutable`.
---@class kadenza.ItemOptions: kadenza.LookupOptions
---@field raw? boolean  the value is bencoded already
---@field publish? boolean  keeps the item alive, as `publish` does
---@field ttl? integer  life of the item in seconds; only nodes of kadenza know
---  it, others keep an item for about two hours
---@field min_stored? integer  as of `put`

--- Options of `put_mutable`. Instead of `key`, the item may have the signature
--- of its publisher: then it needs `publisher`, `signature` and `seq`.
---@class kadenza.MutableOptions: kadenza.ItemOptions
---@field value any  string, integer, list or table
---@field key? string|{ secret: string }  secret key, or a pair of `kad.keypair`
---@field salt? string  at most 64 bytes; distinguishes items of one key
---@field seq? integer  sequence number, from 0; without it, the next one
---@field cas? integer  put only if the stored item has this sequence number, or
---  none is stored
---@field publisher? string
---@field signature? string

--- Options of `get_immutable`.
---@class kadenza.GetImmutableOptions: kadenza.LookupOptions
---@field raw? boolean  return the bencoded value
---@field quorum? integer  end when so many contacts have returned the item

--- Options of `get_mutable`.
---@class kadenza.GetMutableOptions: kadenza.GetImmutableOptions
---@field salt? string
---@field seq? integer  find only an item with a higher sequence number

-- Tells whether a value is a secret key, or a pair with one.
local function is_key(value)
  local secret = type(value) == "table" and value.secret or value
  return type(secret) == "string" and #secret == SECRET_SIZE
end

local COUNTER <const> = { kind = "integer", from = 0, to = math.maxinteger }
local PUT <const> = lookup_options.PUT
local PUT_IMMUTABLE <const> = { raw = "boolean", publish = "boolean",
  ttl = PUT.ttl, min_stored = PUT.min_stored }
local PUT_MUTABLE <const> = {
  raw = "boolean",
  publish = "boolean",
  ttl = PUT.ttl,
  min_stored = PUT.min_stored,
  value = { required = "what to store" },
  key = { is = is_key, name = "a secret key of 64 bytes, or a key pair" },
  salt = PUT.salt,
  seq = COUNTER,
  cas = COUNTER,
  publisher = PUT.publisher,
  signature = PUT.signature,
}
local GET_IMMUTABLE <const> = { raw = "boolean",
  quorum = lookup_options.GET.quorum }
local GET_MUTABLE <const> = { raw = "boolean", salt = PUT.salt, seq = COUNTER,
  quorum = lookup_options.GET.quorum }

-- Raises unless the node is open and its overlay can have items.
local function check_node(self, level)
  check.open(self, level + 1)
  if self:id_bits() ~= TARGET_BITS then
    error(("items need an overlay with ids of %d bits, and this one has %d")
      :format(TARGET_BITS, self:id_bits()), level + 1)
  end
end

---------------------------------------------------------------- failures --

-- What an error of another node means that has a code of our own.
local CODES <const> = { [205] = "KAD_ETOOBIG", [206] = "KAD_ESIGNATURE",
  [207] = "KAD_ETOOBIG" }

-- Returns the failure of a put with the sequence number that stands against it.
local function explain(record, cas, message, code, details)
  local seq = details and details.seq
  if code == "KAD_ECAS" and seq then
    message = ("%s: its sequence number is %d, not %d"):format(message, seq,
      cas)
  elseif code == "KAD_ESEQ" and seq then
    message = ("%s: its sequence number is %d, and %d is not higher"):format(
      message, seq, record.seq)
  elseif code == "KAD_EREMOTE" and details and CODES[details.krpc] then
    code = CODES[details.krpc]
  end
  return nil, message, code, details
end

-- Makes a failed put say why.
local function explaining(start, record, cas)
  return function(done)
    return start(function(result, ...)
      if not result then
        return done(explain(record, cas, ...))
      end
      return done(result)
    end)
  end
end

-------------------------------------------------------------------- puts --

-- Returns the start of the put of a record.
local function start_put(self, record, lookup)
  return explaining(operation.count_stored(
    size_limit.of_value(operation.start(self, "put", record, lookup),
      self, record.value), lookup.min_stored), record, lookup.cas)
end

-- Returns a function that adds the fields of an item to the details of its put,
-- and returns the target first.
local function returning_target(record)
  return function(info)
    info.seq, info.salt = record.seq, record.salt
    info.publisher, info.signature = record.publisher, record.signature
    return record.key, info
  end
end

--- Stores a value as an immutable item, under the hash of its bencoded form.
--- Returns this target, and the details of the put.
---@async
---@param value any  string, integer, list or table
---@param options? kadenza.ItemOptions
---@param callback? fun(...)
---@return string? target  20 bytes
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:put_immutable(value, options, callback)
  check_node(self, 2)
  local lookup
  lookup, options, callback =
    lookup_options.read(options, callback, PUT_IMMUTABLE, 2)
  lookup.publish = options.publish
  local bytes = item.encode(value, options.raw, 2)
  local target, message, code = core.immutable_target(bytes)
  local start
  if target then
    local record =
      { key = target, type = "immutable", value = bytes, ttl = options.ttl }
    start = start_put(self, record, lookup)
    return operation.run(self, callback, start, returning_target(record))
  end
  return operation.run(self, callback, function(done)
    done(item.invalid(bytes, options.raw, message, code))
  end)
end

-- Raises unless the options name one signer.
local function check_signer(options, level)
  local publisher, signature = options.publisher, options.signature
  if options.key == nil and not (publisher and signature) then
    error("option 'key' is missing: the secret key that signs the item",
      level + 1)
  elseif options.key ~= nil and (publisher or signature) then
    error("option 'key' makes the signature: 'publisher' and 'signature' are "
      .. "for an item that is signed", level + 1)
  elseif signature and not options.seq then
    error("option 'seq' is missing: the signature covers it", level + 1)
  end
end

-- Returns the record of a mutable item without sequence number and signature.
local function make_item(options, bytes, secret)
  local publisher = options.publisher or secret:sub(33)
  return {
    type = "mutable",
    key = item.mutable_target(publisher, options.salt),
    value = bytes,
    publisher = publisher,
    signature = options.signature,
    salt = options.salt,
    seq = options.seq,
    ttl = options.ttl,
  }
end

-- Failures of a lookup by which there is no item: that of a node that is alone
-- can only be its own.
local NONE <const> = { KAD_ENOTFOUND = true, KAD_ENOCONTACTS = true }

-- Returns the sequence number of the item that is stored under the key of a
-- record, 0 if none is; or nil, message, code, details.
local function read_seq(self, record, lookup)
  local result, message, code, details = task.operate(operation.start(self,
    "get", record.key, "mutable", {
      alpha = lookup.alpha, beta = lookup.beta, k = lookup.k,
      paths = lookup.paths, deadline_ms = lookup.deadline_ms,
      salt = record.salt,
    }))
  if NONE[code] then
    return 0
  elseif not result then
    return nil, message, code, details
  end
  return result.records[1].seq
end

-- Gives a record the next sequence number. Without `cas`, the version that was
-- read is the one that may be replaced: of two writers, one fails and nothing
-- is lost. Returns nil, message, code, details on failure.
local function number(self, record, lookup)
  local current, message, code, details = read_seq(self, record, lookup)
  if not current then
    return nil, message, code, details
  end
  lookup.cas = lookup.cas or current
  local newest = math.max(current, lookup.cas)
  if newest == math.maxinteger then
    return nil, "the item has the highest sequence number", "KAD_ESEQ"
  end
  record.seq = newest + 1
  return true
end

-- Signs a record. Returns nil, message, code on failure.
local function sign(record, secret, raw)
  local signature, message, code =
    core.sign_item(record.value, record.salt, record.seq, secret)
  if not signature then
    return item.invalid(record.value, raw, message, code)
  end
  record.signature = signature
  return true
end

-- Numbers and signs a record as far as it is needed, and puts it.
local function put_item(self, record, lookup, secret, raw)
  if not record.seq then
    local done, message, code, details = number(self, record, lookup)
    if not done then
      return nil, message, code, details
    end
  end
  if not record.signature then
    local done, message, code = sign(record, secret, raw)
    if not done then
      return nil, message, code
    end
  end
  local info, message, code, details =
    task.operate(start_put(self, record, lookup))
  if not info then
    return nil, message, code, details
  end
  return returning_target(record)(info)
end

--- Stores a version of a mutable item, signed with a secret key. Returns its
--- target, and the details of the put with `seq` and `signature`.
---
--- With `cas` it fails with KAD_ECAS if another version than this one is
--- stored, and leaves that unchanged. Without `seq` it looks the item up first,
--- takes the next sequence number, and what it has found as `cas`: of two
--- writers at a time, one fails and may try again. With `seq` and without `cas`
--- it fails with KAD_ESEQ if the stored version is as new. In both failures
--- `seq` of the details is the number of the stored version.
---@async
---@param options kadenza.MutableOptions
---@param callback? fun(...)
---@return string? target  20 bytes
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:put_mutable(options, callback)
  check_node(self, 2)
  local lookup
  lookup, options, callback =
    lookup_options.read(options, callback, PUT_MUTABLE, 2)
  check_signer(options, 2)
  lookup.publish, lookup.cas = options.publish, options.cas
  local secret = type(options.key) == "table" and options.key.secret
    or options.key
  local bytes = item.encode(options.value, options.raw, 2)
  local record = make_item(options, bytes, secret)
  local raw = options.raw
  return operation.run_function(self, callback, function()
    return put_item(self, record, lookup, secret, raw)
  end)
end

-------------------------------------------------------------------- gets --

-- Returns a function that makes the results of a get.
local function returning_value(target, raw)
  return function(result)
    local record = result.records[1]
    local value, message, code = item.decode(record.value, raw)
    if value == nil then
      return nil, message, code, result
    end
    result.target = target
    return value, operation.add_fields(result, record)
  end
end

--- Looks up an immutable item. Returns its value, and details with the fields
--- of its record.
---@async
---@param target string  20 bytes
---@param options? kadenza.GetImmutableOptions
---@param callback? fun(...)
---@return any value
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:get_immutable(target, options, callback)
  check_node(self, 2)
  check.id(self, target, "target", 2)
  local lookup
  lookup, options, callback =
    lookup_options.read(options, callback, GET_IMMUTABLE, 2)
  local start = operation.start(self, "get", target, "immutable", lookup)
  return operation.run(self, callback, start,
    returning_value(target, options.raw))
end

--- Looks up the newest version of a mutable item. Returns its value, and
--- details with `target` and the fields of its record: `seq`, `signature`,
--- `publisher`, `salt`. Who has these can put the item again (`put_mutable`).
---@async
---@param publisher string  public key, 32 bytes
---@param options? kadenza.GetMutableOptions
---@param callback? fun(...)
---@return any value
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:get_mutable(publisher, options, callback)
  check_node(self, 2)
  check.kind(publisher, "string", "publisher", 2)
  local lookup
  lookup, options, callback =
    lookup_options.read(options, callback, GET_MUTABLE, 2)
  if #publisher ~= 32 then
    error(("publisher must have 32 bytes, not %d"):format(#publisher), 2)
  end
  lookup.salt, lookup.seq = options.salt, options.seq
  local target = item.mutable_target(publisher, options.salt)
  local start = operation.start(self, "get", target, "mutable", lookup)
  return operation.run(self, callback, start,
    returning_value(target, options.raw))
end

return Node
