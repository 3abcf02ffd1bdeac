--- The operations of a node: join, query, look up, store. `kadenza.node` makes
--- these functions methods of its nodes.
--
-- Inside a task, an operation waits. Outside, it takes a callback as its last
-- argument, and passes its results to it. A failure at run time is nil,
-- message, code and, if anything was sent, a table of details.

local bootstrap = require("kadenza.bootstrap")
local check = require("kadenza.check")
local core = require("kadenza.core")
local errors = require("kadenza.errors")
local log = require("kadenza.log")
local lookup_options = require("kadenza.lookup_options")
local queries = require("kadenza.queries")
local reach = require("kadenza.reach")
local resolver = require("kadenza.resolver")
local shown = require("kadenza.shown")
local size_limit = require("kadenza.size_limit")
local strings = require("kadenza.node_options").strings
local task = require("kadenza.task")

---@class kadenza.Contact
---@field id? string  binary
---@field address string  "ip:port"
---@field host string
---@field port integer

---@class kadenza.Info
---@field hops integer  length of the chain of replies to the first value, or
---  else to the closest contact
---@field messages integer  queries sent
---@field took number  seconds
---@field stored integer  put, announce: nodes that accepted it, with this one
---@field asked integer  put, announce: nodes it was sent to: the `k` closest;
---  of a put, this one included if it is one of them and not read-only
---@field ttl? integer  put, announce: seconds that it lives at these nodes by
---  the rules of this one: at most what its type allows, whatever was asked
---  for. Without it, the policies of the others decide
---@field holders integer  get, get_peers: nodes that had a value, this one
---  included; query: replies that counted
---@field dense_key boolean  get, get_peers, put, announce: more ids lie near
---  the key than the network size allows (a sybil attack), so nodes farther
---  away were queried or stored at, too
---@field closest kadenza.Contact[]  contacts that replied, closest first
---@field records table[]  get: all records
---@field path table[]  contacts queried, in order
---@field krpc? integer  error number that another node sent
---@field reason? string  text of that error

---@class kadenza.Node
local Node = {}

-- Seconds that `leave` may take without an argument.
local LEAVE_SECONDS <const> = 5

-- Addresses, names and saved contacts that a node joins through at most.
local MAX_KNOWN <const> = 4096

-- Returns `done`, which gets a message that can be printed: the text of another
-- node's error may control a terminal. `info.reason` has its bytes.
local function showing(done)
  return function(result, message, ...)
    if result == nil and message then
      message = shown.line(message)
    end
    return done(result, message, ...)
  end
end

-- Returns a function that starts an operation of the core, as `task.wait` takes
-- it: calls `method` with the arguments and the callback. A failure to start is
-- passed to the callback, as is a node that was closed before.
local function make_start(self, method, ...)
  local handle = self.core
  local arguments = table.pack(...)
  return function(done)
    if not handle:is_open() then
      done(nil, core.errors.KAD_ECLOSED, "KAD_ECLOSED")
      return nil
    end
    arguments[arguments.n + 1] = showing(done)
    local operation, message, code = errors.at_level(-1, handle[method],
      handle, table.unpack(arguments, 1, arguments.n + 1))
    if not operation then
      done(nil, message, code)
      return nil
    end
    return function()
      handle:cancel(operation)
    end
  end
end

-- Runs an operation of the core. The method returns a failure unchanged, and a
-- success as `convert` makes it of the result, or the result alone. `before` is
-- called first.
local function run_operation(self, callback, start, convert, before)
  local function finish(result, ...)
    if before then before() end
    if not result then
      return nil, ...
    elseif convert then
      return convert(result)
    end
    return result
  end
  if callback then
    return task.operate(start, type(callback) == "function" and function(...)
      callback(finish(...))
    end or callback)
  end
  reach.check(self, 2) -- level 2: always called by a tail call
  return finish(task.operate(start))
end

