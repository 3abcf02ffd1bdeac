--- A node: what an application does with the overlay.
--
--     local node = assert(kad.node { listen = "0.0.0.0:6881" })
--     assert(node:bootstrap { "192.0.2.1:6881" })
--     local value, info = node:get(kad.key "visits")
--
-- Operations wait inside a task. Outside, they take a callback as their last
-- argument, which gets what they would return. What fails at run time gives
-- nil, message, code and, once something was sent, a table of details.

local core = require("kadenza.core")
local log = require("kadenza.log")
local loop = require("kadenza.loop")
local options = require("kadenza.options")
local task = require("kadenza.task")

local M = {}

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
---@field private core kadenza.core.Node
local Node = {}
Node.__index = Node
Node.__name = "kadenza.Node"

local SAVE_SECONDS <const> = 300

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

-- Runs a function that waits: here if this is a task, or in one of its own.
local function perform(self, callback, fn)
  if not callback then
    return fn()
  elseif type(callback) ~= "function" then
    error("the callback must be a function, not " .. type(callback), 3)
  end
  task.spawn(self.net, function()
    callback(fn())
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
  local addresses, failure = {}, nil
  for _, name in ipairs(names) do
    local found, message, code = resolve(self, name)
    for _, address in ipairs(found or {}) do
      addresses[#addresses + 1] = address
    end
    if not found then
      failure = failure or { message, code }
      log.warn("a bootstrap name is left out", { error = message })
    end
  end
  if #addresses == 0 and failure then
    return nil, failure[1], failure[2]
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
  local encoded = core.encode(args or {}, "args")
  return perform(self, callback, function()
    local _ = encoded -- encoded here already, so that mistakes raise at once
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
  elseif #value > M.MAX_VALUE then
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

--- Bytes of a value at most.
M.MAX_VALUE = 1000

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

--------------------------------------------------------------- questions --

--- Returns the node's id, a binary string.
---@return string id
function Node:id()
  check_open(self)
  return self.core:id()
end

--- Returns the width of the overlay's ids and keys in bits.
---@return 160|256 bits
function Node:id_bits()
  return self.core:id_bits()
end

--- Returns the addresses that the node is bound to.
---@return string[] addresses  "ip:port"
function Node:addresses()
  check_open(self)
  return self.core:addresses()
end

--- Returns the contacts of the routing table: with `idle` (seconds since it
--- last answered), `rtt` (seconds), `failures` and `good`.
---@return kadenza.Contact[] contacts
function Node:contacts()
  check_open(self)
  return self.core:contacts()
end

--- Returns the node's counters by name.
---@return table<string, integer> stats
function Node:stats()
  check_open(self)
  return self.core:stats()
end

--- Returns how the node stands with its overlay.
---@return "new"|"joining"|"healthy"|"degraded"|"isolated" state
function Node:state()
  check_open(self)
  return self.core:state()
end

--- Tells whether the node is open.
---@return boolean open
function Node:is_open()
  return self.core:is_open()
end

--- Returns the network that the node belongs to.
---@return kadenza.core.Network network
function Node:network()
  return self.net
end

function Node:__tostring()
  return (tostring(self.core):gsub("^kadenza%.core%.", "kadenza."))
end

------------------------------------------------------------------ ending --

--- Saves id and contacts to the state folder. Without one, does nothing.
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function Node:save()
  check_open(self)
  if not self.folder then
    return true
  end
  return require("kadenza.state").save(self.folder, {
    id = self.core:id(),
    contacts = self.core:contacts(),
  })
end

--- Calls `fn` when the node closes, before it does; the last one first.
---@param fn fun(node: kadenza.Node)
function Node:on_close(fn)
  check_open(self)
  table.insert(self.closers, fn)
end

local function save_or_log(self)
  local saved, message = self:save()
  if not saved then
    log.error("the state could not be saved", { error = message })
  end
end

--- Saves the state and closes the node; its operations end with KAD_ECLOSED.
--- Does nothing when it is closed.
function Node:close()
  if self.closing or not self.core:is_open() then
    return
  elseif not self.core.close then
    error("this node is not a policy's to close", 2)
  end
  self.closing = true
  while #self.closers > 0 do
    table.remove(self.closers)(self)
  end
  self.forget()
  save_or_log(self)
  self.core:close()
end

Node.__close = Node.close

--- Loads the node's policy files anew, all or none.
---@return true? reloaded
---@return string? message
---@return kadenza.Code? code
function Node:reload()
  check_open(self)
  return require("kadenza.policy").reload(self)
end

------------------------------------------------------------ construction --

--- Makes a node of a core handle: in a policy VM, of a borrowed one.
---@param handle kadenza.core.Node
---@param network kadenza.core.Network
---@return kadenza.Node node
function M.wrap(handle, network)
  return setmetatable({
    core = handle,
    net = network,
    known = {},
    saved = {},
    closers = {},
    forget = function() end,
  }, Node)
end

-- Reads the state folder, if there is one, into the core's configuration.
local function load_state(folder, config)
  if not folder then
    return { contacts = {} }
  end
  local state = require("kadenza.state")
  local loaded, message, code = state.load(folder)
  if not loaded then
    return nil, message, code
  end
  local size = (config.id_bits or 160) // 8
  if loaded.id and #loaded.id == size then
    config.id = config.id or loaded.id
  end
  return loaded
end

local function save_regularly(self)
  if self.core:is_open() then
    save_or_log(self)
    self.net:start_timer(SAVE_SECONDS * 1000, function()
      save_regularly(self)
    end)
  end
end

local function finish_opening(self, wishes)
  if wishes.policies then
    local attached, message, code =
      require("kadenza.policy").attach(self, wishes.policies)
    if not attached then
      self.folder = nil -- nothing half-started, nothing written
      self:close()
      return nil, message, code
    end
  end
  if self.folder then
    save_regularly(self)
  end
  return self
end

--- Opens a node in a network.
---@param network kadenza.core.Network
---@param wishes kadenza.NodeOptions
---@return kadenza.Node? node
---@return string? message
---@return kadenza.Code? code
function M.open_in(network, wishes)
  local config, listen = options.node(wishes, 2)
  local state, problem, kind = load_state(wishes.state, config)
  if not state then
    return nil, problem, kind
  end
  local handle, message, code = network:open_node(config, listen)
  if not handle then
    local where = table.concat(listen, ", ")
    return nil, string.format("%s: %s", where, message), code
  end
  local self = M.wrap(handle, network)
  self.known = options.list(wishes.bootstrap)
  self.saved = state.contacts
  self.folder = wishes.state
  self.forget = task.at_end(network, function()
    self:close()
  end)
  return finish_opening(self, wishes)
end

--- Opens a node in the network of the caller's task, or in the default one.
---@param wishes kadenza.NodeOptions
---@return kadenza.Node? node
---@return string? message
---@return kadenza.Code? code
function M.open(wishes)
  options.node(wishes, 2) -- so that mistakes raise where the caller is
  return M.open_in(task.current() and task.network() or loop.network(), wishes)
end

return M
