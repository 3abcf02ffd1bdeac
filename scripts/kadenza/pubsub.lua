--- Publish and subscribe: a subscriber of a key gets the events published under
--- it.
--
--     local pubsub = require("kadenza.pubsub")
--     local hub = pubsub.new()
--     local net <close> = kad.sim({ nodes = 20, policies = { hub:policy() } })
--     net:perform(function()
--       local news = kad.key("news")
--       local subscription <close> = hub:subscribe(net.nodes[3], news, print)
--       assert(hub:publish(net.nodes[9], news, "hello"))
--       kad.sleep(1)
--     end)
--
-- An event is a record, stored at the nodes closest to its key. A subscriber
-- registers at the same nodes, its holders, and each pushes the records that it
-- stores. The subscriber gets eight copies of an event and delivers one, and
-- finds out when an event is gone. It renews its registrations in time, moves
-- them to the nodes that are closest by then, and looks up events that it has
-- missed.
--
-- A hub has a record type and the custom queries NAME_subscribe, NAME_cancel
-- and NAME_push; NAME is that of the hub and of the type.

local board = require("kadenza.pubsub.board")
local check = require("kadenza.check")
local event = require("kadenza.pubsub.event")
local feed = require("kadenza.pubsub.feed")
local kad = require("kadenza")

local M = {}

local NONCE <const> = 8 -- bytes before the value of an event
local MAX_VALUE <const> = 900 -- bytes of a record that fits in a push
local SWEEP_SECONDS <const> = 30
local NOT_SUBSCRIBED <const> = 201

local OPTIONS <const> = {
  name = { default = "event", kind = "string" },
  type = { kind = "table" },
  ttl = { default = 600, kind = "integer", from = 30, to = 86400 },
  width = { default = 8, kind = "integer", from = 1, to = 32 },
  max_subscribers = { default = 1000, kind = "integer", from = 1, to = 100000 },
  max_topic = { default = 200, kind = "integer", from = 1, to = 100000 },
  max_subnet = { default = 64, kind = "integer", from = 1, to = 100000 },
  rate = { default = 100, kind = "number", from = 1, to = 10000 },
}
local SUBSCRIBE_OPTIONS <const> = { replay = { kind = "boolean" },
  gone = { kind = "function" } }

---@class kadenza.pubsub.Hub
local Hub = {}
Hub.__index = Hub
Hub.__name = "kadenza.pubsub.Hub"

------------------------------------------------------------------- hubs --

local function copy(given)
  local copied = {}
  for name, value in pairs(given or {}) do
    copied[name] = value
  end
  return copied
end

-- Returns the default type of a hub: any value behind a nonce, so that the same
-- value may be published twice.
local function default_type()
  return {
    max_size = MAX_VALUE,
    max_values = 32,
    ttl = 600,
    republish = false,
    validate = function(record)
      return #record.value >= NONCE or nil, "an event begins with 8 bytes"
    end,
  }
end

local function check_hub(options)
  if not options.name:find("^[a-z0-9_.-]+$") or #options.name > 20 then
    error("option 'name' must be 1 to 20 of a-z, 0-9, '_', '-' and '.'", 3)
  end
  local size = options.type and options.type.max_size or MAX_VALUE
  if math.type(size) == "integer" and size > MAX_VALUE then
    error("option 'type': max_size must be at most " .. MAX_VALUE, 3)
  end
end

--- Makes a hub. All nodes need a hub with the same `name` and type. A hub may
--- serve several nodes of a program.
---@param options? { name?: string, type?: kadenza.Type, ttl?: integer, width?:
---  integer, max_subscribers?: integer, max_topic?: integer, max_subnet?:
---  integer, rate?: number }  name: "event"; type: of the records, by default
---  any value of at most 892 bytes; ttl: seconds until a subscription expires,
---  600; width: holders to subscribe at, 8; largest numbers of subscribers at a
---  holder, 1000, of a key, 200, and of a /24 or /64, 64; pushes a second, 100
---@return kadenza.pubsub.Hub hub
function M.new(options)
  local checked = check.with_defaults(options, 2, OPTIONS)
  check_hub(checked)
  local given = copy(checked.type or default_type())
  given.max_size = given.max_size or MAX_VALUE
  local wraps = checked.type == nil
  return setmetatable({
    options = checked,
    type = given,
    wraps = wraps,
    decode = function(value)
      return wraps and value:sub(NONCE + 1) or value
    end,
    -- Node → state of the hub there.
    nodes = setmetatable({}, { __mode = "k" }),
  }, Hub)
end

