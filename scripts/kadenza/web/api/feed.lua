--- The events of the records under one key, for all clients that watch it.
--- They share one watcher, so that each key costs one look-up an interval.
---
--- Events are server-sent events: `present` for each record that is there when
--- a client comes, then `changed` and `expired`; `unanswered` and `answered`
--- when the overlay stops to answer and answers again. Each event has an id,
--- and the latest ones are kept: a client that comes back with `Last-Event-ID`
--- gets those that it has missed.
---
--- Tested by tests/spec/web/api/watch_spec.lua.

local core = require("kadenza.core")
local json = require("kadenza.json")
local kad = require("kadenza")
local record_text = require("kadenza.web.api.record_text")
local watcher = require("kadenza.cli.watcher")

local M = {}

local RECENT <const> = 64 -- events that are kept
local INTERVAL <const> = 30 -- seconds between two look-ups
local RETRY_MS <const> = 3000 -- until a client comes back

-- The order of fields in documents; other fields follow.
local ORDER <const> = { "key", "type", "value", "value_base64", "ttl", "age",
  "seq" }

---@class kadenza.web.Feed
---@field count integer  clients
---@field empty_since number?  when the last client has gone
---@field has_ended boolean
---@field private key string
---@field private tag string  distinguishes the ids of this feed
---@field private number integer  of the last event
---@field private recent table<integer, string>  number → text
---@field private clients table<table, fun()>  client → ends its stream
---@field private watcher kadenza.cli.Watcher
local Feed = {}
Feed.__index = Feed

-- Returns the text of an event.
local function to_text(self, name, document)
  return ("event: %s\nid: %s-%d\ndata: %s\n\n"):format(name, self.tag,
    self.number, json.encode(document, ORDER))
end

local function describe(self, record)
  local document = record_text.describe(record)
  document.key, document.signature = core.hex(self.key), nil
  return document
end

-- Ends the stream of a client.
local function drop(self, client)
  local finish = self.clients[client]
  if finish then
    self.clients[client] = nil
    self.count = self.count - 1
    if self.count == 0 then
      self.empty_since = kad.now()
    end
    finish()
  end
end

-- Sends a text to a client. One that does not read loses its stream.
local function send(self, client, text)
  if not client:write(text) then
    drop(self, client)
  end
end

--- Sends a text to all clients.
---@param text string
function Feed:send(text)
  local clients = {}
  for client in pairs(self.clients) do
    clients[#clients + 1] = client
  end
  for _, client in ipairs(clients) do
    send(self, client, text)
  end
end

-- Numbers an event, keeps and sends it.
local function publish(self, name, document)
  self.number = self.number + 1
  local text = to_text(self, name, document)
  self.recent[self.number] = text
  self.recent[self.number - RECENT] = nil
  self:send(text)
end

-- Runs the watcher until the feed ends.
local function follow(self)
  local _ <close> = setmetatable({}, {
    __close = function()
      self.has_ended = true
      for client in pairs(self.clients) do
        drop(self, client)
      end
    end,
  })
  local _, problem = self.watcher:run()
  if type(problem) == "string" then -- not that the node has lost the type
    error(problem, 0)
  end
end

--- Begins a feed.
---@param node kadenza.Node
---@param key string
---@param options { type: string, salt?: string }
---@return kadenza.web.Feed feed
function M.new(node, key, options)
  local self = setmetatable({
    key = key,
    tag = core.hex(kad.random(8)),
    number = 0,
    recent = {},
    clients = {},
    count = 0,
    empty_since = kad.now(),
    has_ended = false,
  }, Feed)
  self.watcher = watcher.new(node, {
    key = key,
    type = options.type,
    salt = options.salt,
    interval = INTERVAL,
    report = function(event, record)
      publish(self, event, describe(self, record))
    end,
    report_answer = function(answered, message)
      publish(self, answered and "answered" or "unanswered",
        { key = core.hex(key), message = message })
    end,
  })
  kad.spawn(follow, self)
  return self
end

-- Returns the number of the last event that a client has, if the events behind
-- it are kept; or nil.
local function find_number(self, last_id)
  local tag, digits = (last_id or ""):match("^(%x+)-(%d+)$")
  local number = tag == self.tag and #digits < 16 and math.tointeger(digits)
  if number and number <= self.number
    and (number == self.number or self.recent[number + 1]) then
    return number
  end
end

-- Sends a client what it has missed, or else what is there.
local function greet(self, client, last_id)
  local parts = { ("retry: %d\n\n"):format(RETRY_MS) }
  local number = find_number(self, last_id)
  if number then
    table.move(self.recent, number + 1, self.number, 2, parts)
  else
    for _, record in ipairs(self.watcher:present()) do
      parts[#parts + 1] = to_text(self, "present", describe(self, record))
    end
  end
  send(self, client, table.concat(parts))
end

--- Sends the events to a client until it has gone, does not read, or the feed
--- ends.
---@async
---@param client table
---@param last_id? string  of `Last-Event-ID`
function Feed:stream(client, last_id)
  kad.wait(function(finish)
    self.clients[client] = finish
    self.count, self.empty_since = self.count + 1, nil
    client:on_close(function()
      drop(self, client)
    end)
    greet(self, client, last_id)
    return function()
      drop(self, client)
    end
  end)
end

--- Looks up the key now.
function Feed:check()
  self.watcher:check()
end

--- Ends the feed and the streams of its clients.
function Feed:close()
  self.watcher:stop("closed")
end

return M
