--- The holder's side of pub/sub: keeps the subscribers of topics and pushes new
--- events to them.
--
-- Everything that other nodes can make it store or send is bounded: subscribers
-- in all, of a topic and of a subnet, events queued for a subscriber, pushes at
-- a time and pushes a second. It pushes only to a proven address: a subscriber
-- has to repeat a token that was sent there. A subscriber that rejects a push,
-- or does not reply to three in a row, is removed.

local event = require("kadenza.pubsub.event")
local kad = require("kadenza")
local limit = require("kadenza.limit")

local M = {}

local COOKIE <const> = 8 -- bytes by which a subscriber checks a push
local TOKEN_SECONDS <const> = 300 -- a token is valid once or twice as long
local TOKEN <const> = 8
local OUTBOX <const> = 16 -- events queued for a subscriber
local SEEN <const> = 64 -- ids of a topic's last events
local PARALLEL <const> = 32 -- pushes at a time
local MAX_PUSH <const> = 900 -- bytes of events in a push
local GONE_BYTES <const> = 20 -- of the id of an event that is gone
local STRETCH <const> = 20 -- subscribers checked without a break
local MAX_SAVED <const> = 5000 -- subscribers kept in a reload
local FAILURES <const> = 3 -- unanswered pushes that end a subscription
local REJECTED <const>, MALFORMED <const> = 201, 203

---@class kadenza.pubsub.Board
local Board = {}
Board.__index = Board

--- Makes the board of a node.
---@param node kadenza.Node
---@param options table  of the hub
---@return kadenza.pubsub.Board board
function M.new(node, options)
  return setmetatable({
    node = node,
    options = options,
    topics = {}, -- key → { list of subscribers, by_address, seen }
    subnets = {}, -- subnet → number of subscribers
    count = 0, -- subscribers
    queue = {}, -- subscribers with events to push: first … last
    first = 1,
    last = 0,
    pushing = 0,
    next_at = 0, -- time of the next push
    counts = { pushes = 0, acknowledged = 0, dropped = 0, forgotten = 0,
      refused = 0 },
  }, Board)
end

------------------------------------------------------------ subscribers --

-- Returns the token of an address, which only this node can make. The secret is
-- that of a key pair, which is unpredictable in a program and in a policy file.
local function token_of(board, address, slot)
  board.secret = board.secret or kad.keypair().secret
  local text = board.secret .. string.pack(">I8", slot) .. address
  return kad.hash(text):sub(1, TOKEN)
end