-- Runs a function that waits: directly, or with a callback in a task of its
-- own. The callback runs outside of that task: its errors are raised like those
-- of all callbacks.
local function run_function(self, callback, fn)
  if not callback then
    reach.check(self, 2)
    return fn()
  end
  check.callback(callback, 2) -- level 2: always called by a tail call
  task.spawn(self.net, function()
    local results = table.pack(fn())
    local _ = self.net:is_open() and self.net:start_timer(0, function()
      callback(table.unpack(results, 1, results.n))
    end)
  end)
end

------------------------------------------------------------------- join --

-- Tells whether an address is worth a warning. That a name has addresses of
-- another family, too, is usual.
local function is_left_out(problem)
  return problem.code == "KAD_EMARTIAN"
    or not problem.is_partial
      and (problem.code == "KAD_EFAMILY" or problem.code == "KAD_ENOROUTE")
end

-- Logs what of `known` was of no use to a join that has succeeded. A node that
-- `watches_names` reports its names itself.
local function log_problems(self, known)
  if not self.core:is_open() then
    return
  end
  for _, problem in ipairs(bootstrap.problems(self.core, known)) do
    local is_reported = self.watches_names and not problem.is_address
      or problem.is_pending
    if problem.code == "KAD_ERESOLVE" and not is_reported then
      log.warn("a bootstrap name is left out", { error = problem.message })
    elseif is_left_out(problem) and not is_reported then
      log.warn("a bootstrap address is left out", { error = problem.message })
    end
  end
end