-- Returns the state of the hub at a node; the first call creates it.
local function state_of(hub, node)
  local state = hub.nodes[node]
  if not state then
    state = {
      board = board.new(node, hub.options),
      feeds = {}, -- key → feed
      hub = { options = hub.options, decode = hub.decode, type = hub.type,
        counts = { delivered = 0, duplicates = 0, invalid = 0, gone = 0 } },
      published = 0,
    }
    hub.nodes[node] = state
  end
  return state
end

----------------------------------------------------------------- policy --

-- Tells whether a pushed record keeps the rules of the type.
local function is_valid(hub, record, ctx)
  local rules = hub.type
  if #record.value > rules.max_size
    or rules.signed_only and not record.publisher
  then
    return false
  elseif not rules.validate then
    return true
  end
  return rules.validate(record, { node = ctx.node, now = ctx.now,
    from = ctx.from, reason = "get" }) == true
end

local function receive_push(hub, request, ctx)
  local args = request.args
  local found = state_of(hub, ctx.node).feeds[args.topic or false]
  if not found or not found:receive(args, function(record)
    return is_valid(hub, record, ctx)
  end) then
    return nil, "not subscribed", NOT_SUBSCRIBED
  end
  return {}
end

local function make_queries(hub)
  local name = hub.options.name
  return {
    [name .. "_subscribe"] = function(request, ctx)
      return state_of(hub, ctx.node).board:subscribe(request, ctx)
    end,
    [name .. "_cancel"] = function(request, ctx)
      return state_of(hub, ctx.node).board:cancel(request, ctx)
    end,
    [name .. "_push"] = function(request, ctx)
      return receive_push(hub, request, ctx)
    end,
  }
end

-- Delivers a record that the node has stored to its subscribers, here and
-- elsewhere.
local function deliver_stored(hub, record, ctx)
  if record.type ~= hub.options.name then
    return
  end
  local state = state_of(hub, ctx.node)
  local found = state.feeds[record.key]
  if found then
    found:deliver_stored(record)
  end
  state.board:announce(record)
end

-- Tells subscribers, here and elsewhere, that the node dropped a record.
-- Another record in its place is pushed as such.
local function report_gone(hub, record, ctx)
  if record.type ~= hub.options.name or ctx.reason == "store" then
    return
  end
  local state = state_of(hub, ctx.node)
  local found = state.feeds[record.key]
  if found then
    found:suspect({ event.identify(record) })
  end
  state.board:announce_gone(record)
end

