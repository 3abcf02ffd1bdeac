--- Tables of options: what they may hold, and what the core is given of it.

local core = require("kadenza.core")

local M = {}

--- Options of get and put beside those of every lookup.
M.GET = { type = "string", all = "boolean", quorum = "integer" }
M.QUERY = { on_reply = "function", quorum = "integer" }
M.PUT = {
  type = "string",
  ttl = "integer",
  seq = "integer",
  salt = "string",
  secret = "string",
  publisher = "string",
  signature = "string",
  keep = "boolean",
}
M.WITHDRAW = { type = "string", value = "string" }

local MAX_MESSAGE <const> = 1000 -- bytes

local LOOKUP <const> = {
  alpha = "integer",
  beta = "integer",
  k = "integer",
  paths = "integer",
  timeout = "number",
}

-- What the core takes of get and put: numbers from … to, bytes from … to.
local RANGES <const> = {
  alpha = { 1, 32 },
  beta = { 1, 32 },
  k = { 1, 64 },
  paths = { 1, 16 },
  policy_memory = { 1 << 20, 1 << 40 },
  policy_instructions = { 100000, 1 << 40 },
  quorum = { 0, 64 },
  ttl = { 0, 0xffffffff },
}
local LENGTHS <const> = {
  type = { 1, 32 },
  salt = { 0, 64 },
  secret = { 64, 64 },
  publisher = { 32, 32 },
  signature = { 64, 64 },
}

---@class kadenza.NodeOptions
---@field listen? string|string[]  "ip:port"; "0.0.0.0:6881" if there is none
---@field bootstrap? string|string[]  "host:port"
---@field transport? { send: fun(bytes: string, address: string) }  what carries
---  the node's datagrams instead of sockets; others come by node:receive
---@field policies? table  policy files and tables, see kadenza.policy
---@field policy_memory? integer  bytes that policy files may take, 64 MiB
---@field policy_instructions? integer  that they may run at a stretch, 20000000
---@field state? string  folder for id, contacts and own records
---@field id? string  binary, or in hexadecimal
---@field id_bits? 160|256
---@field allow_local? boolean  admit loopback and private addresses
---@field read_only? boolean  ask, never serve (BEP 43)
---@field limits? boolean|table  false: no rate limits; or the limits themselves
---@field version? string  4 bytes, `v` of messages
---@field k? integer  bucket size and width of lookups
---@field alpha? integer  queries in flight on a path of a lookup
---@field beta? integer  queries that an answer which came closer lets go out
---@field paths? integer  disjoint paths of a lookup
---@field far_contacts? integer  room of the farthest bucket
---@field lookup_ms? integer  deadline of a lookup
---@field query_ms? integer  longest a query may take
---@field refresh_s? integer  refresh of a bucket not looked into
---@field ping_s? integer  a contact silent for so long is questionable
---@field neighbour_s? integer  one of the closest contacts, silent for so long,
---  is asked whether it is there while records are held; 0: never
---@field token_s? integer  slot of a write token
---@field max_reply? integer  bytes of a datagram
---@field max_lookups? integer  at once
---@field max_waiting? integer  questions waiting for a policy
---@field max_bytes? integer  held in records
---@field max_records? integer
---@field max_records_address? integer  held of one address
---@field stores_per_s? integer  own stores: republish, hand off, repair, cache
---@field cache? boolean  a get leaves a copy near the key, true
---@field repair? boolean  a get gives holders what they lack, true
---@field max_own? integer  records kept as its own

local LIMITS <const> = {
  queries_per_s = "integer",
  queries_per_s_address = "integer",
  queries_per_s_subnet = "integer",
  bytes_per_s = "integer",
}

-- Options that the core takes under the same name.
local CORE <const> = {
  id_bits = "integer",
  allow_local = "boolean",
  read_only = "boolean",
  cache = "boolean",
  repair = "boolean",
  version = "string",
  k = "integer",
  alpha = "integer",
  beta = "integer",
  paths = "integer",
  far_contacts = "integer",
  lookup_ms = "integer",
  query_ms = "integer",
  refresh_s = "integer",
  ping_s = "integer",
  neighbour_s = "integer",
  token_s = "integer",
  max_reply = "integer",
  max_lookups = "integer",
  max_waiting = "integer",
  max_bytes = "integer",
  max_records = "integer",
  max_records_address = "integer",
  max_own = "integer",
  stores_per_s = "integer",
}

