--- The subscriber's side of pub/sub: subscribes to a topic at its holders,
--- which are the nodes closest to its key, renews the subscriptions, and
--- delivers each pushed event once.

local event = require("kadenza.pubsub.event")
local kad = require("kadenza")
local lives = require("kadenza.pubsub.lives")

local M = {}

local COOKIE <const> = 8
local SEEN <const> = 512 -- ids of the last events delivered
local INBOX <const> = 64 -- events queued for a function
local MAX_EVENTS <const> = 32 -- in one push
local MAX_TOKEN <const> = 64
local ATTEMPTS <const> = 4 -- to subscribe at a contact
local FIRST_RETRY <const> = 5 -- seconds, while there is no holder
local MIN_TTL <const>, MAX_TTL <const> = 30, 86400
local RENEWALS <const> = 3 -- of a subscription during its ttl

---------------------------------------------------------- subscriptions --

--- A function that is called with the events under a key.
---@class kadenza.pubsub.Subscription
---@field key string
---@field dropped integer  events dropped because the function was too slow
local Subscription = {}
Subscription.__index = Subscription
Subscription.__name = "kadenza.pubsub.Subscription"

-- Calls the functions with the events in the inbox, one after the other.
local function drain_inbox(subscription)
  while #subscription.inbox > 0 do
    local entry = table.remove(subscription.inbox, 1)
    local record = entry.record
    local value = subscription.feed.decode(record.value)
    local succeeded, err = pcall(entry.fn, value, record)
    if not succeeded then
      kad.log.error("a subscriber failed", { error = type(err) == "string"
        and err or "an error that is no string" })
    end
  end
  subscription.draining = false
end

