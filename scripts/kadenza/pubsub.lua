--- Publish and subscribe: whoever has subscribed to a key is told of what is
--- new under it.
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
-- registers at the same nodes, and each pushes what it comes to hold. Of the
-- eight copies that a subscriber gets, its node hands on one. It renews its
-- registrations in time, moves them to the nodes that are closest by then, and
-- looks for events that it has missed.
--
-- A hub has a type of records and the custom queries NAME_subscribe,
-- NAME_cancel and NAME_push, where NAME is that of the hub and of the type.

local board = require("kadenza.pubsub.board")
local check = require("kadenza.check")
local event = require("kadenza.pubsub.event")
local feed = require("kadenza.pubsub.feed")
local kad = require("kadenza")

local M = {}

local NONCE <const> = 8 -- bytes before the value of an event
local MAX_VALUE <const> = 900 -- bytes of a record that fit a push
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
local SUBSCRIBE_OPTIONS <const> = { replay = { kind = "boolean" } }

---@class kadenza.pubsub.Hub
local Hub = {}
Hub.__index = Hub
Hub.__name = "kadenza.pubsub.Hub"

------------------------------------------------------------------- hubs --

-- The type of hubs that are given none: any value, behind a nonce, so that the
-- same value may be published twice.
local function own_type()
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

local function without_nonce(value)
  return value:sub(NONCE + 1)
end

local function whole(value)
  return value
end

--- Makes a hub. Nodes that are to understand each other need the same `name`
--- and type. One hub may serve several nodes of a program.
---@param options? { name?: string, type?: kadenza.Type, ttl?: integer,
---  width?: integer, max_subscribers?: integer, max_topic?: integer,
---  max_subnet?: integer, rate?: number }  name: "event"; type: rules for the
---  records, values of up to 892 bytes unless it is given; ttl: seconds that a
---  subscription lasts, 600; width: nodes to subscribe at, 8; subscribers that
---  a node keeps, 1000, of one key, 200, and of one /24 or /64, 64; pushes that
---  it sends a second, 100
---@return kadenza.pubsub.Hub hub
function M.new(options)
  local checked = check.with_defaults(options, 2, OPTIONS)
  check_hub(checked)
  local given = {}
  for name, value in pairs(checked.type or own_type()) do
    given[name] = value
  end
  given.max_size = given.max_size or MAX_VALUE
  return setmetatable({
    options = checked,
    type = given,
    wraps = checked.type == nil,
    decode = checked.type and whole or without_nonce,
    -- What the hub does for each node; it goes with the node.
    nodes = setmetatable({}, { __mode = "k" }),
  }, Hub)
end

-- Returns what the hub keeps for a node.
local function state_of(hub, node)
  local state = hub.nodes[node]
  if not state then
    state = {
      board = board.new(node, hub.options),
      feeds = {}, -- key → feed
      hub = { options = hub.options, decode = hub.decode,
        counts = { delivered = 0, duplicates = 0, invalid = 0 } },
      published = 0,
    }
    hub.nodes[node] = state
  end
  return state
end

----------------------------------------------------------------- policy --

-- Tells whether a record that was pushed keeps the rules of the type.
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

local function receive(hub, request, ctx)
  local args = request.args
  local found = state_of(hub, ctx.node).feeds[args.topic or false]
  if not found or not found:receive(args, function(record)
    return is_valid(hub, record, ctx)
  end) then
    return nil, "not subscribed", NOT_SUBSCRIBED
  end
  return {}
end

local function queries_of(hub)
  local name = hub.options.name
  return {
    [name .. "_subscribe"] = function(request, ctx)
      return state_of(hub, ctx.node).board:subscribe(request, ctx)
    end,
    [name .. "_cancel"] = function(request, ctx)
      return state_of(hub, ctx.node).board:cancel(request, ctx)
    end,
    [name .. "_push"] = function(request, ctx)
      return receive(hub, request, ctx)
    end,
  }
end

-- What is stored here is new to our own subscriptions, too.
local function note_stored(hub, record, ctx)
  if record.type ~= hub.options.name then
    return
  end
  local state = state_of(hub, ctx.node)
  local found = state.feeds[record.key]
  if found then
    found:hold(record)
  end
  state.board:announce(record)
end

