--- A node of an overlay: opens and closes it, and returns its state. Its
--- operations are in `kadenza.joining`, `kadenza.contact_query`,
--- `kadenza.lookups`, `kadenza.storing` and `kadenza.items`, its publications
--- in `kadenza.publication`, the records that it holds in `kadenza.held`, its
--- network keys in `kadenza.sealing`, its figures in `kadenza.figures`.
--
--     local node = assert(kad.node { listen = "0.0.0.0:6881" })
--     assert(node:bootstrap { "192.0.2.1:6881" })
--     local value, info = node:get(kad.key "visits")

local bootstrap = require("kadenza.bootstrap")
local check = require("kadenza.check")
local clock = require("kadenza.clock")
local contact_query = require("kadenza.contact_query")
local core = require("kadenza.core")
local durable = require("kadenza.durable")
local errors = require("kadenza.errors")
local figures = require("kadenza.figures")
local held = require("kadenza.held")
local items = require("kadenza.items")
local joining = require("kadenza.joining")
local log = require("kadenza.log")
local lookups = require("kadenza.lookups")
local loop = require("kadenza.loop")
local node_options = require("kadenza.node_options")
local policy_metrics = require("kadenza.policy.metrics")
local publication = require("kadenza.publication")
local sealing = require("kadenza.sealing")
local storing = require("kadenza.storing")
local task = require("kadenza.task")
local unwind = require("kadenza.unwind")

local M = {}

--- A node of the core. It has the methods of kadenza.Node, but those that wait
--- take a callback instead. The node of a policy has no `close`.
---@class kadenza.core.Node

---@class kadenza.Node
---@field private core kadenza.core.Node
local Node = {}
Node.__index = Node
Node.__name = "kadenza.Node"

for _, methods in ipairs({ joining, contact_query, lookups, storing, items,
  publication.methods, sealing, figures, held, policy_metrics.methods,
  core.policy_vm and require("kadenza.policy.serving").methods or {},
  core.policy_vm and require("kadenza.policy.console").methods or {} }) do
  for name, method in pairs(methods) do
    Node[name] = method
  end
end

-- An empty list or table, shared; never changed.
local NONE <const> = {}

-- Seconds between saves of the state, which is also saved when the node closes.
local SAVE_SECONDS <const> = 300

------------------------------------------------------------------- state --

--- Returns the node's id, a binary string.
---@return string id
function Node:id()
  check.open(self, 2)
  return self.core:id()
end

--- Returns the width of the overlay's ids and keys in bits.
---@return 160|256 bits
function Node:id_bits()
  return self.core:id_bits()
end

---@class kadenza.SecureId
---@field address? string  at which others see the node, with port 0; nil: it is
---  not known yet
---@field fits boolean  the id fits that address
---@field may_move boolean  the node may move to another id
---@field moves integer  to another id, since the start
---@field previous? string  the id before the last move

--- Returns what the node knows about its id and its address (BEP 42). A node
--- whose id was not given moves to one that fits, when contacts agree on its
--- address.
---@return kadenza.SecureId secure_id
function Node:secure_id()
  check.open(self, 2)
  return self.core:secure_id()
end

---@class kadenza.FamilyReachability
---@field state "unknown"|"reachable"|"unreachable"
---@field read_only boolean  the node answers no queries now (BEP 43)
---@field symmetric boolean  contacts see the node at different ports: it is
---  behind a symmetric NAT
---@field idle? number  seconds since the last unasked query; nil: none came

---@class kadenza.Reachability
---@field ip4? kadenza.FamilyReachability  nil: the node has no socket for it
---@field ip6? kadenza.FamilyReachability

--- Returns whether others can reach the node, for each address family. An
--- unasked query, of a host that the node has sent nothing to for some minutes,
--- shows that they can.
---@return kadenza.Reachability reachability
function Node:reachability()
  check.open(self, 2)
  return self.core:reachability()
end