-- Closes the feeds of a node. Policies that stop cannot send: holders notice it
-- at their next push.
local function stop(hub, node)
  local state = hub.nodes[node]
  if state then
    local feeds = {}
    for _, open in pairs(state.feeds) do
      feeds[#feeds + 1] = open
    end
    for _, open in ipairs(feeds) do
      open:close(true)
    end
    state.board:stop()
  end
end

-- Returns a table with the entries of both; raises for a common name.
local function merge(what, given, more)
  local merged = copy(given)
  for name, value in pairs(more) do
    if merged[name] ~= nil then
      error(string.format("the policy has %s.%s already", what, name), 3)
    end
    merged[name] = value
  end
  return merged
end

-- Returns a function that calls both functions.
local function chain(first, second)
  return second and function(...)
    first(...)
    return second(...)
  end or first
end

-- Adds hooks that keep the subscribers in a reload, unless the policy has its
-- own.
local function add_migration(hub, made)
  if not made.save and not made.restore then
    function made.save(node)
      return hub:save(node)
    end
    function made.restore(saved, _, node)
      hub:restore(node, saved)
    end
  end
end

--- Returns a policy with the type, queries and hooks of the hub, or a copy of
--- `policy` with these added. Raises if `policy` has the type or the queries.
--- If it has `save` or `restore`, they must call those of the hub.
---@param policy? kadenza.Policy
---@return kadenza.Policy policy
function Hub:policy(policy)
  if policy ~= nil then
    check.kind(policy, "table", "a policy", 2)
  end
  local made = copy(policy or { name = "pubsub", version = 1 })
  made.types = merge("types", made.types, { [self.options.name] = self.type })
  made.rpc = merge("rpc", made.rpc, make_queries(self))
  made.every = table.move(made.every or {}, 1, #(made.every or {}), 1, {})
  table.insert(made.every, {
    seconds = SWEEP_SECONDS,
    run = function(node)
      state_of(self, node).board:sweep()
    end,
  })
  made.on_store = chain(function(record, ctx)
    deliver_stored(self, record, ctx)
  end, made.on_store)
  made.on_expire = chain(function(record, ctx)
    report_gone(self, record, ctx)
  end, made.on_expire)
  made.on_stop = chain(function(node)
    stop(self, node)
  end, made.on_stop)
  add_migration(self, made)
  return made
end

--- Returns the subscribers at a node, for `save` of a policy.
---@param node kadenza.Node
---@return table saved  plain values
function Hub:save(node)
  check.node(node, 2)
  return state_of(self, node).board:save()
end

--- Adds the subscribers that `save` has returned to a node.
---@param node kadenza.Node
---@param saved table
function Hub:restore(node, saved)
  check.node(node, 2)
  check.kind(saved, "table", "what was saved", 2)
  state_of(self, node).board:restore(saved)
end

----------------------------------------------------------------- clients --

-- Returns the feed of a key, a new one if there is none.
local function feed_of(hub, node, key)
  local state = state_of(hub, node)
  local found = state.feeds[key]
  if not found then
    found = feed.new(node, key, state.hub, function()
      state.feeds[key] = nil
    end)
    state.feeds[key] = found
  end
  return found
end

-- Cancels a subscription, unless it is taken out before.
local CancelGuard = {}
CancelGuard.__close = function(guard)
  if guard.subscription then
    guard.subscription:cancel()
  end
end

--- Calls `fn(value, record)` for each event that is published under a key from
--- now on, and with `replay` for those stored there. Each event is delivered
--- once, in any order. `record.ttl` has the seconds that are left to it. When
--- it has expired, and no node near the key holds it, `gone(value, record)` is
--- called. The functions may wait; calls do not overlap. Returns when the
--- nodes closest to the key have accepted or rejected the subscription;
--- rejected ones are tried again later. The node must run the hub's policy in
--- the same Lua state.
---@async
---@param node kadenza.Node
---@param key string
---@param fn async fun(value: string, record: table)
---@param options? { replay?: boolean, gone?: async fun(value: string, record:
---  table) }
---@return kadenza.pubsub.Subscription subscription
function Hub:subscribe(node, key, fn, options)
  check.id(node, key, "the topic", 2)
  check.kind(fn, "function", "fn", 2)
  local checked = check.with_defaults(options, 2, SUBSCRIBE_OPTIONS)
  local found = feed_of(self, node, key)
  local guard <close> =
    setmetatable({ subscription = found:add(fn, checked.gone) },
      CancelGuard)
  if not found.renewal or checked.replay then
    found:renew(not checked.replay,
      checked.replay and guard.subscription or nil)
    found:start()
  end
  local subscription = guard.subscription
  guard.subscription = nil
  return subscription
end

--- Publishes an event: stores a value under a key by `node:put`.
---@async
---@param node kadenza.Node
---@param key string
---@param value string
---@param options? kadenza.PutOptions  without `type`
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Hub:publish(node, key, value, options)
  check.node(node, 2)
  check.kind(value, "string", "the value", 2)
  if options ~= nil then
    check.kind(options, "table", "options", 2)
  end
  local put_options = copy(options)
  if put_options.type then
    error("unknown option 'type': it is that of the hub", 2)
  end
  put_options.type = self.options.name
  if self.wraps then
    local state = state_of(self, node)
    state.published = state.published + 1
    state.secret = state.secret or kad.keypair().publisher
    local nonce = event.nonce(state.secret, state.published)
    value = nonce .. value
    -- By the salt, signed events do not replace each other.
    put_options.salt = put_options.secret and nonce
  end
  if #value > self.type.max_size then
    return nil, "the value is too large", "KAD_ETOOBIG"
  end
  return node:put(key, value, put_options)
end

--- Gets the values that are stored under a key, and their records.
---@async
---@param node kadenza.Node
---@param key string
---@return string[]? values
---@return table[]|string records
---@return kadenza.Code? code
function Hub:read(node, key)
  check.id(node, key, "the topic", 2)
  local records, message, code =
    node:get(key, { type = self.options.name, all = true })
  if not records then
    return nil, message, code
  end
  local values = {}
  for i, record in ipairs(records) do
    values[i] = self.decode(record.value)
  end
  return values, records
end

--- Returns the counters of the hub at a node. As a holder: `subscribers`,
--- `topics`, `pushes`, pushes `acknowledged`, events `dropped` because a
--- subscriber was too slow, subscribers `refused`, and subscribers `forgotten`
--- because they did not reply. As a subscriber: events `delivered`,
--- `duplicates` and `invalid` events, and delivered events that are `gone`.
---@param node kadenza.Node
---@return table<string, integer> stats
function Hub:stats(node)
  check.node(node, 2)
  local state = state_of(self, node)
  local stats = { subscribers = state.board.count, topics = 0 }
  for _ in pairs(state.board.topics) do
    stats.topics = stats.topics + 1
  end
  for _, counts in ipairs({ state.board.counts, state.hub.counts }) do
    for name, count in pairs(counts) do
      stats[name] = count
    end
  end
  return stats
end

return M