-- Adds an event for one of the functions to the inbox; if it is full, drops the
-- oldest.
local function add_to_inbox(subscription, record, fn)
  local inbox = subscription.inbox
  if #inbox >= INBOX then
    table.remove(inbox, 1)
    subscription.dropped = subscription.dropped + 1
  end
  inbox[#inbox + 1] = { record = record, fn = fn }
  if not subscription.draining then
    subscription.draining = true
    kad.spawn(drain_inbox, subscription)
  end
end

--- Returns the number of holders that push events.
---@return integer holders
function Subscription:holders()
  return self.feed and #self.feed.holders or 0
end

--- Ends the subscription: the function is not called again, and if it was the
--- last one of its key, the holders are told. Does nothing if it has ended. A
--- `<close>` variable does so at the end of its scope.
function Subscription:cancel()
  local feed = self.feed
  if not feed then
    return
  end
  self.feed, self.inbox = nil, {}
  for i, other in ipairs(feed.subscriptions) do
    if other == self then
      table.remove(feed.subscriptions, i)
      break
    end
  end
  if #feed.subscriptions == 0 then
    feed:close()
  end
end

Subscription.__close = Subscription.cancel

------------------------------------------------------------------ feeds --

---@class kadenza.pubsub.Feed
local Feed = {}
Feed.__index = Feed

-- Looks up the key: returns its closest contacts and its records.
local function look_up(feed)
  if not feed.node:is_open() then
    return {}, {}
  end
  local records, info, _, details =
    feed.node:get(feed.key, { type = feed.options.name, all = true })
  local closest = records and info.closest or details and details.closest
  local width = feed.options.width
  return table.move(closest or {}, 1, width, 1, {}), records or {}
end

-- Tells the subscriptions that an event is gone. It may be published again.
local function report_gone(feed, record, id)
  feed.seen:remove(id)
  feed.counts.gone = feed.counts.gone + 1
  for _, subscription in ipairs({ table.unpack(feed.subscriptions) }) do
    if subscription.gone then
      add_to_inbox(subscription, record, subscription.gone)
    end
  end
end

--- Makes the feed of a key at a node.
---@param node kadenza.Node
---@param key string
---@param hub table  options, decode and counts of the hub
---@param forget fun(feed: kadenza.pubsub.Feed)  called when the feed closes
---@return kadenza.pubsub.Feed feed
function M.new(node, key, hub, forget)
  local feed
  feed = setmetatable({
    node = node,
    key = key,
    options = hub.options,
    decode = hub.decode,
    counts = hub.counts,
    forget = forget,
    secret = kad.keypair().secret,
    cookies = {}, -- of nodes that may push
    seen = event.new_seen(SEEN),
    subscriptions = {},
    renewals = 0,
    holders = {}, -- { contact, token, ttl }, closest first
    is_open = true,
  }, Feed)
  feed.lives = lives.new(hub.type, function()
    return look_up(feed)
  end, function(record, id)
    report_gone(feed, record, id)
  end)
  return feed
end

--- Adds a subscription.
---@param fn async fun(value: string, record: table)
---@param gone? async fun(value: string, record: table)
---@return kadenza.pubsub.Subscription subscription
function Feed:add(fn, gone)
  local subscription = setmetatable({ feed = self, key = self.key, fn = fn,
    gone = gone, inbox = {}, dropped = 0 }, Subscription)
  table.insert(self.subscriptions, subscription)
  return subscription
end

-- Delivers a valid record to all subscriptions, once.
local function deliver(feed, record, id)
  if not feed.seen:add(id) then
    feed.counts.duplicates = feed.counts.duplicates + 1
    return
  end
  feed.counts.delivered = feed.counts.delivered + 1
  for _, subscription in ipairs({ table.unpack(feed.subscriptions) }) do
    add_to_inbox(subscription, record, subscription.fn)
  end
  feed.lives:add(record, id)
end

--- Delivers a record that the node itself has stored.
---@param record kadenza.Record
function Feed:deliver_stored(record)
  deliver(self, event.copy(record), event.identify(record))
end

-- Checks and delivers an event of a push.
local function receive_item(feed, item, is_valid)
  local record = event.unpack(item, feed.key, feed.options.name)
  if not record then
    feed.counts.invalid = feed.counts.invalid + 1
    return
  end
  local id = event.identify(record)
  if feed.seen:has(id) then
    feed.counts.duplicates = feed.counts.duplicates + 1
  elseif not is_valid(record) then
    feed.counts.invalid = feed.counts.invalid + 1
  elseif feed.is_open then -- `is_valid` may have waited
    deliver(feed, record, id)
  end
end

--- Receives a push. Returns false unless it is from a holder.
---@async
---@param args table
---@param is_valid async fun(record: table): boolean
---@return boolean accepted
function Feed:receive(args, is_valid)
  if not self.cookies[args.cookie or false]
    or type(args.events) ~= "table"
  then
    return false
  end
  for i = 1, math.min(#args.events, MAX_EVENTS) do
    receive_item(self, args.events[i], is_valid)
  end
  if type(args.gone) == "table" then
    self:suspect({ table.unpack(args.gone, 1, MAX_EVENTS) })
  end
  return true
end

--- Checks whether events are gone, as a holder says.
---@param ids any[]
function Feed:suspect(ids)
  self.lives:suspect(ids)
end

---------------------------------------------------------------- holders --

local function is_token(token)
  return type(token) == "string" and #token <= MAX_TOKEN
end

-- Returns the cookie by which a contact proves its pushes. Each contact gets a
-- different one, so that it cannot cancel the subscription at others.
local function cookie_of(feed, contact)
  return kad.hash(feed.secret .. contact.address):sub(1, COOKIE)
end

-- Sends the query `name`, "subscribe" or "cancel", to a contact. Returns its
-- reply, or nil, with a message and a code unless the node is closed.
local function call_contact(feed, contact, name, token)
  if not feed.node:is_open() then
    return nil
  end
  return feed.node:call(contact, feed.options.name .. "_" .. name,
    { topic = feed.key, cookie = cookie_of(feed, contact), token = token })
end

-- Returns a holder if a contact has accepted the subscription, or nil.
local function holder_of(contact, reply, token)
  if math.type(reply.ttl) ~= "integer" then
    return nil
  end
  local ttl = math.max(MIN_TTL, math.min(reply.ttl, MAX_TTL))
  return { contact = contact, token = token, ttl = ttl }
end

-- Subscribes at a contact. The first reply may contain only a token, and
-- datagrams may be lost. Returns the holder, or nil.
local function subscribe_at(feed, contact, token)
  local replies = 0
  for _ = 1, ATTEMPTS do
    local reply, _, code = call_contact(feed, contact, "subscribe", token)
    if not feed.is_open or not reply and code ~= "KAD_ETIMEOUT" then
      return nil
    elseif reply then
      token = is_token(reply.token) and reply.token or token
      local holder = holder_of(contact, reply, token)
      replies = replies + 1
      if holder or replies == 2 then
        return holder
      end
    end
  end
  return nil
end

-- Cancels the subscription at some holders, which would otherwise expire later.
local function cancel_at(feed, holders)
  for _, holder in ipairs(feed.node:is_open() and holders or {}) do
    kad.spawn(call_contact, feed, holder.contact, "cancel")
  end
end

-- Subscribes at some contacts, and cancels the subscription at all other
-- holders.
local function move_to(feed, contacts)
  local tokens, accepted, jobs, former, cookies = {}, {}, {}, {}, {}
  for _, holder in ipairs(feed.holders) do
    tokens[holder.contact.address] = holder.token
  end
  for i, contact in ipairs(contacts) do
    local cookie = cookie_of(feed, contact)
    feed.cookies[cookie], cookies[cookie] = true, true
    jobs[i] = function()
      accepted[i] = subscribe_at(feed, contact, tokens[contact.address])
    end
  end
  kad.all(jobs)
  local before, wanted = feed.holders, {}
  feed.holders, feed.cookies = {}, cookies
  for i, contact in ipairs(contacts) do
    wanted[contact.address] = true
    feed.holders[#feed.holders + 1] = accepted[i] -- nil if it was rejected
  end
  for _, holder in ipairs(before) do
    if not wanted[holder.contact.address] then
      former[#former + 1] = holder
    end
  end
  cancel_at(feed, feed.is_open and former or feed.holders)
end

-- Delivers events that were missed, which are among the records of the key. The
-- other records go to `replay` only, if there is such a subscription.
local function deliver_missed(feed, records, replay)
  for i = #records, 1, -1 do -- the newest last
    local record = event.copy(records[i])
    local id = event.identify(record)
    if not feed.seen:has(id) then
      deliver(feed, record, id)
    elseif replay and replay.feed then
      add_to_inbox(replay, record, replay.fn)
      feed.lives:add(record, id)
    end
  end
end

--- Subscribes at the contacts that are closest now, and delivers events that
--- were missed.
---@async
---@param silently? boolean  the records under the key are not delivered
---@param replay? kadenza.pubsub.Subscription  gets all records under the key
function Feed:renew(silently, replay)
  local contacts, records = look_up(self)
  for _, record in ipairs(silently and records or {}) do
    local id = event.identify(record)
    self.seen:add(id)
    self.lives:add(event.copy(record), id)
  end
  deliver_missed(self, silently and {} or records, replay)
  self.lives:refresh(records)
  move_to(self, contacts)
end

-- Returns the period until the next renewal, and the seconds to sleep: the
-- period with a random change of up to a tenth.
local function next_period(feed, before)
  local period = feed.options.ttl / RENEWALS
  for _, holder in ipairs(feed.holders) do
    period = math.min(period, holder.ttl / RENEWALS)
  end
  if #feed.holders == 0 then
    period = math.min(period, before and before * 2 or FIRST_RETRY)
  end
  feed.renewals = feed.renewals + 1
  local noise = kad.hash(feed.secret .. feed.renewals)
  local part = string.unpack("<I2", noise) / 65535
  return period, period * (0.9 + 0.2 * part)
end

-- Renews the subscription until the feed is closed.
local function run_renewals(feed)
  local retry
  while feed.is_open do
    local period, seconds = next_period(feed, retry)
    retry = #feed.holders == 0 and period or nil
    kad.sleep(seconds)
    if not feed.node:is_open() then
      feed:close()
      return
    end
    feed:renew()
  end
end

--- Renews the subscription from now on, until the feed is closed.
function Feed:start()
  if self.is_open and not self.renewal then
    self.renewal = kad.spawn(run_renewals, self)
  end
end

--- Closes the feed, and cancels it at its holders.
---@param silently? boolean  do not tell the holders
function Feed:close(silently)
  if not self.is_open then
    return
  end
  self.is_open = false
  self.lives:close()
  self:forget()
  for _, subscription in ipairs({ table.unpack(self.subscriptions) }) do
    subscription:cancel()
  end
  local holders, renewal = self.holders, self.renewal
  self.holders = {}
  cancel_at(self, silently and {} or holders)
  if renewal then
    renewal:cancel()
  end
end

return M
