--- A node of an overlay: how it opens, what it knows, how it closes. What it
--- does with the overlay is in `kadenza.operation`.
--
--     local node = assert(kad.node { listen = "0.0.0.0:6881" })
--     assert(node:bootstrap { "192.0.2.1:6881" })
--     local value, info = node:get(kad.key "visits")

local check = require("kadenza.check")
local core = require("kadenza.core")
local errors = require("kadenza.errors")
local hex = require("kadenza.key").hex
local log = require("kadenza.log")
local loop = require("kadenza.loop")
local operation = require("kadenza.operation")
local node_options = require("kadenza.node_options")
local task = require("kadenza.task")
local unwind = require("kadenza.unwind")

local M = {}

--- A node of the core: the methods of kadenza.Node, with a callback where those
--- wait. A policy's has no `close`.
---@class kadenza.core.Node

---@class kadenza.Node
---@field private core kadenza.core.Node
local Node = {}
Node.__index = Node
Node.__name = "kadenza.Node"

for name, method in pairs(operation) do
  Node[name] = method
end

local WITHDRAW <const> = {
  type = { kind = "string", default = "value" },
  value = "string",
}

-- The state is saved this often, and when the node closes.
local SAVE_SECONDS <const> = 300

-- What the core takes of a configuration that does not say, and how long it may
-- take at most until all of its own records have been stored again, in seconds.
local STORES_PER_S <const>, K <const> = 80, 8
local MAX_WITHIN <const> = 1800

-- The gate: raises in the caller's name when the node is closed.
local function check_open(self)
  if not self.core:is_open() then
    error("closed node", 3)
  end
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

--- Gives a node with a transport a datagram that another node has sent to it.
--- One that comes in a callback, a hook or a `send` is received in the next
--- turn.
---@param bytes string
---@param address string  of the sender, "ip:port", in the transport's own space
---@return true? taken
---@return string? message  it is lost: 256 wait already, or it is too large
---@return kadenza.Code? code
function Node:receive(bytes, address)
  check_open(self)
  if not self.core.receive then
    error("this node is not a policy's to receive for", 2)
  elseif not self.carried then
    error("this node has sockets: it needs a transport to receive", 2)
  end
  check.kind(bytes, "string", "bytes", 2)
  check.kind(address, "string", "address", 2)
  local parsed, message = core.address(address)
  if not parsed then
    error(message, 2)
  end
  return self.core:receive(bytes, parsed)
end

--- Returns the contacts of the routing table: with `idle` (seconds since it
--- last answered), `rtt` (seconds), `failures` and `good`.
---@return kadenza.Contact[] contacts
function Node:contacts()
  check_open(self)
  return self.core:contacts()
end

--- Returns the records of a type that the node itself holds under a key, newest
--- first. Nobody is asked: `get` is how to look a value up.
---@param key string
---@param kind? string  the type; `value` without one
---@return kadenza.Record[] records  tables
function Node:held(key, kind)
  check_open(self)
  check.id(self, key, "key", 2)
  if kind ~= nil then
    check.kind(kind, "string", "kind", 2)
  end
  return self.core:held(key, kind or "value")
end

--- Returns the records that the node keeps as its own, those of a put with
--- `keep`; `ttl` is what is left of their life, if they have an end.
---@return kadenza.Record[] records  tables
function Node:own()
  check_open(self)
  return self.core:publications()
end

--- Keeps a record of its own no longer, which a put with `keep` has made it
--- keep: all under the key, or the one with this `value`. Its copies at other
--- nodes live out their time.
---@param key string
---@param wishes? { type?: string, value?: string }  `value` without a type
---@return true? withdrawn
---@return string? message
---@return kadenza.Code? code
function Node:withdraw(key, wishes)
  check_open(self)
  check.id(self, key, "key", 2)
  wishes = check.with_defaults(wishes, 2, WITHDRAW)
  return self.core:unpublish(key, wishes.type, wishes.value)
end

--- Returns the node's counters by name, and under `policies` those of its
--- policies, if it has any: see `kadenza.policy.stats`.
---@return table<string, integer|table> stats
function Node:stats()
  check_open(self)
  local stats = self.core:stats()
  stats.policies = self.policy_handle
    and require("kadenza.policy").stats(self)
  return stats
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

-- Saves the records that the node keeps, and those of types that it does not
-- know now, unless they are those that were saved last.
local function save_own(self, state)
  local changes = self.core:stats().publication_changes
  if changes == (self.saved_changes or 0) then
    return true
  end
  local saved, message, code = state.save_own(self.folder,
    self.core:publications(),
    self.unknown or {}, self.net:time())
  if saved then
    self.saved_changes = changes
  end
  return saved, message, code
end

--- Saves id, contacts and the records that the node keeps as its own to the
--- state folder. Without one, does nothing.
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function Node:save()
  check_open(self)
  if not self.folder then
    return true
  end
  local state = require("kadenza.state")
  local saved, message, code = state.save(self.folder, {
    id = self.core:id(),
    contacts = self.core:contacts(),
    before = self.saved,
  })
  if not saved then
    return nil, message, code
  end
  return save_own(self, state)
end

--- Calls `fn` when the node closes, before it does; the last one first.
---@param fn fun(node: kadenza.Node)
function Node:on_close(fn)
  check_open(self)
  if type(fn) ~= "function" then
    error("on_close needs a function, not " .. type(fn), 2)
  end
  self.closers = self.closers or {}
  table.insert(self.closers, fn)
