--- Makes CRDTs: how a state is encoded in a record, the hooks of its type, and
--- replicas of it. `kadenza.crdt` has some; a program can make others.
--
--     local highest = require("kadenza.crdt.kind").new({
--       check = function(state)
--         return math.type(state[1]) ~= "integer" and "no integer" or nil
--       end,
--       join = function(a, b)
--         return { math.max(a[1] or b[1], b[1] or a[1]) }
--       end,
--       value = function(state)
--         return state[1]
--       end,
--       ops = {
--         raise = function(_, _, to)
--           return { to }
--         end,
--       },
--     })
--
-- A state is a value that bencode can represent, at first `{}`. States are
-- immutable: a change returns a new state. `join` must be commutative,
-- associative and idempotent.

local check = require("kadenza.check")
local kad = require("kadenza")
local value_size = require("kadenza.value_size")

local M = {}

local MAX_SIZE <const> = value_size.VALUE -- bytes of a value
local MAX_WRITERS <const> = 64
local MAX_REPLICA <const> = 32
local ATTEMPTS <const> = 3 -- of a push that another replica outruns

local REJECTED <const> = 201
local TOO_LARGE <const> = 205
local TOO_LOW <const> = 302

--- The definition of a CRDT.
---@class kadenza.crdt.Definition
---@field check fun(state: table, now?: integer, limits: table): string?
---  returns what is wrong with a state of another node, of any shape; or nil
---@field join fun(a: table, b: table): table
---@field value fun(state: table, now?: integer): any  the value of a state
---@field ops table<string, fun(state: table, replica: string, ...): table?,
---  string?>  changes: each returns a state to join, or nil and what is wrong
---@field prune? fun(state: table, now: integer): table  drops expired parts
---@field owned? fun(state: table, publisher: string): table  the part of a
---  state that a publisher may sign; without it, the whole state
---@field timed? boolean  its functions get the wall clock's seconds
---@field options? table<string, kadenza.OptionRule>  of its types, beside those
---  of all CRDTs; passed to `check` as `limits`

--- A CRDT. It also has a function for each of its operations, which takes a
--- state, the name of a replica and the arguments of the operation, and returns
--- the changed state, or nil and what is wrong.
---@class kadenza.crdt.Kind
---@field private of kadenza.crdt.Definition
---@field empty fun(): table
---@field encode fun(state: table): string  equal states have equal bytes
---@field decode fun(bytes: string, now?: integer): table?, string?  nil and
---  what is wrong for a malformed state
---@field join fun(a: table, b: table): table
---@field value fun(state: table, now?: integer): any  the value of a state
---@field prune fun(state: table, now?: integer): table  drops expired parts
---@field type fun(options?: { max_size?: integer, ttl?: integer,
---  signed?: boolean, writers?: integer }): kadenza.Type
---@field open fun(node: kadenza.Node, key: string, options: { type: string,
---  replica?: string, secret?: string, ttl?: integer,
---  max_size?: integer }): kadenza.crdt.Replica

---------------------------------------------------------------- states --

local function time_of(kind, now)
  return kind.of.timed and (now or kad.time()) or nil
end

local function prune(kind, state, now)
  return kind.of.prune and kind.of.prune(state, now) or state
end

-- Bencode is canonical: equal states have equal bytes.
local encode <const> = kad.bencode.encode

-- Decodes a state of another node.
local function decode(kind, bytes, now, limits)
  local state = #bytes <= MAX_SIZE and kad.bencode.decode(bytes)
  if type(state) ~= "table" then
    return nil, "not a state"
  end
  local problem = kind.of.check(state, now, limits)
  if problem then
    return nil, problem
  elseif encode(state) ~= bytes then
    return nil, "a state has one form only"
  end
  return state
end

----------------------------------------------------------------- hooks --

-- Returns the state of a record that `validate` has accepted.
local function state_of(record)
  return kad.bencode.decode(record.value)
end

local function validate(kind, limits, record)
  local now = time_of(kind)
  local state, problem = decode(kind, record.value, now, limits)
  if not state then
    return nil, problem, REJECTED
  elseif limits.signed and kind.of.owned
    and encode(kind.of.owned(state, record.publisher)) ~= record.value
  then
    return nil, "it has parts of other writers", REJECTED
  end
  return true