-- What runs as policies stop belongs to no task, and can begin nothing.
local function stop(hub, node)
  local state = hub.nodes[node]
  if state then
    local open = {}
    for _, one in pairs(state.feeds) do
      open[#open + 1] = one
    end
    for _, one in ipairs(open) do
      one:close(true)
    end
    state.board:stop()
  end
end

-- Adds the entries of one table to another; both may not have the same.
local function merge(what, into, more)
  local merged = {}
  for name, value in pairs(into or {}) do
    merged[name] = value
  end
  for name, value in pairs(more) do
    if merged[name] ~= nil then
      error(string.format("the policy has %s.%s already", what, name), 3)
    end
    merged[name] = value
  end
  return merged
end

-- Returns a function that calls both.
local function both(first, second)
  return second and function(...)
    first(...)
    return second(...)
  end or first
end

-- Adds what takes the subscribers along in a reload, unless the policy has a
-- state of its own.
local function add_state(hub, made)
  if not made.save and not made.restore then
    function made.save(node)
      return hub:save(node)
    end
    function made.restore(saved, _, node)
      hub:restore(node, saved)
    end
  end
end

--- Returns a policy with what the hub needs, or a copy of yours with that
--- added. Raises when yours has the hub's type or queries already. If yours has
--- `save` or `restore`, let them call those of the hub.
---@param policy? kadenza.Policy
---@return kadenza.Policy policy
function Hub:policy(policy)
  if policy ~= nil then
    check.kind(policy, "table", "a policy", 2)
  end
  local made = {}
  for key, value in pairs(policy or { name = "pubsub", version = 1 }) do
    made[key] = value
  end
  made.types = merge("types", made.types, { [self.options.name] = self.type })
  made.rpc = merge("rpc", made.rpc, queries_of(self))
  made.every = table.move(made.every or {}, 1, #(made.every or {}), 1, {})
  table.insert(made.every, {
    seconds = SWEEP_SECONDS,
    run = function(node)
      state_of(self, node).board:sweep()
    end,
  })
  made.on_store = both(function(record, ctx)
    note_stored(self, record, ctx)
  end, made.on_store)
  made.on_stop = both(function(node)
    stop(self, node)
  end, made.on_stop)
  add_state(self, made)
  return made
end

--- Returns the subscribers that a node keeps, for `save` of a policy.
---@param node kadenza.Node
---@return table saved  plain values
function Hub:save(node)
  check.node(node, 2)
  return state_of(self, node).board:save()
end

--- Gives a node the subscribers that `save` has returned.
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

local Undo = {}
Undo.__close = function(guard)
  if guard.subscription then
    guard.subscription:cancel()
  end
end

--- Calls `fn(value, record)` for what is published under a key from now on,
--- and with `replay` for what is held there. Each event comes once, in no
--- certain order; `fn` may wait, and is called for one after the other. Waits
--- until the nodes closest to the key have taken the subscription, or could
--- not: then it tries again by itself. The node has to run the hub's policy, in
--- the same Lua state.
---@async
---@param node kadenza.Node
---@param key string
---@param fn async fun(value: string, record: table)
---@param options? { replay?: boolean }
---@return kadenza.pubsub.Subscription subscription
function Hub:subscribe(node, key, fn, options)
  check.node(node, 2)
  check.id(node, key, "the topic", 2)
  check.kind(fn, "function", "fn", 2)
  local checked = check.with_defaults(options, 2, SUBSCRIBE_OPTIONS)
  local found = feed_of(self, node, key)
  local guard <close> =
    setmetatable({ subscription = found:add(fn) }, Undo)
  if not found.renewal or checked.replay then
    found:renew(not checked.replay,
      checked.replay and guard.subscription or nil)
    found:start()
  end
  local subscription = guard.subscription
  guard.subscription = nil
  return subscription
end

--- Publishes a value: stores it under a key. Returns what `node:put` does.
---@async
---@param node kadenza.Node
---@param key string
---@param value string
---@param options? table  of `node:put`, but for `type`
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Hub:publish(node, key, value, options)
  check.node(node, 2)
  check.kind(value, "string", "the value", 2)
  if options ~= nil then
    check.kind(options, "table", "options", 2)
  end
  local wishes = {}
  for name, wish in pairs(options or {}) do
    wishes[name] = wish
  end
  if wishes.type then
    error("unknown option 'type': it is that of the hub", 2)
  end
  wishes.type = self.options.name
  if self.wraps then
    local state = state_of(self, node)
    state.published = state.published + 1
    state.secret = state.secret or kad.keypair().publisher
    local nonce = event.nonce(state.secret, state.published)
    value = nonce .. value
    wishes.salt = wishes.secret and nonce -- so that none replaces another
  end
  if #value > self.type.max_size then
    return nil, "the value is too large", "KAD_ETOOBIG"
  end
  return node:put(key, value, wishes)
end

--- Returns the values that are held under a key now, and their records.
---@async
---@param node kadenza.Node
---@param key string
---@return string[]? values
---@return table[]|string records
---@return kadenza.Code? code
function Hub:read(node, key)
  check.node(node, 2)
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

--- Returns what the hub has done at a node. For others: `subscribers` and
--- `topics` that it keeps, `pushes`, those `acknowledged`, events `dropped`
--- since they came too fast for a subscriber, subscribers `refused`, and
--- `forgotten` since they did not answer. For itself: events `delivered`,
--- `duplicates` and `invalid` ones.
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