end

-- Ends what belongs to the node beside its core.
local function let_go(self)
  self.closing = true
  if self.forget then
    self.forget(self)
  end
  if self.save_timer then
    self.net:stop_timer(self.save_timer)
  end
end

local function save_or_log(self)
  local saved, message = self:save()
  if not saved then
    log.error("the state could not be saved", { error = message })
  end
end

--- Does what `on_close` was told, saves the state and closes the node; its
--- operations end with KAD_ECLOSED. Does nothing when it is closed. The first
--- error of an `on_close` function is raised afterwards.
function Node:close()
  if self.closing or not self.core:is_open() then
    return
  elseif not self.core.close then
    error("a policy cannot close its node", 2)
  end
  self.closing = true
  local _ <close> = setmetatable({}, {
    __close = function()
      let_go(self)
      save_or_log(self)
      self.core:close()
    end,
  })
  unwind(self.closers or {}, function(fn)
    fn(self)
  end)
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

--- Tells whether `value` is a node.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Node
end

--- Ends a node as a power failure does, for simulations: nothing is saved, and
--- neither its policies nor what `on_close` was told hear of it.
---@param node kadenza.Node
function M.crash(node)
  if node.closing or not node.core:is_open() then
    return
  end
  let_go(node)
  if node.policy_handle then
    require("kadenza.policy").abandon(node)
  end
  node.core:close()
end

------------------------------------------------------------ construction --

-- What most nodes have nothing of. Nobody writes to it.
local NONE <const> = {}

--- Makes a node of a core handle: in a policy VM, of a borrowed one.
---@param handle kadenza.core.Node
---@param network kadenza.core.Network
---@return kadenza.Node node
function M.wrap(handle, network)
  return setmetatable({
    core = handle,
    net = network,
    known = NONE,
    saved = NONE,
  }, Node)
end

-- Reads the state folder, if there is one, into the core's configuration.
local function load_state(folder, config)
  if not folder then
    return { contacts = NONE }
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
    self.save_timer = self.net:start_timer(SAVE_SECONDS * 1000, function()
      save_regularly(self)
    end)
  end
end

-- Attaches policies, if any; without them nothing is left half-started, and
-- nothing written.
local function attach(self, policies)
  if not policies then
    return true
  end
  local fine, attached, message, code =
    pcall(require("kadenza.policy").attach, self, policies)
  if fine and attached then
    return true
  end
  self.folder = nil
  self:close()
  if not fine then
    error(attached, 0)
  end
  return nil, message, code
end

-- Keeps again what was kept before: it is stored again soon, at half of what
-- the budget allows. What the policies know no type of stays as it was saved.
local function keep_again(self, config)
  local records = require("kadenza.state").load_own(self.folder,
    self.net:time())
  local rate = math.max(config.stores_per_s or STORES_PER_S, 1)
  local stores = #records * (config.k or K)
  local within = math.min(30 + 2 * stores // rate, MAX_WITHIN)
  for _, record in ipairs(records) do
    local kept, message = self.core:publish(record, within)
    if not kept then
      self.unknown = self.unknown or {}
      self.unknown[#self.unknown + 1] = record
      log.warn("a record of its own cannot be stored again", {
        key = hex(record.key), type = record.type, error = message })
    end
  end
end

local function finish_opening(self, wishes, config)
  local attached, message, code = attach(self, wishes.policies)
  if not attached then
    return nil, message, code
  end
  if self.folder then
    keep_again(self, config)
  end
  if self.folder then
    save_regularly(self)
  end
  return self
end

--- Opens a node in a network. It is closed when the network ends, unless there
--- is a `forget`: whoever gives that sees to it, and `forget(node)` tells him
--- when the node is closed before.
---@param network kadenza.core.Network
---@param wishes kadenza.NodeOptions
---@param forget? fun(node: kadenza.Node)
---@return kadenza.Node? node
---@return string? message
---@return kadenza.Code? code
function M.open_in(network, wishes, forget)
  local config, listen = node_options.read(wishes, 2)
  local state, problem, kind = load_state(wishes.state, config)
  if not state then
    return nil, problem, kind
  end
  local handle, message, code = errors.at_level(2, network.open_node, network,
    config, listen, wishes.transport and wishes.transport.send)
  if not handle then
    local where = table.concat(listen, ", ")
    return nil, string.format("%s: %s", where, message), code
  end
  local self = M.wrap(handle, network)
  self.known = wishes.bootstrap
    and node_options.strings(wishes.bootstrap, "bootstrap", 2) or NONE
  self.carried = wishes.transport ~= nil
  self.saved = state.contacts
  self.folder = wishes.state
  self.policy_memory = wishes.policy_memory
  self.policy_instructions = wishes.policy_instructions
  self.forget = forget or task.at_end(network, function()
    self:close()
  end)
  return finish_opening(self, wishes, config)
end

--- Opens a node in the network of the caller's task, or in the default one.
---@param wishes kadenza.NodeOptions
---@return kadenza.Node? node
---@return string? message
---@return kadenza.Code? code
function M.open(wishes)
  node_options.read(wishes, 2) -- so that mistakes raise where the caller is
  return M.open_in(task.current() and task.network() or loop.network(), wishes)
end

return M