local function current_slot()
  return math.tointeger(kad.now() // TOKEN_SECONDS)
end

local function is_token(board, address, token)
  local slot = current_slot()
  return token == token_of(board, address, slot)
    or slot > 0 and token == token_of(board, address, slot - 1)
end

local function remove(board, subscriber)
  if subscriber.gone then
    return
  end
  subscriber.gone = true
  local topic = board.topics[subscriber.key]
  topic.by_address[subscriber.address] = nil
  for i, other in ipairs(topic.list) do
    if other == subscriber then
      table.remove(topic.list, i)
      break
    end
  end
  if #topic.list == 0 then
    board.topics[subscriber.key] = nil
  end
  local left = board.subnets[subscriber.subnet] - 1
  board.subnets[subscriber.subnet] = left > 0 and left or nil
  board.count = board.count - 1
end

-- Returns why there is no space for another subscriber, or nil.
local function find_limit(board, topic, subnet)
  local options = board.options
  if board.count >= options.max_subscribers then
    return "full: too many subscribers"
  elseif topic and #topic.list >= options.max_topic then
    return "full: too many subscribers of this topic"
  elseif (board.subnets[subnet] or 0) >= options.max_subnet then
    return "full: too many subscribers of your network"
  end
  return nil
end

local function add(board, key, cookie, from)
  local topic, subnet = board.topics[key], limit.subnet_of(from.host)
  local problem = find_limit(board, topic, subnet)
  if problem then
    return nil, problem
  end
  topic = topic
    or { list = {}, by_address = {}, seen = event.new_seen(SEEN) }
  local subscriber = { key = key, address = from.address, host = from.host,
    subnet = subnet, cookie = cookie, outbox = {}, failures = 0 }
  board.topics[key] = topic
  topic.by_address[from.address] = subscriber
  topic.list[#topic.list + 1] = subscriber
  board.subnets[subnet] = (board.subnets[subnet] or 0) + 1
  board.count = board.count + 1
  return subscriber
end

local function find(board, key, address)
  local topic = board.topics[key]
  return topic and topic.by_address[address]
end

local function are_valid(board, args)
  return type(args.topic) == "string"
    and #args.topic == board.node:id_bits() // 8
    and type(args.cookie) == "string" and #args.cookie == COOKIE
end

--- Adds or renews a subscriber. The reply to a query without a valid token
--- contains only a token.
---@param request kadenza.Request
---@param ctx kadenza.Context
---@return table? reply
---@return string? reason
---@return integer? code
function Board:subscribe(request, ctx)
  local args, from = request.args, ctx.from
  if not are_valid(self, args) then
    return nil, "a topic and a cookie of 8 bytes are needed", MALFORMED
  end
  local token = token_of(self, from.address, current_slot())
  if not is_token(self, from.address, args.token) then
    return { token = token }
  end
  local subscriber, problem = find(self, args.topic, from.address), nil
  if not subscriber then
    subscriber, problem = add(self, args.topic, args.cookie, from)
  end
  if not subscriber then
    self.counts.refused = self.counts.refused + 1
    return nil, problem, REJECTED
  end
  subscriber.cookie, subscriber.failures = args.cookie, 0
  subscriber.expires = kad.now() + self.options.ttl
  return { token = token, ttl = self.options.ttl }
end

--- Ends a subscription.
---@param request kadenza.Request
---@param ctx kadenza.Context
---@return table? reply
---@return string? reason
---@return integer? code
function Board:cancel(request, ctx)
  local args = request.args
  if not are_valid(self, args) then
    return nil, "a topic and a cookie of 8 bytes are needed", MALFORMED
  end
  local subscriber = find(self, args.topic, ctx.from.address)
  if subscriber and subscriber.cookie == args.cookie then
    remove(self, subscriber)
  end
  return {}
end

--- Removes the subscribers that have expired. Lets other tasks run in between.
---@async
function Board:sweep()
  local all = {}
  for _, topic in pairs(self.topics) do
    table.move(topic.list, 1, #topic.list, #all + 1, all)
  end
  for i, subscriber in ipairs(all) do
    if subscriber.expires <= kad.now() then
      remove(self, subscriber)
    end
    if i % STRETCH == 0 then
      kad.sleep(0)
    end
  end
end

---------------------------------------------------------------- pushing --

-- Queues a subscriber whose events are to be pushed.
local function enqueue(board, subscriber)
  if not subscriber.queued and not subscriber.gone then
    subscriber.queued = true
    board.last = board.last + 1
    board.queue[board.last] = subscriber
  end
end

-- Returns the item of an entry of an outbox, with the seconds that are left to
-- its record now.
local function item_of(entry)
  local item = entry.item
  if not item.ttl then
    return item
  end
  local left = {}
  for name, value in pairs(item) do
    left[name] = value
  end
  left.ttl = math.max(1, item.ttl - math.floor(kad.now() - entry.at))
  return left
end

-- Returns the items of a push, and the ids of events that are gone: the oldest,
-- as many as fit; and the set of their outbox entries.
local function next_batch(subscriber)
  local batch, items, gone, size = {}, {}, {}, 0
  for _, entry in ipairs(subscriber.outbox) do
    size = size + (entry.gone and GONE_BYTES or event.size_of(entry.item))
    if size > MAX_PUSH and #items + #gone > 0 then
      break
    end
    batch[entry] = true
    if entry.gone then
      gone[#gone + 1] = entry.gone
    else
      items[#items + 1] = item_of(entry)
    end
  end
  return items, gone, batch
end

-- Removes the events of an acknowledged push from the outbox.
local function acknowledge(board, subscriber, batch)
  local left = {}
  for _, entry in ipairs(subscriber.outbox) do
    if not batch[entry] then
      left[#left + 1] = entry
    end
  end
  subscriber.outbox, subscriber.failures = left, 0
  board.counts.acknowledged = board.counts.acknowledged + 1
end

-- Counts a failed push. Removes a subscriber that rejected it, or failed too
-- often.
local function count_failure(board, subscriber, code)
  subscriber.failures = subscriber.failures + 1
  if code == "KAD_EREMOTE" or subscriber.failures >= FAILURES then
    board.counts.forgotten = board.counts.forgotten + 1
    remove(board, subscriber)
  end
end

local function push_batch(board, subscriber)
  local items, gone, batch = next_batch(subscriber)
  local reply, _, code
  subscriber.batch = batch
  if board.node:is_open() then
    board.counts.pushes = board.counts.pushes + 1
    reply, _, code = board.node:call(subscriber.address,
      board.options.name .. "_push",
      { topic = subscriber.key, cookie = subscriber.cookie, events = items,
        gone = gone[1] and gone or nil })
  end
  board.pushing = board.pushing - 1
  subscriber.batch, subscriber.queued = nil, false
  if reply then
    acknowledge(board, subscriber, batch)
  else
    count_failure(board, subscriber, code)
  end
  if #subscriber.outbox > 0 then
    enqueue(board, subscriber)
  end
  board:pump()
end

-- Waits until another push may be sent.
local function wait_for_slot(board)
  while board.pushing >= PARALLEL do
    kad.wait(function(resume)
      board.wake = resume
    end)
    board.wake = nil
  end
  local now, rate = kad.now(), board.options.rate
  if board.next_at > now then
    kad.sleep(board.next_at - now)
  end
  -- The unused rate of the last second may be used at once.
  board.next_at = math.max(board.next_at, now - 1) + 1 / rate
end

local PumpGuard = {}
PumpGuard.__close = function(guard)
  guard.board.pumping = false
end

local function run_pump(board)
  local _ <close> = setmetatable({ board = board }, PumpGuard)
  while board.first <= board.last and board.node:is_open() do
    wait_for_slot(board)
    local subscriber = board.queue[board.first]
    board.queue[board.first] = nil
    board.first = board.first + 1
    subscriber.queued = #subscriber.outbox > 0
    if subscriber.expires <= kad.now() then
      remove(board, subscriber)
    end
    if subscriber.queued and not subscriber.gone then
      board.pushing = board.pushing + 1
      kad.spawn(push_batch, board, subscriber)
    end
  end
end

--- Starts or wakes the task that pushes the events of queued subscribers.
function Board:pump()
  if self.wake then
    self.wake()
  elseif not self.pumping and self.first <= self.last then
    self.pumping = true
    local succeeded, err = pcall(kad.spawn, run_pump, self)
    if not succeeded then
      self.pumping = false
      error(err, 0)
    end
  end
end

-- Adds an entry to the outbox of a subscriber. If it is full, drops the oldest
-- one that is not being pushed.
local function add_entry(board, subscriber, entry)
  local outbox, batch = subscriber.outbox, subscriber.batch or {}
  outbox[#outbox + 1] = entry
  if #outbox <= OUTBOX then
    return
  end
  for i, other in ipairs(outbox) do
    if not batch[other] then
      table.remove(outbox, i)
      board.counts.dropped = board.counts.dropped + 1
      return
    end
  end
end

-- Adds an entry to the outboxes of all subscribers of a topic.
local function add_to_all(board, topic, entry)
  -- A copy: this function may be preempted while the list changes.
  for _, subscriber in ipairs(table.move(topic.list, 1, #topic.list, 1, {})) do
    add_entry(board, subscriber, entry)
    enqueue(board, subscriber)
  end
  board:pump()
end

--- Pushes a record to the subscribers of its key, once.
---@param record kadenza.Record
function Board:announce(record)
  local topic = self.topics[record.key]
  if topic and topic.seen:add(event.identify(record)) then
    add_to_all(self, topic,
      { item = event.pack(event.copy(record)), at = kad.now() })
  end
end

--- Tells the subscribers of a record's key that the node holds it no longer.
---@param record kadenza.Record
function Board:announce_gone(record)
  local topic = self.topics[record.key]
  if topic then
    local id = event.identify(record)
    topic.seen:remove(id) -- the same value may be published again
    add_to_all(self, topic, { gone = id })
  end
end

--- Drops the events that are queued.
function Board:stop()
  for i = self.first, self.last do
    self.queue[i].outbox = {}
  end
end

--- Returns the subscribers as plain values.
---@return table[] saved
function Board:save()
  local saved = {}
  for _, topic in pairs(self.topics) do
    for _, one in ipairs(topic.list) do
      if #saved < MAX_SAVED then
        saved[#saved + 1] = { key = one.key, address = one.address,
          host = one.host, cookie = one.cookie, expires = one.expires }
      end
    end
  end
  return saved
end

--- Adds subscribers that `save` has returned, within the limits.
---@param saved table[]
function Board:restore(saved)
  for _, one in ipairs(saved) do
    if not find(self, one.key, one.address) then
      local subscriber = add(self, one.key, one.cookie, one)
      if subscriber then
        subscriber.expires = one.expires
      end
    end
  end
end

return M
