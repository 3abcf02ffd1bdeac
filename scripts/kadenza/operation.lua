--- What a node does with the overlay: joins, asks, stores. `kadenza.node` makes
--- these functions the methods of its nodes.
--
-- Operations wait inside a task. Outside, they take a callback as their last
-- argument, which gets what they would return. What fails at run time gives
-- nil, message, code and, once something was sent, a table of details.

local check = require("kadenza.check")
local core = require("kadenza.core")
local errors = require("kadenza.errors")
local log = require("kadenza.log")
local lookup_options = require("kadenza.lookup_options")
local queries = require("kadenza.queries")
local strings = require("kadenza.node_options").strings
local task = require("kadenza.task")

---@class kadenza.Contact
---@field id? string  binary
---@field address string  "ip:port"
---@field host string
---@field port integer

---@class kadenza.Info
---@field hops integer  replies in the chain to the first value, or else to the
---  closest contact that replied; 1: our table had it
---@field messages integer  queries sent
---@field took number  seconds
---@field stored integer  put, announce: nodes that took it, this one included
---@field asked integer  put, announce: nodes asked to take it: the `k` closest,
---  among which this one counts when it serves the key's type
---@field holders integer  get: contacts that had a value; query: replies that
---  counted
---@field widened boolean  get, get_peers, put, announce: the key is dense;
---  nodes beside it were queried, or stored at, too
---@field closest kadenza.Contact[]  that answered, closest first
---@field records table[]  get: every record
---@field path table[]  every contact asked, in order
---@field krpc? integer  the error number of the other node
---@field reason? string  its words

---@class kadenza.Node
local Node = {}

-- How long a node may take to leave, unless it is told.
local LEAVE_SECONDS <const> = 5

-- Bytes of a value at most: KAD_VALUE_MAX.
local MAX_VALUE <const> = 1000

-- Returns what begins a core operation: `method` with the arguments, and the
-- callback behind them. A failure to begin goes to the callback, too; so does a
-- node that was closed while a name was resolved.
local function starter(self, method, ...)
  local handle = self.core
  local arguments = table.pack(...)
  return function(done)
    if not handle:is_open() then
      done(nil, core.errors.KAD_ECLOSED, "KAD_ECLOSED")
      return nil
    end
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
  end
  check.callback(callback, 2) -- level 2: this is always a tail call
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
  if code == "KAD_EINVAL" then
    message = "no address such as 192.0.2.1:6881 or example.org:6881"
  end
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

-- Failures that say nothing against the other addresses of a name.
local TRY_NEXT <const> = {
  KAD_ETIMEOUT = true,
  KAD_EFAMILY = true,
  KAD_EMARTIAN = true,
}

-- Returns the families that the node has sockets of.
local function families_of(self)
  local families = {}
  for _, address in ipairs(self.core:addresses()) do
    families[address:sub(1, 1) == "[" and 6 or 4] = true
  end
  return families
end