end

-- Joins the states of all writers in one record.
local function merge_shared(kind, limits, held, record)
  local state, now = state_of(record), time_of(kind)
  for _, other in ipairs(held) do
    state = kind.of.join(state, state_of(other))
  end
  local value = encode(prune(kind, state, now))
  if #value > limits.max_size then
    return nil, "the state is full", TOO_LARGE
  end
  return { { value = value } }
end

-- Tells whether a state contains another one.
local function contains(kind, state, other, now)
  state = prune(kind, state, now)
  return encode(kind.of.join(state, prune(kind, other, now)))
    == encode(state)
end

-- Keeps one record for each writer. A new state must contain the writer's state
-- before it.
local function merge_signed(kind, limits, held, record)
  for i, other in ipairs(held) do
    if other.publisher == record.publisher then
      if not contains(kind, state_of(record), state_of(other),
        time_of(kind))
      then
        return nil, "it lacks what its writer wrote before", TOO_LOW
      end
      held[i] = record
      return held
    end
  end
  if #held >= limits.writers then
    return nil, "there are too many writers", REJECTED
  end
  held[#held + 1] = record
  return held
end

local function select_all(records)
  table.sort(records, function(a, b)
    return a.publisher < b.publisher
  end)
  return records
end

local TYPE_OPTIONS <const> = {
  max_size = { default = value_size.ITEM, kind = "integer", from = 1,
    to = MAX_SIZE },
  ttl = { kind = "integer", from = 1, to = 2592000 },
  writers = { default = MAX_WRITERS, kind = "integer", from = 1, to = 1024 },
  signed = { kind = "boolean" },
}

local function make_type(kind, limits)
  local signed = limits.signed or nil
  local merge = signed and merge_signed or merge_shared
  return {
    max_size = limits.max_size,
    max_values = signed and limits.writers or 1,
    ttl = limits.ttl,
    signed_only = signed,
    validate = function(record)
      return validate(kind, limits, record)
    end,
    merge = function(held, record)
      return merge(kind, limits, held, record)
    end,
    select = signed and select_all,
  }
end

-------------------------------------------------------------- replicas --

--- A copy of a state that a program changes and exchanges with the overlay.
---@class kadenza.crdt.Replica
---@field state table
---@field private own table  the part that it has written and signs
local Replica = {}
Replica.__name = "kadenza.crdt.Replica"

-- Operations are methods: `visits:add(1)`.
function Replica.__index(replica, name)
  local method = Replica[name]
  if method or not replica.kind.of.ops[name] then
    return method
  end
  return function(self, ...)
    return self:change(name, ...)
  end
end

-- Joins the states of records.
local function join_records(self, records)
  for _, record in ipairs(records) do
    local state = self.kind.decode(record.value)
    if state then
      self.state = self.kind.of.join(self.state, state)
      if record.publisher == self.publisher then
        self.own = self.kind.of.join(self.own, state)
      end
    end
  end
end

--- Looks up the records of the key and joins them. It is not a failure if there
--- are none.
---@async
---@return true? read
---@return string? message
---@return kadenza.Code? code
function Replica:pull()
  local records, message, code =
    self.node:get(self.key, { type = self.type, all = true })
  if not records and code ~= "KAD_ENOTFOUND" then
    return nil, message, code
  end
  join_records(self, records or {})
  return true
end

-- Returns the value to store, and the options of the put.
local function make_put(self)
  local now = time_of(self.kind)
  local state = self.secret and self.own or self.state
  return encode(prune(self.kind, state, now)),
    { type = self.type, ttl = self.ttl, secret = self.secret }
end

--- Stores the state of this replica, for example after a change that could not
--- be stored.
---@async
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Replica:push()
  local info, message, code, details
  for _ = 1, ATTEMPTS do
    info, message, code, details = self.node:put(self.key, make_put(self))
    if info or not details or details.krpc ~= TOO_LOW then
      break
    end
    local read, why, kind = self:pull()
    if not read then
      return nil, why, kind
    end
  end
  return info, message, code, details
end

--- Returns the value of this replica's state.
---@return any value
function Replica:value()
  return self.kind.of.value(self.state, time_of(self.kind))
end

--- Calls `pull`, and returns the value of the state.
---@async
---@return any value
---@return string? message
---@return kadenza.Code? code
function Replica:read()
  local read, message, code = self:pull()
  if not read then
    return nil, message, code
  end
  return self:value()
end

--- Pulls the state, changes it by an operation of its kind, and pushes it. A
--- change that could not be pushed is kept, and pushed with the next.
---@async
---@param name string  of the operation: `visits:change("add", 1)` and
---  `visits:add(1)` are the same
---@param ... any
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Replica:change(name, ...)
  local read, message, code = self:pull()
  if not read then
    return nil, message, code
  end
  local change, problem =
    self.kind.of.ops[name](self.state, self.replica, ...)
  if not change then
    return nil, problem, "KAD_EINVAL"
  end
  local join = self.kind.of.join
  local state, own = join(self.state, change), join(self.own, change)
  local now = time_of(self.kind)
  if #encode(prune(self.kind, self.secret and own or state, now))
    > self.max_size
  then
    return nil, "the state is full", "KAD_ETOOBIG"
  end
  self.state, self.own = state, own
  return self:push()
end

local REPLICA_OPTIONS <const> = {
  type = { kind = "string", required = true },
  replica = { kind = "string", bytes = { 1, MAX_REPLICA } },
  secret = { kind = "string", bytes = { 64, 64 } },
  ttl = { kind = "integer", from = 1, to = 2592000 },
  max_size = { default = value_size.ITEM, kind = "integer", from = 1,
    to = MAX_SIZE },
}

local function make_replica(kind, node, key, options)
  local publisher = options.secret and options.secret:sub(33)
  return setmetatable({
    kind = kind,
    node = node,
    key = key,
    type = options.type,
    ttl = options.ttl,
    secret = options.secret,
    publisher = publisher,
    replica = publisher or options.replica or node:id():sub(1, 8),
    max_size = options.max_size,
    state = {},
    own = {},
  }, Replica)
end

---------------------------------------------------------------- making --

-- The operations of a kind, as functions that return the state changed.
local function add_changes(kind)
  for name, op in pairs(kind.of.ops) do
    if kind[name] or Replica[name] then
      error("an operation cannot be called '" .. name .. "'", 3)
    end
    kind[name] = function(state, replica, ...)
      local change, problem = op(state, replica, ...)
      if not change then
        return nil, problem
      end
      return kind.of.join(state, change)
    end
  end
end

-- Returns the limits for `check` where there is no type: the largest.
local function largest_limits(definition)
  local limits = {}
  for name, rule in pairs(definition.options or {}) do
    limits[name] = rule.to or rule.default
  end
  return limits
end

--- Makes a CRDT.
---@param definition kadenza.crdt.Definition
---@return kadenza.crdt.Kind kind
function M.new(definition)
  local kind =
    { of = definition, encode = encode, join = definition.join }

  local largest = largest_limits(definition)

  function kind.empty()
    return {}
  end

  function kind.decode(bytes, now)
    if type(bytes) ~= "string" then
      error("a state's bytes are needed, not a " .. type(bytes), 2)
    end
    return decode(kind, bytes, time_of(kind, now), largest)
  end

  function kind.value(state, now)
    return definition.value(state, time_of(kind, now))
  end

  function kind.prune(state, now)
    return prune(kind, state, time_of(kind, now))
  end

  function kind.type(options)
    return make_type(kind,
      check.with_defaults(options, 2, TYPE_OPTIONS, definition.options or {}))
  end

  function kind.open(node, key, options)
    options = check.with_defaults(options, 2, REPLICA_OPTIONS)
    if options.secret and options.replica then
      error("option 'replica' is the public key of 'secret'", 2)
    end
    check.id(node, key, "key", 2)
    return make_replica(kind, node, key, options)
  end

  add_changes(kind)
  return kind
end

return M
