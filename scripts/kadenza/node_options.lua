--- The options of a node: checks them, and makes the configuration of the core.
--- Tested by tests/spec/node_spec.lua.

local check = require("kadenza.check")
local core = require("kadenza.core")
local durable = require("kadenza.durable")
local lookup = require("kadenza.lookup_options").LOOKUP
local network_key = require("kadenza.network_key")

local M = {}

--- The options of a node. It also has those of the core (KAD_CONFIG_MAP in
--- core/kadenza.h), under the same names.
---@class kadenza.NodeOptions
---@field listen? string|string[]  "ip:port", 1 to 8; "0.0.0.0:6881" without
---@field sockets? integer[]  descriptors of UDP sockets that are bound already,
---  instead of `listen`; the node closes them
---@field bootstrap? string|string[]  "host:port" of nodes to join by
---@field transport? { send: fun(bytes: string, address: string) }  sends the
---  node's datagrams instead of sockets; pass received ones to node:receive
---@field policies? table  policy files, names of policies that ship and
---  tables, see kadenza.policy
---@field policy_memory? integer  bytes that policy files may take, 64 MiB
---@field policy_instructions? integer  Lua instructions that policies may run
---  without a break, 20000000
---@field store? "memory"|"lmdb"|kadenza.Store  where the records are that the
---  node holds: in memory (the default), in the state folder, where they
---  survive a restart, or in a store of the program
---@field store_sync? "interval"|"commit"  acknowledge stores once they are
---  written, and flush them every second (the default); or once flushed
---@field store_bytes? integer  largest size of the file in the state folder
---@field state? string  folder for id, contacts and publications, which no
---  other node uses
---@field id? string  binary or hexadecimal; random without one
---@field id_bits? 160|256  width of ids and keys, 160
---@field limits? boolean|table  false: no rate limits; a table: the limits
---@field network_key? string|kadenza.NetworkKey|table  seals the overlay: see
---  kadenza.network_key; of two in a list, the first one seals, each opens
---@field version? string  4 bytes, `v` of messages

--- The options in the table `limits`; the core takes them under the same names.
M.LIMITS = {
  queries_per_s = "integer",
  queries_per_s_address = "integer",
  queries_per_s_subnet = "integer",
  signatures_per_s = "integer",
  signatures_per_s_address = "integer",
  signatures_per_s_subnet = "integer",
  bytes_per_s = "integer",
}

--- The ranges of the budgets of policy files.
M.BUDGETS = {
  policy_memory = { kind = "integer", from = 1 << 20, to = 1 << 40 },
  policy_instructions = { kind = "integer", from = 100000, to = 1 << 40 },
}

--- The choices of the option `store`.
M.STORES = { "memory", "lmdb" }

--- The defaults of the core's options.
---@type table<string, integer|boolean|string>
M.DEFAULTS = {}

--- The options that may change while a node runs.
---@type table<string, true>
M.LIVE = {}

local MAX_PATH <const> = 4000 -- bytes; names of files are added

-- Options that the core takes under the same name, and checks further.
local CORE <const> = { id_bits = "integer", version = "string" }
for _, row in ipairs(core.config_options()) do
  M.DEFAULTS[row.name] = row.default
  M.LIVE[row.name] = row.live or nil
  if row.name ~= "limits" and not M.LIMITS[row.name] then
    CORE[row.name] = lookup[row.name]
      or row.choices and { choices = row.choices } or row.type
  end
end

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

local function is_path(text)
  return #text > 0 and #text <= MAX_PATH and not text:find("\0", 1, true)
end

local function is_limits(value)
  return type(value) == "boolean" or type(value) == "table"
end

local function is_network_key(value)
  return network_key.list(value) ~= nil
end

local function is_list(value)
  return type(value) == "table" and rawlen(value) > 0
end

local STRINGS <const> =
  { is = is_strings, name = "a string or a list of strings" }

-- Options that this library interprets.
local LIBRARY <const> = {
  listen = STRINGS,
  sockets = { is = is_list, name = "a list of descriptors" },
  bootstrap = STRINGS,
  transport = "table",
  store = {},
  policies = "table",
  policy_memory = M.BUDGETS.policy_memory,
  policy_instructions = M.BUDGETS.policy_instructions,
  state = "string",
  store_sync = { choices = durable.SYNCS },
  store_bytes = { kind = "integer", from = durable.BYTES.from,
    to = durable.BYTES.to },
  id = "string",
  limits = { is = is_limits, name = "a boolean or a table" },
  network_key = { is = is_network_key,
    name = "a network key, or a list of one or two" },
}