--- Returns the addresses that the node is bound to.
---@return string[] addresses  "ip:port"
function Node:addresses()
  check.open(self, 2)
  return self.core:addresses()
end

--- Passes a datagram for the node to a node that has a transport. Inside of a
--- callback, a hook or the `send` of a transport, the datagram is queued for
--- the next turn.
---@param bytes string
---@param address string  of the sender, "ip:port", as the transport names it
---@return true? accepted
---@return string? message  it is dropped: 256 are queued, or it is too large
---@return kadenza.Code? code
function Node:receive(bytes, address)
  check.open(self, 2)
  if not self.core.receive then
    error("a policy cannot receive for its node", 2)
  elseif not self.has_transport then
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

--- Returns the contacts of the routing table, with `idle` (seconds since the
--- last reply), `rtt` (seconds), `failures` and `good`.
---@return kadenza.Contact[] contacts
function Node:contacts()
  check.open(self, 2)
  return self.core:contacts()
end

--- Returns the state of the node's connection to its overlay. If the node is
--- joining or isolated because names do not resolve, a second result says so.
---@return "new"|"joining"|"healthy"|"degraded"|"isolated" state
---@return string? reason  such as "no name server answers for NAME"
function Node:state()
  check.open(self, 2)
  local state = self.core:state()
  if state == "joining" or state == "isolated" then
    return state, bootstrap.reason(self.core)
  end
  return state
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

---------------------------------------------------------- saving, closing --

--- Saves id, contacts and publications to the state folder. Without one, does
--- nothing.
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function Node:save()
  check.open(self, 2)
  if not self.saved then
    return true
  end
  local saved, message, code =
    self.saved:save_node(self.core:id(), self.core:contacts())
  local published, problem, kind = publication.save(self)
  if not saved then
    return nil, message, code
  end
  return published, problem, kind
end

--- Calls `fn` before the node closes. Of several functions, the last is called
--- first.
---@param fn fun(node: kadenza.Node)
function Node:on_close(fn)
  check.open(self, 2)
  check.kind(fn, "function", "fn", 2)
  self.closers = self.closers or {}
  table.insert(self.closers, fn)
end

-- Stops the save timer, and forgets the function that closes the node at the
-- end of its network.
local function release(self)
  self.closing = true
  if self.forget then
    self.forget(self)
  end
  for _, timer in pairs({ self.save_timer, self.change_timer }) do
    if self.net:is_open() then
      self.net:stop_timer(timer)
    end
  end
end

local function save_or_log(self)
  local saved, message = self:save()
  if not saved then
    log.error("the state could not be saved", { error = message })
  elseif self.has_failed then
    log.info("the state is saved again")
  end
  self.has_failed = not saved
end

local function unlock(self)
  if self.saved then
    self.saved:close()
  end
end

--- Calls the functions of `on_close`, saves the state and closes the node. Its
--- operations end with KAD_ECLOSED. Raises the first error of an `on_close`
--- function at the end. Does nothing if the node is closed.
function Node:close()
  if self.closing or not self.core:is_open() then
    return
  elseif not self.core.close then
    error("a policy cannot close its node", 2)
  end
  self.core:state() -- raises an error in a call of the node's record store
  self.closing = true
  local _ <close> = setmetatable({}, {
    __close = function()
      release(self)
      local is_open = self.core:is_open() -- an `on_stop` may have closed it
      if is_open then
        save_or_log(self)
        if self.durable then
          self.durable:finish()
        end
      end
      unlock(self) -- first: callbacks of the core may raise errors
      if is_open then
        self.core:close()
      end
    end,
  })
  unwind(self.closers or {}, function(fn)
    fn(self)
  end)
end

Node.__close = Node.close

