--- Runs the operations of the API on the node: equal requests share one, the
--- number under way is bounded, and answers are kept for some seconds.
---
---     local gateway = gateway.new({ running = running })
---     local answer, message, code, details = gateway:fetch(name,
---       function(node) … return { bytes = 10, life = 5 } end)
---
--- Tested by tests/spec/web/api/gateway_spec.lua.

local cache = require("kadenza.web.api.cache")
local kad = require("kadenza")

local M = {}

local CACHE_BYTES <const> = 1 << 20
local MAX_OPERATIONS <const> = 64
local ABSENT_SECONDS <const> = 2 -- how long "not found" is kept

---@class kadenza.web.Gateway
---@field running { node: kadenza.Node }
---@field private answers kadenza.web.Cache
---@field private flights table<string, { task: kadenza.Task }>  lookups that
---  are under way
---@field private count integer  operations under way
---@field private max integer
local Gateway = {}
Gateway.__index = Gateway

--- Makes a gateway.
---@param options { running: { node: kadenza.Node }, max_operations?: integer,
---  cache_bytes?: integer }  `running.node` may be set later
---@return kadenza.web.Gateway gateway
function M.new(options)
  return setmetatable({
    running = options.running,
    answers = cache.new(options.cache_bytes or CACHE_BYTES),
    flights = {},
    count = 0,
    max = options.max_operations or MAX_OPERATIONS,
  }, Gateway)
end

--- Returns the node, or nil, message, code if it is not open.
---@return kadenza.Node? node
---@return string? message
---@return kadenza.Code? code
function Gateway:node()
  local node = self.running.node
  if not node or not node:is_open() then
    return nil, "the node is closed", "KAD_ECLOSED"
  end
  return node
end

-- Returns the node, or nil, message, code if no operation can begin now.
local function find_node(self)
  local node, message, code = self:node()
  if not node then
    return nil, message, code
  elseif node:state() == "isolated" then
    return nil, "no other node answers this one: it is isolated",
      "KAD_ENOCONTACTS"
  elseif self.count >= self.max then
    return nil, "too many operations are under way: try again", "KAD_EBUSY"
  end
  return node
end

-- Counts an operation until the result is closed.
local function counting(self)
  self.count = self.count + 1
  return setmetatable({}, {
    __close = function()
      self.count = self.count - 1
    end,
  })
end

--- Runs an operation, unless too many are under way.
---@async
---@param operate async fun(node: kadenza.Node): ...
---@return any ...  its results, or nil, message, code
function Gateway:perform(operate)
  local node, message, code = find_node(self)
  if not node then
    return nil, message, code
  end
  local _ <close> = counting(self)
  return operate(node)
end

-- Keeps an answer, or that there is none.
local function keep(self, name, answer, code)
  local now = kad.now()
  if answer then
    answer.began, answer.ends = now, now + answer.life
    self.answers:put(name, answer)
  elseif code == "KAD_ENOTFOUND" then
    self.answers:put(name, { bytes = 0, ends = now + ABSENT_SECONDS,
      is_absent = true })
  end
end

-- Looks up an answer in a task of its own: it goes on if the client that asked
-- first has gone. A write while it is under way makes its answer an old one,
-- which is not kept.
local function start_flight(self, node, name, operate)
  local flight = {}
  local counted = counting(self) -- from now on, though the task begins later
  self.flights[name] = flight
  flight.task = kad.spawn(function()
    local _ <close> = counted
    local _ <close> = setmetatable({}, {
      __close = function() -- the operation may raise
        if self.flights[name] == flight then
          self.flights[name] = nil
        end
      end,
    })
    local answer, message, code, details = operate(node)
    if self.flights[name] == flight then
      keep(self, name, answer, code)
    end
    return answer, message, code, details
  end)
  return flight
end

--- Returns an answer: one that is kept, or that of a lookup, which equal
--- requests share.
---@async
---@param name string  of the answer
---@param operate async fun(node: kadenza.Node): kadenza.web.Answer?, string?,
---  kadenza.Code?, table?  the answer has `bytes` and `life`, in seconds
---@param is_fresh? boolean  do not take one that is kept
---@return kadenza.web.Answer? answer
---@return string? message
---@return kadenza.Code? code
---@return table? details
function Gateway:fetch(name, operate, is_fresh)
  local kept = not is_fresh and self.answers:get(name, kad.now())
  if kept and kept.is_absent then
    return nil, "not found", "KAD_ENOTFOUND"
  elseif kept then
    return kept
  end
  local flight = self.flights[name]
  if not flight then
    local node, message, code = find_node(self)
    if not node then
      return nil, message, code
    end
    flight = start_flight(self, node, name, operate)
  end
  return flight.task:await()
end

--- Forgets an answer, because a client has written what it is about.
---@param name string
function Gateway:forget(name)
  self.answers:forget(name)
  self.flights[name] = nil
end

return M