-- Joins through the addresses and names `known`, and the saved contacts.
local function join(self, known)
  local valid, malformed = bootstrap.split(known)
  local texts = table.move(valid, 1, #valid, 1, {})
  local saved = math.min(#self.saved_contacts, MAX_KNOWN - #texts)
  table.move(self.saved_contacts, 1, saved, #texts + 1, texts)
  if #texts == 0 and malformed[1] then
    return nil, malformed[1].message, malformed[1].code
  end
  for _, problem in ipairs(malformed) do
    log.warn("a bootstrap name is left out", { error = problem.message })
  end
  local info, message, code, details =
    task.wait(make_start(self, "bootstrap", texts, nil))
  if info then
    log_problems(self, valid)
    return info
  end
  return nil, bootstrap.explain(self.core, texts, message, code), code, details
end

--- Joins the overlay through nodes that are known: `known`, or those of the
--- node's options, and the contacts of its saved state. Addresses, names and
--- contacts are tried at once; a name that does not resolve delays nothing. The
--- node keeps them: while no contact answers, it joins again by itself, and
--- resolves the names again.
---@async
---@param known? string[]  "host:port"
---@param callback? fun(info: kadenza.Info?, message?: string, code?: string)
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Node:bootstrap(known, callback)
  check.open(self, 2)
  if type(known) == "function" then
    known, callback = nil, known
  end
  local names = strings(known or self.bootstrap_names, "known", 2)
  if #names > MAX_KNOWN then
    error("known has more than " .. MAX_KNOWN .. " addresses", 2)
  end
  return run_function(self, callback, function()
    return join(self, names)
  end)
end

--- Returns the names through which the node joins, and what became of them:
--- `state` is "resolving", "resolved", "unknown" (there is no such name) or "no
--- server" (no name server answers); `addresses` are the latest.
---@return { name: string, state: string, addresses: string[] }[] names
function Node:names()
  check.open(self, 2)
  return self.core:names()
end

--- Gives the records that the node holds to the nodes that become the closest
--- without it: call it before `close`. It sends at most `stores_per_s` stores a
--- second.
---@async
---@param seconds? number  longest time it may take, 5
---@param callback? fun(...)
---@return kadenza.Info? info
---@return string? message  some records are left: the time was too short
---@return kadenza.Code? code
function Node:leave(seconds, callback)
  check.open(self, 2)
  seconds = seconds or LEAVE_SECONDS
  if type(seconds) ~= "number" or not (seconds > 0 and seconds < 1e6) then
    error("seconds must be a positive number", 2)
  end
  check.callback(callback, 2)
  local start = make_start(self, "leave", math.ceil(seconds * 1000))
  return run_operation(self, callback, start)
end

------------------------------------------------------ queries to a node --

-- Returns the address and the id of a destination.
local function read_destination(to, level)
  if type(to) == "table" and type(to.address) == "string" then
    return to.address, to.id
  elseif type(to) == "string" then
    return to, nil
  end
  error("an address or a contact is needed, not " .. type(to), level + 1)
end

--- Pings an address. If a name has several addresses, they are tried until one
--- replies: each a moment after the one before.
---@async
---@param to string|kadenza.Contact  "host:port" or a contact
---@param callback? fun(...)
---@return kadenza.Contact? contact  that replied
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:ping(to, callback)
  check.open(self, 2)
  local name = read_destination(to, 2)
  return run_function(self, callback, function()
    local result, message, code, details =
      resolver.race(self, name, function(address)
        return make_start(self, "ping", address, nil)
      end)
    if not result then
      return nil, message, code, details
    end
    return result.from, result
  end)
end

-- Raises unless name and arguments make a custom query.
local function check_custom(name, args, level)
  check.kind(name, "string", "name", level + 1)
  local problem = queries.problem(name)
  if problem then
    error("name " .. problem, level + 1)
  elseif queries.CORE[name] then
    error("'" .. name .. "' is a query of the node's own, not a custom one",
      level + 1)
  end
  if args ~= nil then
    check.kind(args, "table", "args", level + 1)
    if rawget(args, "id") ~= nil then
      error("args.id is the id of this node, and is added by the node",
        level + 1)
    end
  end
  errors.at_level(level + 1, core.encode, args or {}, "args", true)
end

--- Sends a custom query. If a name has several addresses, they are tried in
--- turn until one replies.
---@async
---@param to string|kadenza.Contact  "host:port" or a contact
---@param name string  of the query
---@param args? table  bencoded: integers, strings, lists, tables
---@param callback? fun(...)
---@return table? reply
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:call(to, name, args, callback)
  check.open(self, 2)
  if type(args) == "function" then
    args, callback = nil, args
  end
  local destination, id = read_destination(to, 2)
  if id then
    check.id(self, id, "the contact's id", 2)
  end
  check_custom(name, args, 2)
  return run_function(self, callback, function()
    local result, message, code, details =
      resolver.query_first(self, destination, function(address)
        return make_start(self, "call", address, id, name, args)
      end)
    if not result then
      return nil, size_limit.of_query(self, args, message, code), code, details
    end
    return result.reply or {}, result
  end)
end

---------------------------------------------------------------- lookups --

-- Returns a function that receives each reply of a query and adds it to
-- `replies`, and a function that raises what went wrong with `on_reply`: an
-- error of it ends the lookup, and is raised where the results are awaited.
local function make_collector(on_reply, replies)
  local failure
  local function collect(reply, contact)
    local verdict
    if on_reply then
      local succeeded, returned = pcall(on_reply, reply, contact)
      if not succeeded then
        failure = { returned }
        return true
      elseif returned ~= nil and type(returned) ~= "boolean" then
        failure = { "on_reply must return true, false or nil, not "
          .. type(returned) }
        return true
      end
      verdict = returned
    end
    if verdict ~= false then
      replies[#replies + 1] = { reply = reply, from = contact }
    end
    return verdict
  end
  return collect, function()
    if failure then
      error(failure[1], 0)
    end
  end
end

--- Looks up a key and sends a custom query to every contact on the way. Returns
--- the replies in the order of their arrival: `reply`, a table, and `from`, the
--- contact.
---
--- `on_reply` is called with each reply. It may return true, which ends the
--- lookup, or false, which leaves the reply out; it cannot wait. The lookup
--- ends when `quorum` replies counted, or when the closest contacts have
--- replied. A contact that does not support the query only returns contacts.
--- The key is sent as the argument `target`.
---@async
---@param key string
---@param name string  of the query
---@param args? table  bencoded: integers, strings, lists, tables
---@param options? kadenza.QueryOptions
---@param callback? fun(...)
---@return { reply: table, from: kadenza.Contact }[]? replies
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:query(key, name, args, options, callback)
  check.open(self, 2)
  check.id(self, key, "key", 2)
  if type(args) == "function" then
    args, callback = nil, args
  end
  check_custom(name, args, 2)
  if args and args.target ~= nil then
    error("args.target is the key, and is added by the node", 2)
  end
  local lookup
  lookup, options, callback =
    lookup_options.read(options, callback, lookup_options.QUERY, 2)
  local replies = {}
  local collect, raise_failure = make_collector(options.on_reply, replies)
  local start = make_start(self, "query", key, name, args, lookup)
  return run_operation(self, callback, function(done)
    return start(function(result, ...)
      if result == false then -- a reply; the results come last
        return collect(...)
      elseif not result then
        local message, code = ...
        return done(nil, size_limit.of_query(self, args, message, code),
          select(2, ...))
      end
      return done(result, ...)
    end)
  end, function(result)
    return replies, result
  end, raise_failure)
end

-- Starts a lookup that only takes the common options, and returns a field of
-- its result. Mistakes are raised in the name of the caller of the method,
-- which calls this by a tail call.
local function find(self, method, target, name, field, options, callback)
  check.id(self, target, name, 2)
  local lookup, _, done =
    lookup_options.read(options, callback, lookup_options.FIND, 2)
  local start = make_start(self, method, target, lookup)
  return run_operation(self, done, start, function(result)
    return result[field], result
  end)
end

--- Looks up the contacts closest to an id.
---@async
---@param id string
---@param options? kadenza.LookupOptions
---@param callback? fun(...)
---@return kadenza.Contact[]? contacts  closest first
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:find_node(id, options, callback)
  check.open(self, 2)
  return find(self, "find_node", id, "id", "closest", options, callback)
end

-- Adds the fields of a record to the details of a get.
local function add_fields(info, record)
  for name, value in pairs(record) do
    if info[name] == nil then
      info[name] = value
    end
  end
  return info
end

--- Looks up a value. Returns it, and details with the fields of its record;
--- with `all`, returns a list of all records, and details.
---@async
---@param key string
---@param options? kadenza.GetOptions
---@param callback? fun(...)
---@return string|table|nil value
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:get(key, options, callback)
  check.open(self, 2)
  check.id(self, key, "key", 2)
  local lookup
  lookup, options, callback =
    lookup_options.read(options, callback, lookup_options.GET, 2)
  local start = make_start(self, "get", key, options.type or "value", lookup)
  return run_operation(self, callback, start, function(result)
    if options.all then
      return result.records, result
    elseif not result.records[1] then
      return nil, core.errors.KAD_ENOTFOUND, "KAD_ENOTFOUND", result
    end
    local record = result.records[1]
    return record.value, add_fields(result, record)
  end)
end

--- Looks up peers of an info hash (BEP 5).
---@async
---@param info_hash string
---@param options? kadenza.LookupOptions
---@param callback? fun(...)
---@return string[]? peers  "ip:port"
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:get_peers(info_hash, options, callback)
  check.open(self, 2)
  return find(self, "get_peers", info_hash, "info_hash", "peers", options,
    callback)
end

---------------------------------------------------------------- storing --

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
  record.signature, message, code =
    core.sign(record, options.secret, self.core:id_bits())
  if not record.signature then
    return nil, message, code
  end
  return record
end

-- Makes the message of a store at too few nodes say how many there were.
local function count_stored(start, min_stored)
  return function(done)
    return start(function(info, message, code, details)
      if code == "KAD_EFEWER" then
        message = ("stored at %d of %d nodes, fewer than min_stored = %d")
          :format(details.stored, details.asked, min_stored)
      end
      return done(info, message, code, details)
    end)
  end
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
  local start = record and make_start(self, "put", record, lookup)
    or function(done) done(nil, message, code) end
  return run_operation(self, callback, count_stored(
    size_limit.of_value(start, value), lookup.min_stored))
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
  local start = make_start(self, "announce", info_hash, port or 0, lookup)
  return run_operation(self, done, count_stored(start, lookup.min_stored))
end

return Node
