--- What a node does with the overlay: joins, asks, stores. `kadenza.node` makes
--- these functions the methods of its nodes.
--
-- Operations wait inside a task. Outside, they take a callback as their last
-- argument, which gets what they would return. What fails at run time gives
-- nil, message, code and, once something was sent, a table of details.

local core = require("kadenza.core")
local log = require("kadenza.log")
local options = require("kadenza.options")
local task = require("kadenza.task")

---@class kadenza.Contact
---@field id? string  binary
---@field address string  "ip:port"
---@field host string
---@field port integer

---@class kadenza.Info
---@field hops integer  longest chain of answers to the last contact
---@field messages integer  queries sent
---@field took number  seconds
---@field stored integer  put, announce: contacts that took it
---@field asked integer  put, announce: contacts asked to take it
---@field holders integer  get: contacts that had a value
---@field closest kadenza.Contact[]  that answered, closest first
---@field records table[]  get: every record
---@field path table[]  every query sent, in order
---@field krpc? integer  the error number of the other node
---@field reason? string  its words

---@class kadenza.Node
local Node = {}

-- Bytes of a value at most: KAD_VALUE_MAX.
local MAX_VALUE <const> = 1000

-- Returns what begins a core operation: `method` with the arguments, and the
-- callback behind them. A failure to begin goes to the callback, too.
local function starter(self, method, ...)
  local handle = self.core
  local arguments = table.pack(...)
  return function(done)
    arguments[arguments.n + 1] = done
    local operation, message, code =
      handle[method](handle, table.unpack(arguments, 1, arguments.n + 1))
    if not operation then
      done(nil, message, code)
      return nil
    end
    return function()
      handle:cancel(operation)
    end
  end
end

-- Runs a core operation; `shape` makes what the user gets of what it gave.
local function operate(callback, start, shape)
  if callback then
    return task.operate(start, type(callback) == "function" and function(...)
      callback(shape(...))
    end or callback)
  end
  return shape(task.operate(start))
end

-- Runs a function that waits: here if this is a task, or in one of its own. The
-- callback is called outside of that: its errors are raised like any other's.
local function perform(self, callback, fn)
  if not callback then
    return fn()
  elseif type(callback) ~= "function" then
    error("the callback must be a function, not " .. type(callback), 3)
  end
  task.spawn(self.net, function()
    local results = table.pack(fn())
    self.net:start_timer(0, function()
      callback(table.unpack(results, 1, results.n))
    end)
  end)
end

-- The gate: raises in the caller's name when the node is closed.
local function check_open(self)
  if not self.core:is_open() then
    error("closed node", 3)
  end
end

local function plain(result, ...)
  if not result then
    return nil, ...
  end
  return result
end

-------------------------------------------------------------- addresses --

-- Returns the addresses of "host:port", or nil, message, code.
local function resolve(self, text)
  local address = core.address(text)
  if address then
    return { address }
  end
  local found, message, code = task.wait(function(resume)
    local started, why, kind = self.net:resolve(text, resume)
    if not started then
      resume(nil, why, kind)
    end
  end)
  if not found then
    return nil, string.format("%s: %s", text, message), code
  end
  return found
end