local OTHER <const> = {
  listen = "strings",
  bootstrap = "strings",
  transport = "table",
  policies = "table",
  policy_memory = "integer",
  policy_instructions = "integer",
  state = "string",
  id = "string",
  limits = "limits",
}

local function is_strings(value)
  if type(value) ~= "table" then
    return type(value) == "string"
  end
  for i = 1, rawlen(value) do
    if type(rawget(value, i)) ~= "string" then
      return false
    end
  end
  return true
end

-- What is no type of Lua's own: how to tell, and what to call it.
local KINDS <const> = {
  integer = {
    is = function(value)
      return math.type(value) == "integer"
    end,
    name = "an integer",
  },
  strings = { is = is_strings, name = "a string or a list of strings" },
  limits = {
    is = function(value)
      return type(value) == "boolean" or type(value) == "table"
    end,
    name = "a boolean or a table",
  },
  any = {
    is = function()
      return true
    end,
  },
  stay = {
    is = function(value)
      return math.type(value) == "integer" or type(value) == "table"
    end,
    name = "an integer or a list of nodes",
  },
}

local function check_kind(name, value, kind, level)
  local special = KINDS[kind]
  local fits = special and special.is(value) or type(value) == kind
  if not fits then
    error(string.format("option '%s' must be %s, not %s", name,
      special and special.name or "a " .. kind, type(value)), level + 1)
  end
end

--- Raises unless every option is in one of the tables and of its kind.
---@param given table
---@param level integer  whom to blame, as of `error`
---@param ... table<string, string>  name → kind
function M.check(given, level, ...)
  local allowed = {}
  for _, names in ipairs({ ... }) do
    for name, kind in pairs(names) do
      allowed[name] = kind
    end
  end
  for name, value in next, given do -- a policy's table: no __pairs
    if not allowed[name] then
      error("unknown option '" .. tostring(name) .. "'", level + 1)
    end
    check_kind(name, value, allowed[name], level + 1)
  end
end

function M.check_string(value, name, level)
  if type(value) ~= "string" then
    error(name .. " must be a string, not " .. type(value), level + 1)
  end
end

--- Raises unless `value` is a number that is finite.
function M.check_number(value, name, level)
  if type(value) ~= "number" then
    error(name .. " must be a number, not " .. type(value), level + 1)
  elseif value ~= value or value == math.huge or value == -math.huge then
    error(name .. " must be finite", level + 1)
  end
end

--- Raises unless there is no callback or it is a function.
function M.check_callback(callback, level)
  if callback ~= nil and type(callback) ~= "function" then
    error("the callback must be a function, not " .. type(callback), level + 1)
  end
end