-- Puts the addresses first that the node has a socket for.
local function prefer_own_families(self, addresses)
  local families, own, others = families_of(self), {}, {}
  for _, address in ipairs(addresses) do
    local family = address:sub(1, 1) == "[" and 6 or 4
    table.insert(families[family] and own or others, address)
  end
  return table.move(others, 1, #others, #own + 1, own)
end

-- Asks the addresses of `text` one after the other, by way of `start`, until
-- one answers. Returns the result, or the first failure.
local function ask_one_of(self, text, start)
  local addresses, message, code = resolve(self, text)
  if not addresses then
    return nil, message, code
  end
  local failure
  if #addresses > 1 and self.core:is_open() then
    addresses = prefer_own_families(self, addresses)
  end
  for _, address in ipairs(addresses) do
    local results = table.pack(task.wait(start(address)))
    if results[1] or not TRY_NEXT[results[3]] then
      return table.unpack(results, 1, results.n)
    end
    failure = failure or results
  end
  return table.unpack(failure, 1, failure.n)
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
  local names = strings(known or self.known, "known", 2)
  return perform(self, callback, function()
    local addresses, message, code = resolve_all(self, names)
    if not addresses and #self.saved == 0 then
      return nil, message, code
    end
    addresses = addresses or {}
    table.move(self.saved, 1, #self.saved, #addresses + 1, addresses)
    local info, why, kind, details =
      task.wait(starter(self, "bootstrap", addresses, nil))
    if not info and kind == "KAD_ENOCONTACTS" and names[1] then
      why = "nobody answered at " .. table.concat(names, ", ")
    end
    return info, why, kind, details
  end)
end

--- Pings an address. Returns who answered, and details. Of a name with several
--- addresses, the others are tried when one does not answer.
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
    local result, message, code, details =
      ask_one_of(self, text, function(address)
        return starter(self, "ping", address, nil)
      end)
    if not result then
      return nil, message, code, details
    end
    return result.from, result
  end)
end

-- Raises unless they make a custom query: mistakes raise at once.
local function check_custom(name, args, level)
  check.kind(name, "string", "name", level + 1)
  if #name < 1 or #name > 32 then
    error("name must have 1 to 32 bytes, not " .. #name, level + 1)
  elseif queries.CORE[name] then
    error("'" .. name .. "' is a query of the node's own, not a custom one",
      level + 1)
  end
  if args ~= nil and type(args) ~= "table" then
    error("args must be a table, not " .. type(args), level + 1)
  end
  errors.at_level(level + 1, core.encode, args or {}, "args", true)
end

--- Sends a custom query. Returns the reply, a table, and details. Of a name
--- with several addresses, the others are tried when one does not answer.
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
  if id then
    check.id(self, id, "the contact's id", 2)
  end
  check_custom(name, args, 2)
  return perform(self, callback, function()
    local result, message, code, details =
      ask_one_of(self, text, function(address)
        return starter(self, "call", address, id, name, args)
      end)
    if not result then
      return nil, message, code, details
    end
    return result.reply or {}, result
  end)
end

-- Makes what the core tells of a query: it is called with false and each reply,
-- and at the end with the results. What on_reply raises ends the lookup, and is
-- raised where its results are waited for.
local function hearer(on_reply, replies)
  local failure
  local function hear(reply, contact)
    local verdict
    if on_reply then
      local fine, said = pcall(on_reply, reply, contact)
      if not fine then
        failure = { said }
        return true
      elseif said ~= nil and type(said) ~= "boolean" then
        failure = { "on_reply must return true, false or nil, not "
          .. type(said) }
        return true
      end
      verdict = said
    end
    if verdict ~= false then
      replies[#replies + 1] = { reply = reply, from = contact }
    end
    return verdict
  end
  return hear, function()
    if failure then
      error(failure[1], 0)
    end
  end
end

--- Looks up a key, asking every contact on the way a custom query. Returns the
--- replies in the order in which they came, each with `reply`, a table, and
--- `from`, who replied; and details.
---
--- `on_reply` hears each reply and may return true, which ends the lookup, or
--- false, which leaves that reply out; it cannot wait. The lookup ends when
--- `quorum` replies counted, or when the closest have answered. Contacts that
--- do not know the query are walked past. The key goes along as `target`.
---@async
---@param key string
---@param name string
---@param args? table  bencoded: integers, strings, lists, tables
---@param wishes? kadenza.QueryOptions
---@param callback? fun(...)
---@return { reply: table, from: kadenza.Contact }[]? replies
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:query(key, name, args, wishes, callback)
  check_open(self)
  check.id(self, key, "key", 2)
  if type(args) == "function" then
    args, callback = nil, args
  end
  check_custom(name, args, 2)
  if args and args.target ~= nil then
    error("args.target is the key, and goes along by itself", 2)
  end
  local lookup
  lookup, wishes, callback =
    lookup_options.read(wishes, callback, lookup_options.QUERY, 2)
  local replies = {}
  local hear, raise = hearer(wishes.on_reply, replies)
  local start = starter(self, "query", key, name, args, lookup)
  return operate(callback, function(done)
    return start(function(result, ...)
      if result == false then
        return hear(...)
      end
      return done(result, ...)
    end)
  end, function(result, ...)
    raise()
    if not result then
      return nil, ...
    end
    return replies, result
  end)
end

--- Looks up the contacts closest to an id, closest first.
---@async
---@param id string
---@param wishes? kadenza.LookupOptions
---@param callback? fun(...)
---@return kadenza.Contact[]? contacts
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:find_node(id, wishes, callback)
  check_open(self)
  check.id(self, id, "id", 2)
  local lookup, _, done =
    lookup_options.read(wishes, callback, lookup_options.FIND, 2)
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
---@param wishes? kadenza.GetOptions
---@param callback? fun(...)
---@return string|table|nil value
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:get(key, wishes, callback)
  check_open(self)
  check.id(self, key, "key", 2)
  local lookup
  lookup, wishes, callback =
    lookup_options.read(wishes, callback, lookup_options.GET, 2)
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

--- Stores a value at the nodes closest to its key. Returns details: `stored` of
--- `asked` nodes took it.
---@async
---@param key string
---@param value string
---@param wishes? kadenza.PutOptions
---@param callback? fun(...)
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Node:put(key, value, wishes, callback)
  check_open(self)
  check.id(self, key, "key", 2)
  check.kind(value, "string", "value", 2)
  local lookup
  lookup, wishes, callback =
    lookup_options.read(wishes, callback, lookup_options.PUT, 2)
  lookup.publish = wishes.keep
  local record, message, code = make_record(self, key, value, wishes)
  local start = record and starter(self, "put", record, lookup)
    or function(done)
      done(nil, message, code)
    end
  return operate(callback, start, plain)
end

--- Hands what the node holds to those that become the closest without it: for
--- one that is to be closed. It takes `seconds` at most, 5 without any, and
--- keeps to `stores_per_s`.
---@async
---@param seconds? number
---@param callback? fun(...)
---@return kadenza.Info? info
---@return string? message  there was no time for some of it
---@return kadenza.Code? code
function Node:leave(seconds, callback)
  check_open(self)
  seconds = seconds or LEAVE_SECONDS
  if type(seconds) ~= "number" or not (seconds > 0 and seconds < 1e6) then
    error("seconds must be a positive number", 2)
  end
  check.callback(callback, 2)
  local start = starter(self, "leave", math.ceil(seconds * 1000))
  return operate(callback, start, plain)
end

--- Announces a peer of an info hash (BEP 5) on `port`, or, without one, on the
--- port that the node's datagrams come from.
---@async
---@param info_hash string
---@param port? integer
---@param wishes? kadenza.LookupOptions
---@param callback? fun(...)
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Node:announce(info_hash, port, wishes, callback)
  check_open(self)
  if type(port) == "function" then
    port, callback = nil, port
  end
  check.id(self, info_hash, "info_hash", 2)
  if port ~= nil and not (math.type(port) == "integer" and port >= 0
    and port <= 65535) then
    error("port must be an integer in 0 to 65535", 2)
  end
  local lookup, _, done =
    lookup_options.read(wishes, callback, lookup_options.FIND, 2)
  local start = starter(self, "announce", info_hash, port or 0, lookup)
  return operate(done, start, plain)
end

--- Looks up peers of an info hash (BEP 5).
---@async
---@param info_hash string
---@param wishes? kadenza.LookupOptions
---@param callback? fun(...)
---@return string[]? peers  "ip:port"
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:get_peers(info_hash, wishes, callback)
  check_open(self)
  check.id(self, info_hash, "info_hash", 2)
  local lookup, _, done =
    lookup_options.read(wishes, callback, lookup_options.FIND, 2)
  local start = starter(self, "get_peers", info_hash, lookup)
  return operate(done, start, function(result, ...)
    if not result then
      return nil, ...
    end
    return result.peers, result
  end)
end

return Node