-- Resolves a list of names. Those that cannot be are logged if others can.
local function resolve_all(self, names)
  local addresses, failures = {}, {}
  for _, name in ipairs(names) do
    local found, message, code = resolve(self, name)
    for _, address in ipairs(found or {}) do
      addresses[#addresses + 1] = address
    end
    if not found then
      failures[#failures + 1] = { message = message, code = code }
    end
  end
  if #addresses == 0 and failures[1] then
    return nil, failures[1].message, failures[1].code
  end
  for _, failure in ipairs(failures) do
    log.warn("a bootstrap name is left out", { error = failure.message })
  end
  return addresses
end

local function to_address(to, level)
  if type(to) == "table" and type(to.address) == "string" then
    return to.address, to.id
  elseif type(to) == "string" then
    return to, nil
  end
  error("an address or a contact is needed, not " .. type(to), level + 1)
end

------------------------------------------------------------- operations --

--- Joins the overlay through known nodes: those given, or those of the node's
--- configuration, and the contacts of its saved state. Names are resolved.
---@async
---@param known? string[]  "host:port"
---@param callback? fun(info: kadenza.Info?, message?: string, code?: string)
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Node:bootstrap(known, callback)
  check_open(self)
  if type(known) == "function" then
    known, callback = nil, known
  end
  local names = options.strings(known or self.known, "known", 2)
  return perform(self, callback, function()
    local addresses, message, code = resolve_all(self, names)
    if not addresses and #self.saved == 0 then
      return nil, message, code
    end
    addresses = addresses or {}
    table.move(self.saved, 1, #self.saved, #addresses + 1, addresses)
    return plain(task.wait(starter(self, "bootstrap", addresses, nil)))
  end)
end

--- Pings an address. Returns who answered, and details.
---@async
---@param to string|kadenza.Contact  "host:port" or a contact
---@param callback? fun(...)
---@return kadenza.Contact? contact
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:ping(to, callback)
  check_open(self)
  local text = to_address(to, 2)
  return perform(self, callback, function()
    local addresses, message, code = resolve(self, text)
    if not addresses then
      return nil, message, code
    end
    local result, why, kind, details =
      task.wait(starter(self, "ping", addresses[1], nil))
    if not result then
      return nil, why, kind, details
    end
    return result.from, result
  end)
end

--- Sends a custom query. Returns the reply, a table, and details.
---@async
---@param to string|kadenza.Contact
---@param name string
---@param args? table  bencoded: integers, strings, lists, tables
---@param callback? fun(...)
---@return table? reply
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:call(to, name, args, callback)
  check_open(self)
  if type(args) == "function" then
    args, callback = nil, args
  end
  local text, id = to_address(to, 2)
  core.encode(args or {}, "args") -- so that mistakes raise at once
  return perform(self, callback, function()
    local addresses, message, code = resolve(self, text)
    if not addresses then
      return nil, message, code
    end
    local result, why, kind, details =
      task.wait(starter(self, "call", addresses[1], id, name, args))
    if not result then
      return nil, why, kind, details
    end
    return result.reply or {}, result
  end)
end

--- Looks up the contacts closest to an id, closest first.
---@async
---@param id string
---@param wishes? { alpha?: integer, k?: integer, timeout?: number }
---@param callback? fun(...)
---@return kadenza.Contact[]? contacts
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:find_node(id, wishes, callback)
  check_open(self)
  local lookup, _, done = options.lookup(wishes, callback, {}, 2)
  local start = starter(self, "find_node", id, lookup)
  return operate(done, start, function(result, ...)
    if not result then
      return nil, ...
    end
    return result.closest, result
  end)
end

-- Details of a get: the fields of the record, and those of the lookup.
local function record_info(result, record)
  for name, value in pairs(record) do
    if result[name] == nil then
      result[name] = value
    end
  end
  return result
end

--- Looks up a value. Returns it and its record's fields with details, or, with
--- `all`, the list of records and details.
---@async
---@param key string
---@param wishes? { type?: string, all?: boolean, quorum?: integer,
---  alpha?: integer, k?: integer, timeout?: number }
---@param callback? fun(...)
---@return string|table|nil value
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:get(key, wishes, callback)
  check_open(self)
  local lookup
  lookup, wishes, callback = options.lookup(wishes, callback, options.GET, 2)
  local start = starter(self, "get", key, wishes.type or "value", lookup)
  return operate(callback, start, function(result, ...)
    if not result then
      return nil, ...
    elseif wishes.all then
      return result.records, result
    elseif not result.records[1] then
      return nil, core.errors.KAD_ENOTFOUND, "KAD_ENOTFOUND", result
    end
    local record = result.records[1]
    return record.value, record_info(result, record)
  end)
end

-- Makes the record of a put, signed if there is a secret. Returns nil, message,
-- code when it is too large.
local function make_record(self, key, value, wishes)
  local record = {
    key = key,
    type = wishes.type or "value",
    value = value,
    ttl = wishes.ttl,
    seq = wishes.seq,
    salt = wishes.salt,
    publisher = wishes.publisher,
    signature = wishes.signature,
  }
  if not wishes.secret then
    return record
  elseif #value > MAX_VALUE then
    return nil, core.errors.KAD_ETOOBIG, "KAD_ETOOBIG"
  end
  local message, code
  record.publisher = wishes.secret:sub(33)
  record.signature, message, code =
    core.sign(record, wishes.secret, self.core:id_bits())
  if not record.signature then
    return nil, message, code
  end
  return record
end

--- Stores a value at the contacts closest to its key. Returns details: `stored`
--- of `asked` contacts took it.
---@async
---@param key string
---@param value string
---@param wishes? { type?: string, ttl?: integer, seq?: integer, salt?: string,
---  secret?: string, publisher?: string, signature?: string, alpha?: integer,
---  k?: integer, timeout?: number }  ttl in seconds; a secret signs the record
---@param callback? fun(...)
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Node:put(key, value, wishes, callback)
  check_open(self)
  options.check_string(value, "value", 2)
  local lookup
  lookup, wishes, callback = options.lookup(wishes, callback, options.PUT, 2)
  local record, message, code = make_record(self, key, value, wishes)
  local start = record and starter(self, "put", record, lookup)
    or function(done)
      done(nil, message, code)
    end
  return operate(callback, start, plain)
end

--- Announces a peer of an info hash (BEP 5) on `port`, or, without one, on the
--- port that the node's datagrams come from.
---@async
---@param info_hash string
---@param port? integer
---@param wishes? { alpha?: integer, k?: integer, timeout?: number }
---@param callback? fun(...)
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Node:announce(info_hash, port, wishes, callback)
  check_open(self)
  if type(port) == "function" then
    port, callback = nil, port
  end
  local lookup, _, done = options.lookup(wishes, callback, {}, 2)
  local start = starter(self, "announce", info_hash, port or 0, lookup)
  return operate(done, start, plain)
end

--- Looks up peers of an info hash (BEP 5).
---@async
---@param info_hash string
---@param wishes? { alpha?: integer, k?: integer, timeout?: number }
---@param callback? fun(...)
---@return string[]? peers  "ip:port"
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:get_peers(info_hash, wishes, callback)
  check_open(self)
  local lookup, _, done = options.lookup(wishes, callback, {}, 2)
  local start = starter(self, "get_peers", info_hash, lookup)
  return operate(done, start, function(result, ...)
    if not result then
      return nil, ...
    end
    return result.peers, result
  end)
end


return Node
