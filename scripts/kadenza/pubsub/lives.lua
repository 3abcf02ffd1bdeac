--- The lives of the events that a feed has delivered: finds out when one is
--- gone.
--
-- A holder says that it holds an event no longer, or the event's time has
-- passed. Neither proves that it is gone: other holders may have it longer. So
-- the feed looks up the key, and an event that no node near the key holds is
-- gone.
--
-- Tested by tests/spec/pubsub/lives_spec.lua.

local event = require("kadenza.pubsub.event")
local kad = require("kadenza")

local M = {}

local MAX <const> = 512 -- events whose lives are followed
local SLACK <const> = 2 -- seconds after the end of a life, for slow holders
local RETRY <const> = 30 -- seconds until the next look-up if none answered

---@class kadenza.pubsub.Lives
local Lives = {}
Lives.__index = Lives

--- Makes an empty set of lives.
---@param rules kadenza.Type  of the events
---@param look_up async fun(): table[], table[]  returns the contacts that are
---  closest to the key, none if no node has answered, and the records found
---@param on_gone fun(record: table, id: string)
---@return kadenza.pubsub.Lives lives
function M.new(rules, look_up, on_gone)
  return setmetatable({
    rules = rules,
    look_up = look_up,
    on_gone = on_gone,
    all = {}, -- id → { record, due }; due is nil for a life of unknown length
    count = 0,
    is_open = true,
  }, Lives)
end

-- Returns when the first life is to be checked, or nil.
local function first_due(lives)
  local first
  for _, life in pairs(lives.all) do
    if life.due and (not first or life.due < first) then
      first = life.due
    end
  end
  return first
end

-- Returns whether another record has taken the place of one: then that one has
-- not expired.
local function is_replaced(lives, record, found)
  if lives.rules.merge or lives.rules.max_values == 1 then
    return #found > 0
  end
  for _, other in ipairs(record.publisher and found or {}) do
    if other.publisher == record.publisher and other.salt == record.salt then
      return true
    end
  end
  return false
end

local function forget(lives, id)
  if lives.all[id] then
    lives.all[id] = nil
    lives.count = lives.count - 1
  end
end

-- Sets the ends of the lives of records that a look-up has found.
local function refresh(lives, found)
  local present = {}
  for _, record in ipairs(found) do
    local id = event.identify(record)
    local life = lives.all[id]
    present[id] = true
    if life then
      life.due = record.ttl and kad.now() + record.ttl + SLACK
    end
  end
  return present
end

-- Looks up the key, and reports the events that were due and are gone.
local function check(lives)
  local contacts, found = lives.look_up()
  local now, present = kad.now(), refresh(lives, found)
  local gone = {}
  for id, life in pairs(lives.all) do
    if life.due and life.due <= now and not present[id] then
      if #contacts > 0 then
        gone[#gone + 1] = { id = id, record = life.record }
      else
        life.due = now + RETRY
      end
    end
  end
  for _, one in ipairs(gone) do
    forget(lives, one.id)
    if lives.is_open and not is_replaced(lives, one.record, found) then
      lives.on_gone(one.record, one.id)
    end
  end
end

-- Checks lives as they become due, until there is none.
local function run(lives)
  local due = first_due(lives)
  while lives.is_open and due do
    local seconds = due - kad.now()
    lives.sleeps_until = seconds > 0 and due or nil
    if seconds > 0 then
      kad.sleep(seconds)
    else
      check(lives)
    end
    due = first_due(lives)
  end
  lives.task = nil
end

-- Starts the task that checks the lives, or wakes it if it sleeps too long.
local function plan_check(lives)
  local due = first_due(lives)
  if not due then
    return
  elseif lives.task and lives.sleeps_until and lives.sleeps_until > due then
    lives.task:cancel()
    lives.task = nil
  end
  if not lives.task then
    lives.sleeps_until = due
    lives.task = kad.spawn(run, lives)
  end
end

--- Follows the life of an event that was delivered, `record.ttl` seconds long.
---@param record table
---@param id string
function Lives:add(record, id)
  if not self.is_open or not self.all[id] and self.count >= MAX then
    return
  end
  if not self.all[id] then
    self.count = self.count + 1
  end
  self.all[id] = { record = record,
    due = record.ttl and kad.now() + record.ttl + SLACK }
  plan_check(self)
end

--- Checks soon whether events are gone, as a holder says.
---@param ids any[]  of which some may be ids of events
function Lives:suspect(ids)
  local soon = kad.now() + SLACK
  for _, id in ipairs(ids) do
    local life = self.all[id]
    if life and (not life.due or life.due > soon) then
      life.due = soon
    end
  end
  plan_check(self)
end

--- Sets how long events live from the records of a look-up.
---@param found table[]
function Lives:refresh(found)
  refresh(self, found)
  plan_check(self)
end

--- Ends all checks.
function Lives:close()
  self.is_open, self.all, self.count = false, {}, 0
  if self.task and self.sleeps_until then
    self.task:cancel()
  end
end

return M