--- Returns a copy of a string or a list of strings, as a list; raises for
--- another value.
---@param value any
---@param name string
---@param level integer  as of `error`
---@return string[] list
function M.strings(value, name, level)
  if not is_strings(value) then
    error(name .. " must be a list of strings", level + 1)
  elseif type(value) == "string" then
    return { value }
  end
  return table.move(value, 1, rawlen(value), 1, {}) -- without metamethods
end

local function set_limits(config, limits, level)
  if type(limits) ~= "table" then
    config.limits = limits
    return
  end
  check.options(limits, level + 1, M.LIMITS)
  for name, value in pairs(limits) do
    config[name] = value
  end
end

-- An id may be hexadecimal: then it is twice as long.
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

-- A node with a transport admits all addresses: the transport alone knows what
-- they mean.
local function set_transport(config, transport, level)
  check.options(transport, level + 1, { send = "function" })
  if not transport.send then
    error("option 'transport' needs a function send", level + 1)
  end
  if config.allow_local == nil then
    config.allow_local = true
  end
end

local function check_addresses(list, has_transport, level)
  if #list < 1 or #list > 8 then
    error("option 'listen' needs 1 to 8 addresses", level + 1)
  end
  for _, address in ipairs(list) do
    local parsed, message = core.address(address)
    if not parsed then
      error("option 'listen': " .. message, level + 1)
    elseif has_transport and parsed:find(":0$") then
      error("option 'listen': with a transport a port is needed", level + 1)
    end
  end
end

-- Returns the descriptors of bound sockets.
local function read_sockets(given, level)
  if given.listen or given.transport then
    error("option 'sockets' excludes 'listen' and 'transport'", level + 1)
  end
  local sockets = table.move(given.sockets, 1, rawlen(given.sockets), 1, {})
  if #sockets > 8 then
    error("option 'sockets' needs 1 to 8 descriptors", level + 1)
  end
  for _, fd in ipairs(sockets) do
    if math.type(fd) ~= "integer" or fd < 0 or fd > 0x7fffffff then
      error("option 'sockets' must be a list of descriptors", level + 1)
    end
    local address, problem = core.inherited_socket(fd)
    if not address then
      error(("option 'sockets': descriptor %d %s"):format(fd, problem),
        level + 1)
    end
  end
  return sockets
end

-- Returns the addresses to bind; with a transport, those at which it reaches
-- the node.
local function read_listen(given, config, level)
  if given.sockets then
    local sockets = read_sockets(given, level + 1)
    return sockets
  end
  local has_transport = given.transport ~= nil
  if has_transport then
    set_transport(config, given.transport, level + 1)
  end
  local listen = M.strings(given.listen
    or has_transport and "10.0.0.1:1" or "0.0.0.0:6881", "listen", level + 1)
  check_addresses(listen, has_transport, level + 1)
  return listen
end

--- Returns a configuration with some options changed.
---@param config table  of the core
---@param changes kadenza.NodeOptions  only live ones
---@param level integer  as of `error`
---@return table config  of the core
function M.change(config, changes, level)
  check.options(changes, level + 1, CORE, LIBRARY)
  local changed = {}
  for name, value in pairs(config) do
    changed[name] = value
  end
  for name, value in pairs(changes) do
    if not M.LIVE[name] then
      error("option '" .. name .. "' cannot change while the node runs",
        level + 1)
    elseif name ~= "limits" then
      changed[name] = value
    end
  end
  if type(changes.limits) == "table" then
    changed.limits = true
  end
  if changes.limits ~= nil then
    set_limits(changed, changes.limits, level + 1)
  end
  return changed
end

-- Checks the option `store`: a name, or a store of the program.
local function check_store(given, level)
  local store = given.store
  if store == "lmdb" and not given.state then
    error("option 'store': lmdb needs the option 'state', a folder", level + 1)
  elseif type(store) == "string" and store ~= "memory" and store ~= "lmdb" then
    error("option 'store' must be memory, lmdb or a store", level + 1)
  elseif store ~= nil and type(store) ~= "string" then
    require("kadenza.store").check(store, level + 1)
  end
end

--- Checks the options of a node.
---@param given kadenza.NodeOptions
---@param level integer  as of `error`
---@return table config  of the core
---@return string[]|integer[] listen  addresses to bind, or bound sockets
function M.read(given, level)
  check.options(given, level + 1, CORE, LIBRARY)
  if given.state and not is_path(given.state) then
    error("option 'state' must name a folder", level + 1)
  end
  check_store(given, level + 1)
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
  config.network_keys = given.network_key
    and network_key.list(given.network_key)
  if given.policies then
    require("kadenza.policy").check_list(given.policies, level + 1)
  end
  return config, read_listen(given, config, level + 1)
end

return M
