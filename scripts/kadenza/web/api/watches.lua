--- The keys that clients watch, a bounded number, and their feeds. A feed goes
--- on for a while without clients, so that one that comes back misses nothing.
--- Tested by tests/spec/web/api/watch_spec.lua.

local answer = require("kadenza.web.api.answer")
local feed = require("kadenza.web.api.feed")
local kad = require("kadenza")
local reply = require("kadenza.web.api.reply")

local M = {}

local MAX_CLIENTS <const> = 256
local MAX_FEEDS <const> = 64
local HEARTBEAT <const> = 15 -- seconds between two comments
local LINGER <const> = 60 -- seconds that a feed goes on without clients

local EVENTS <const> = "text/event-stream"

---@class kadenza.web.Watches
---@field private gateway kadenza.web.Gateway
---@field private max_clients integer
---@field private max_feeds integer
---@field private feeds table<string, kadenza.web.Feed>
---@field private is_beating boolean
local Watches = {}
Watches.__index = Watches

--- Makes a table of watches.
---@param options { gateway: kadenza.web.Gateway, max_clients?: integer,
---  max_feeds?: integer }
---@return kadenza.web.Watches watches
function M.new(options)
  return setmetatable({
    gateway = options.gateway,
    max_clients = options.max_clients or MAX_CLIENTS,
    max_feeds = options.max_feeds or MAX_FEEDS,
    feeds = {},
    is_beating = false,
  }, Watches)
end

local function name_of(key, kind, salt)
  return ("%s %s %s"):format(key, kind, salt or "")
end

--- Returns how many clients and feeds there are.
---@return integer clients
---@return integer feeds
function Watches:counts()
  local clients, feeds = 0, 0
  for _, item in pairs(self.feeds) do
    clients, feeds = clients + item.count, feeds + 1
  end
  return clients, feeds
end

-- Removes the feeds that have ended or that no client has watched for a while.
local function remove_unused(self, now)
  for name, item in pairs(self.feeds) do
    if item.has_ended or item.empty_since
      and now - item.empty_since >= LINGER then
      self.feeds[name] = nil
      item:close()
    end
  end
end

-- Sends comments, from which a server notices that a client has gone, and a
-- client that the server is there; until there are no feeds.
local function beat(self)
  while next(self.feeds) do
    kad.sleep(HEARTBEAT)
    for _, item in pairs(self.feeds) do
      item:send(": alive\n\n")
    end
    remove_unused(self, kad.now())
  end
  self.is_beating = false
end

-- Seconds that a feed has without clients before it makes room: each new feed
-- is a lookup.
local MIN_LINGER <const> = 5

-- Ends the feed that has been without clients for longest. Returns false if
-- there is none, or only for a short time.
local function make_room(self)
  local oldest
  local before = kad.now() - MIN_LINGER
  for name, item in pairs(self.feeds) do
    local since = item.empty_since
    if since and since <= before
      and (not oldest or since < self.feeds[oldest].empty_since)
    then
      oldest = name
    end
  end
  if oldest then
    self.feeds[oldest]:close()
    self.feeds[oldest] = nil
  end
  return oldest ~= nil
end

-- Returns the feed of a key; nil if there are too many.
local function find_feed(self, node, key, options)
  local name = name_of(key, options.type, options.salt)
  local found = self.feeds[name]
  if found and not found.has_ended then
    return found
  end
  local _, feeds = self:counts()
  if feeds >= self.max_feeds and not make_room(self) then
    return nil
  end
  found = feed.new(node, key, options)
  self.feeds[name] = found
  if not self.is_beating then
    self.is_beating = true
    kad.spawn(beat, self)
  end
  return found
end

-- Returns a response if a client cannot watch, or nil.
local function refuse(self, request)
  if not answer.choose(request, { EVENTS }) then
    return reply.error(406, "not_acceptable", "a watch is " .. EVENTS)
  elseif self:counts() >= self.max_clients then
    return reply.error(503, "too_many_watches", "too many clients watch")
  end
end

-- Of each watch; never changed.
local HEADERS <const> = {
  ["Content-Type"] = EVENTS,
  ["Cache-Control"] = "no-store",
  ["X-Accel-Buffering"] = "no", -- a proxy passes each event at once
}

--- Returns the response of a watch.
---@param request table
---@param node kadenza.Node
---@param key string
---@param options { type: string, salt?: string }
---@return table response
function Watches:respond(request, node, key, options)
  local refused = refuse(self, request)
  if refused then
    return refused
  end
  if request.method == "HEAD" then -- needs no lookup
    return { status = 200, headers = HEADERS }
  end
  local found = find_feed(self, node, key, options)
  if not found then
    return reply.error(503, "too_many_watches", "too many keys are watched")
  end
  return {
    status = 200,
    headers = HEADERS,
    stream = function(client)
      found:stream(client, request.headers["last-event-id"])
    end,
  }
end

--- Ends all feeds and the streams of their clients.
function Watches:close()
  for name, item in pairs(self.feeds) do
    self.feeds[name] = nil
    item:close()
  end
end

--- Makes the feeds of a key look it up now: a client has stored a record.
---@param key string
---@param kind string
function Watches:check(key, kind)
  local start = name_of(key, kind, "")
  for name, item in pairs(self.feeds) do
    if name:sub(1, #start) == start then
      item:check()
    end
  end
end

return M