--- Changes options while the node runs: those of the core that have `reload` in
--- docs/operations.md, such as `lookup_ms`, `max_records`, or `limits`, whose
--- fields that are not given stay as they are. Raises for another option.
---@param options kadenza.NodeOptions
---@return true? changed
---@return string? message
---@return kadenza.Code? code
function Node:configure(options)
  check.open(self, 2)
  if not self.core.configure then
    error("a policy cannot configure its node", 2)
  end
  local config = node_options.change(self.config, options, 2)
  local changed, message, code =
    errors.at_level(2, self.core.configure, self.core, config)
  if changed then
    self.config = config
  end
  return changed, message, code
end

-- Replaces a list of addresses by the method `name` of the core.
local function replace_addresses(self, name, list)
  check.open(self, 3)
  if not self.core[name] then
    error("a policy cannot change the lists of its node", 3)
  end
  check.kind(list, "table", "list", 3)
  return errors.at_level(3, self.core[name], self.core, list)
end

--- Replaces the list of blocked addresses. What they send is dropped and
--- counted, nothing is sent to them, and contacts among them are forgotten.
--- Raises for an item that is none of these texts: an address, "192.0.2.1"; a
--- prefix, "2001:db8::/32"; a range, "192.0.2.1-192.0.2.9".
---@param list string[]  at most 1,000,000; an empty one blocks nothing
---@return true? replaced
---@return string? message  the old list stays
---@return kadenza.Code? code
function Node:block(list)
  return replace_addresses(self, "block", list)
end

--- Replaces the list of addresses that the rate limits of queries and
--- signatures do not count. The list is like that of `block`, which has
--- precedence.
---@param list string[]
---@return true? replaced
---@return string? message  the old list stays
---@return kadenza.Code? code
function Node:exempt(list)
  return replace_addresses(self, "exempt", list)
end

--- Loads the node's policy files again: all of them, or none if one fails.
---@return true? reloaded
---@return string? message
---@return kadenza.Code? code
function Node:reload()
  check.open(self, 2)
  local done, message, code = require("kadenza.policy").reload(self)
  if done then
    publication.retry(self)
  end
  return done, message, code
end

--- Tells whether `value` is a node.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Node
end

--- Ends a node like a power failure, for simulations: saves nothing, and calls
--- neither hooks of its policies nor functions of `on_close`.
---@param node kadenza.Node
function M.crash(node)
  if node.closing or not node.core:is_open() then
    return
  end
  node.core:state() -- raises an error in a call of the node's record store
  release(node)
  if node.policy_handle then
    require("kadenza.policy").abandon(node)
  end
  unlock(node)
  node.core:close()
end

------------------------------------------------------------ construction --

--- Makes a node of a handle of the core. A policy VM has a borrowed handle.
---@param handle kadenza.core.Node
---@param network kadenza.core.Network
---@return kadenza.Node node
function M.wrap(handle, network)
  return setmetatable({
    core = handle,
    net = network,
    is_simulated = network:is_simulated(),
    bootstrap_names = NONE,
    saved_contacts = NONE,
  }, Node)
end

-- Opens the state folder, if there is one; its id goes to the configuration.
-- Returns false without one; nil, a message and a code on failure.
local function open_state(network, folder, config)
  if not folder then
    return false
  end
  local saved, message, code = require("kadenza.state").open(folder, {
    bits = config.id_bits or node_options.DEFAULTS.id_bits or 160,
    max_publications = config.max_publications
      or node_options.DEFAULTS.max_publications,
    clock = function()
      return clock.read(network)
    end,
  })
  if not saved then
    return nil, message, code
  elseif config.id and saved.id and config.id ~= saved.id then
    log.info("the id of the options replaces the saved one")
  end
  if not config.id then -- the saved id was not given: it may change
    config.id = saved.id
    config.move_id = true
  end
  return saved
end

-- Opens the records of the state folder, if the options ask for that. Returns
-- false if not; nil, a message and a code on failure.
local function open_durable(network, options, config)
  if options.store ~= "lmdb" then
    return false
  end
  return durable.open(network, options.state, {
    bits = config.id_bits,
    sync = options.store_sync,
    bytes = options.store_bytes,
  })
