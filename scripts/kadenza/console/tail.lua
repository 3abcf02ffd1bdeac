--- Shows the datagrams of a node to its consoles, as they pass: one event each,
--- filtered, and so many a second.
--
-- The tap of the node is open while a console wants it. It only notes what
-- passes; the consoles are written to in the next turn.

local core = require("kadenza.core")
local kad = require("kadenza")

local M = {}

--- Events a second that a console gets if it asks for no number, and at most.
M.RATE = { default = 100, max = 1000 }

-- Datagrams of a turn that are kept to be shown; others are counted.
local MAX_NOTED <const> = 1000

-- Bytes that may wait for a console: a slow one gets fewer events, and is not
-- dropped.
local MAX_WAITING <const> = 65536

--- The order of the fields of events.
M.ORDER = { "time", "event", "peer", "kind", "query", "reason", "size",
  "target", "id", "nodes", "values", "left_out" }

----------------------------------------------------------------- messages --

-- Returns bytes that are an id as hexadecimal.
local function id_of(bytes)
  return type(bytes) == "string" and (#bytes == 20 or #bytes == 32)
    and kad.hex(bytes) or nil
end

-- Returns the number of contacts in compact form.
local function count_nodes(body, id_size)
  local count = 0
  for name, size in pairs({ nodes = id_size + 6, nodes6 = id_size + 18 }) do
    local packed = body[name]
    count = count + (type(packed) == "string" and #packed // size or 0)
  end
  return count > 0 and count or nil
end

local function count_values(body)
  return type(body.values) == "table" and #body.values
    or body.v ~= nil and 1 or nil
end

-- Returns the code and the text of an error.
local function error_of(message)
  local list = message.e
  return type(list) == "table" and ("%s %s"):format(tostring(list[1]),
    tostring(list[2])) or nil
end

--- Returns what a message says: a query, reply or error of KRPC, or "other".
---@param bytes string
---@param id_size 20|32
---@return { kind: string, query?: string, id?: string, target?: string,
---  nodes?: integer, values?: integer, error?: string } summary
function M.summary(bytes, id_size)
  local message = core.decode(bytes)
  if type(message) ~= "table" then
    return { kind = "other" }
  end
  local kind = ({ q = "query", r = "reply", e = "error" })[message.y]
  local body = message[({ q = "a", r = "r" })[message.y] or ""]
  if not kind then
    return { kind = "other" }
  elseif type(body) ~= "table" then
    return { kind = kind, error = error_of(message) }
  end
  return { kind = kind,
    query = kind == "query" and type(message.q) == "string" and message.q
      or nil,
    id = id_of(body.id), target = id_of(body.target or body.info_hash),
    nodes = count_nodes(body, id_size), values = count_values(body) }
end

------------------------------------------------------------------ filters --

---@class kadenza.TailFilter
---@field event? "in"|"out"|"drop"
---@field kind? string  of the message, or the name of a query
---@field peer? string  an address, with or without its port
---@field reason? string  of a drop

-- Returns the host of "HOST:PORT", or a text that is a host already.
local function host_of(address)
  return address:match("^%[(.*)%]:%d+$") or address:match("^([^:]*):%d+$")
    or address
end

local TEXTS <const> = { "event", "kind", "peer", "reason" }
local EVENTS <const> = { ["in"] = true, out = true, drop = true }

-- Returns the filter of a request; nil and what is wrong with it.
local function filter_of(request)
  local filter = {}
  for _, name in ipairs(TEXTS) do
    local value = request[name]
    if value ~= nil and type(value) ~= "string" then
      return nil, name .. " must be a text"
    end
    filter[name] = value
  end
  if filter.event and not EVENTS[filter.event] then
    return nil, "event must be in, out or drop"
  elseif filter.reason then
    filter.event = filter.event or "drop"
  end
  filter.has_port = filter.peer and core.address(filter.peer) ~= nil
  return filter
end

-- Tells whether an event may pass, before its message is read.
local function passes_early(filter, event, peer, reason)
  return (not filter.event or filter.event == event)
    and (not filter.reason or filter.reason == reason)
    and (not filter.peer
      or filter.peer == (filter.has_port and peer or host_of(peer)))
end

local function passes_late(filter, summary)
  return not filter.kind or filter.kind == summary.kind
    or filter.kind == summary.query
end

------------------------------------------------------------------- tails --

---@class kadenza.Tails
---@field private node kadenza.Node
---@field private readers table<table, boolean>
---@field private noted table[]  of this turn
---@field private count integer  of what has passed in this turn
local Tails = {}
Tails.__index = Tails

-- Sends an event, unless the reader has got as many as it may in this second.
local function show(self, reader, noted, now)
  noted.summary = noted.summary
    or M.summary(noted.message, self.node:id_bits() // 8)
  if not passes_late(reader.filter, noted.summary) then
    return
  elseif now - reader.since >= 1 then
    reader.since, reader.shown = now, 0
  end
  if reader.shown >= reader.rate or reader.console:waiting() > MAX_WAITING then
    reader.left_out = reader.left_out + 1
    return
  end
  local event = { time = noted.time, event = noted.event, peer = noted.peer,
    reason = noted.reason, size = #noted.message,
    left_out = reader.left_out > 0 and reader.left_out or nil }
  for name, value in pairs(noted.summary) do
    event[name] = value
  end
  reader.shown, reader.left_out = reader.shown + 1, 0
  reader.console:event(event, M.ORDER)
end

-- Shows what was noted in the last turn.
local function flush(self)
  local noted, missed = self.noted, self.count - #self.noted
  self.noted, self.count, self.timer = {}, 0, nil
  if not self.node:is_open() then
    return
  end
  local readers, now = {}, self.node:network():now()
  for reader in pairs(self.readers) do
    readers[#readers + 1] = reader
    reader.left_out = reader.left_out + missed
  end
  for _, one in ipairs(noted) do
    for _, reader in ipairs(readers) do
      if self.readers[reader]
        and passes_early(reader.filter, one.event, one.peer, one.reason) then
        show(self, reader, one, now)
      end
    end
  end
end

-- Tells whether a reader may want what has passed.
local function is_wanted(self, event, peer, reason)
  for reader in pairs(self.readers) do
    if passes_early(reader.filter, event, peer, reason) then
      return true
    end
  end
  return false
end

-- Notes a datagram.
local function note(self, event, peer, message, reason)
  if not is_wanted(self, event, peer, reason) then
    return
  end
  self.count = self.count + 1
  if #self.noted < MAX_NOTED then
    self.noted[#self.noted + 1] = { time = self.node:network():time(),
      event = event, peer = peer, message = message, reason = reason }
  end
  self.timer = self.timer or self.node:network():start_timer(0, function()
    flush(self)
  end)
end

local function remove(self, reader)
  self.readers[reader] = nil
  if not next(self.readers) and self.node:is_open() then
    self.node.core:tap(nil)
  end
end

--- Sends events to a console until it closes.
---@async
---@param request table  with the fields of kadenza.TailFilter, and `rate`
---@param console kadenza.Console
---@return nil
---@return string? message
---@return string? code
function Tails:follow(request, console)
  local rate = request.rate or M.RATE.default
  local filter, problem = filter_of(request)
  if not filter then
    return nil, problem, "KAD_EINVAL"
  elseif math.type(rate) ~= "integer" or rate < 1 or rate > M.RATE.max then
    return nil, ("rate must be from 1 to %d"):format(M.RATE.max), "KAD_EINVAL"
  end
  local reader = { console = console, filter = filter, rate = rate, shown = 0,
    left_out = 0, since = self.node:network():now() }
  if not next(self.readers) then
    self.node.core:tap(function(...)
      note(self, ...)
    end)
  end
  self.readers[reader] = true
  console:stream(function()
    remove(self, reader)
  end)
  if not console:event({ rate = rate }, M.ORDER) then -- it has begun
    return nil, "the console has closed", "KAD_ECLOSED"
  end
  kad.wait(function() end) -- the end of the console cancels this
end

--- Makes what shows the datagrams of a node.
---@param node kadenza.Node
---@return kadenza.Tails tails
function M.new(node)
  return setmetatable({ node = node, readers = {}, noted = {}, count = 0 },
    Tails)
end

return M