--- Raises unless `value` is a binary id of so many bits.
function M.check_id(value, name, bits, level)
  M.check_string(value, name, level + 1)
  if #value ~= bits // 8 then
    error(string.format("%s must have %d bytes, not %d%s", name, bits // 8,
      #value, name == "key" and ": kad.key(name) makes one" or ""), level + 1)
  end
end

-- Raises when an option is out of its range.
local function check_ranges(given, level)
  for name, value in next, given do
    local range, length = RANGES[name], LENGTHS[name]
    if range and (value < range[1] or value > range[2]) then
      error(string.format("option '%s' must be in %d to %d", name, range[1],
        range[2]), level + 1)
    elseif length and (#value < length[1] or #value > length[2]) then
      error(string.format("option '%s' must have %s bytes, not %d", name,
        length[1] == length[2] and tostring(length[1])
        or length[1] .. " to " .. length[2], #value), level + 1)
    end
  end
end

--- Calls a function. What it raises is raised anew in the name of whoever made
--- the mistake, without what names a function of the core.
---@param level integer  whom to blame, as of `error`; -1 for nobody
---@param fn function
---@param ... any
---@return any ...
function M.call(level, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if not results[1] then
    -- Not by the methods of strings: to policies, a match has a price.
    local message = string.sub(tostring(results[2]), 1, MAX_MESSAGE)
    local number, text =
      string.match(message, "^bad argument #(%d+) to '.-' %((.*)%)$")
    if text then
      message = text:find("^option") and text
        or string.format("argument %d: %s", number, text)
    end
    error(message, level + 1)
  end
  return table.unpack(results, 2, results.n)
end

--- Returns a list of what may be one string, a list or nil.
---@param value? string|string[]
---@return string[] list
function M.list(value)
  return type(value) == "table" and value or { value }
end

--- The same, checked.
function M.strings(value, name, level)
  if not is_strings(value) then
    error(name .. " must be a list of strings", level + 1)
  end
  local list = M.list(value)
  return table.move(list, 1, rawlen(list), 1, {}) -- without metamethods
end

--- Sorts out the last arguments of a lookup, options and callback.
---@param given? table|fun(...)
---@param callback? fun(...)
---@param more table<string, string>  options beside those of every lookup
---@param level integer
---@return table lookup  what the core is given
---@return table given
---@return fun(...)? callback
function M.lookup(given, callback, more, level)
  if type(given) == "function" and callback == nil then
    given, callback = {}, given
  end
  given = given or {}
  if type(given) ~= "table" then
    error("options must be a table, not " .. type(given), level + 1)
  end
  M.check(given, level + 1, LOOKUP, more)
  check_ranges(given, level + 1)
  M.check_callback(callback, level + 1)
  local timeout = given.timeout
  if timeout and not (timeout > 0 and timeout < 1e6) then
    error("option 'timeout' must be positive seconds", level + 1)
  end
  return {
    alpha = given.alpha,
    beta = given.beta,
    k = given.k,
    paths = given.paths,
    quorum = given.quorum,
    deadline_ms = timeout and math.ceil(timeout * 1000),
  }, given, callback
end

local function set_limits(config, limits, level)
  if type(limits) ~= "table" then
    config.limits = limits
    return
  end
  M.check(limits, level + 1, LIMITS)
  for name, value in pairs(limits) do
    config[name] = value
  end
end

-- An id may be given in hexadecimal: that is twice as long.
local function set_id(config, id, level)
  local size = (config.id_bits or 160) // 8
  if #id == 2 * size then
    id = core.unhex(id) or error("option 'id' is not hexadecimal", level + 1)
  end
  if #id ~= size then
    error(string.format("option 'id' must have %d bytes or %d digits", size,
      2 * size), level + 1)
  end
  config.id = id
end

-- Addresses that mean something to a transport alone are admitted.
local function set_transport(config, transport, level)
  M.check(transport, level + 1, { send = "function" })
  if not transport.send then
    error("option 'transport' needs a function send", level + 1)
  end
  if config.allow_local == nil then
    config.allow_local = true
  end
end

local function check_addresses(list, carried, level)
  if #list < 1 or #list > 8 then
    error("option 'listen' needs 1 to 8 addresses", level + 1)
  end
  for _, address in ipairs(list) do
    local parsed, message = core.address(address)
    if not parsed then
      error("option 'listen': " .. message, level + 1)
    elseif carried and parsed:find(":0$") then
      error("option 'listen': with a transport a port is needed", level + 1)
    end
  end
end

-- Returns where a node is to listen; with a transport, where that reaches it.
local function find_listen(given, config, level)
  local carried = given.transport ~= nil
  if carried then
    set_transport(config, given.transport, level + 1)
  end
  local listen =
    M.list(given.listen or carried and "10.0.0.1:1" or "0.0.0.0:6881")
  check_addresses(listen, carried, level + 1)
  return listen
end

--- Checks the options of a node. Returns the core's configuration, and where to
--- listen.
---@param given kadenza.NodeOptions
---@param level integer
---@return table config
---@return string[] listen
function M.node(given, level)
  if type(given) ~= "table" then
    error("options must be a table, not " .. type(given), level + 1)
  end
  M.check(given, level + 1, CORE, OTHER)
  if given.state == "" then
    error("option 'state' must name a folder", level + 1)
  end
  local config = {}
  for name in pairs(CORE) do
    config[name] = given[name]
  end
  if given.limits ~= nil then
    set_limits(config, given.limits, level + 1)
  end
  if given.id then
    set_id(config, given.id, level + 1)
  end
  check_ranges(given, level + 1)
  if given.policies then
    require("kadenza.policy").check_list(given.policies, level + 1)
  end
  return config, find_listen(given, config, level + 1)
end

return M