end

-- Discards the state folder of a node that could not be opened, and closes its
-- records.
local Opening = {}

function Opening:__close()
  if self.durable then
    self.durable:close()
  end
  if self.saved then
    self.saved:discard()
  end
end

local function save_regularly(self)
  if self.core:is_open() then
    save_or_log(self)
    self.save_timer = self.net:start_timer(SAVE_SECONDS * 1000, function()
      save_regularly(self)
    end)
  end
end

-- Attaches policies, if there are any. If that fails, closes the node without
-- saving.
local function attach(self, policies)
  if not policies then
    return true
  end
  local succeeded, attached, message, code =
    pcall(require("kadenza.policy").attach, self, policies)
  if succeeded and attached then
    return true
  end
  local saved = self.saved
  self.saved = nil
  self:close()
  if saved then
    saved:discard()
  end
  if not succeeded then
    error(attached, 0)
  end
  return nil, message, code
end

local function finish_opening(self, options, config)
  local attached, message, code = attach(self, options.policies)
  if not attached then
    return nil, message, code
  end
  if self.saved then
    publication.restore(self, config)
    publication.watch(self, save_or_log)
    save_regularly(self)
  end
  return self
end

-- Returns what the core needs of a store of the program, or nil.
local function adapt_store(network, store)
  if store and type(store) ~= "string" then
    return require("kadenza.store").adapt(store, network)
  end
end

-- Leaves the records to the node that has opened, and watches them.
local function give_records(records, network)
  if records then
    records:give()
    durable.watch(records, network)
  end
end

-- Opens the node of the core; discards the state folder if that fails.
local function open_core(network, config, listen, options, saved)
  local opening <close> = setmetatable({ saved = saved or nil }, Opening)
  local records, problem, kind = open_durable(network, options, config)
  if records == nil then
    return nil, problem, kind
  end
  opening.durable, config.durable = records or nil, records or nil
  local handle, message, code, is_named = errors.at_level(3,
    network.open_node, network, config, listen,
    options.transport and options.transport.send,
    adapt_store(network, options.store))
  if not handle then
    local where = is_named and "" or table.concat(listen, ", ") .. ": "
    return nil, where .. message, code
  end
  opening.saved, opening.durable = nil, nil
  give_records(records, network)
  return handle
end

--- Opens a node in a network. It is closed when the network ends; with
--- `forget`, the caller closes it, and `forget(node)` is called when the node
--- closes.
---@param network kadenza.core.Network
---@param options kadenza.NodeOptions
---@param forget? fun(node: kadenza.Node)
---@return kadenza.Node? node
---@return string? message
---@return kadenza.Code? code
function M.open_in(network, options, forget)
  local config, listen = node_options.read(options, 2)
  local saved, problem, kind = open_state(network, options.state, config)
  if saved == nil then
    return nil, problem, kind
  end
  local handle, message, code =
    open_core(network, config, listen, options, saved)
  if not handle then
    return nil, message, code
  end
  local self = M.wrap(handle, network)
  self.bootstrap_names = options.bootstrap
    and node_options.strings(options.bootstrap, "bootstrap", 2) or NONE
  self.has_transport = options.transport ~= nil
  self.saved = saved or nil
  self.saved_contacts = saved and saved.contacts or NONE
  self.policy_memory = options.policy_memory
  self.policy_instructions = options.policy_instructions
  self.config = config
  self.durable = config.durable
  self.forget = forget or task.at_end(network, function()
    self:close()
  end)
  return finish_opening(self, options, config)
end

--- Opens a node in the network of the current task, or in the default one.
---@param options kadenza.NodeOptions
---@return kadenza.Node? node
---@return string? message
---@return kadenza.Code? code
function M.open(options)
  node_options.read(options, 2) -- raises mistakes at the caller's position
  return M.open_in(task.current() and task.network() or loop.network(), options)
end

return M

