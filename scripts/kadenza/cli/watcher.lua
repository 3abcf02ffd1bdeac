--- Follows the records of a type under a key: what is there, what changes, what
--- expires.
--
--     local follower = watcher.new(node, { key = key, type = "value",
--       interval = 30, report = function(event, record) … end })
--     follower:run() -- until follower:stop()
--
-- It looks up the key when it begins, whenever a record's time has passed, and
-- at intervals. With a hub of kadenza.pubsub it subscribes instead: then it
-- looks up the key only while no node accepts the subscription.
--
-- Tested by tests/spec/cli/watcher_spec.lua.

local event = require("kadenza.pubsub.event")
local kad = require("kadenza")
local log = require("kadenza.log")

local M = {}

local SLACK <const> = 2 -- seconds after the end of a record, for slow holders
local MIN_WAIT <const> = 1 -- seconds between two look-ups

---@class kadenza.cli.Watcher
local Watcher = {}
Watcher.__index = Watcher

--- Makes a watcher.
---@param node kadenza.Node
---@param options { key: string, type: string, salt?: string, interval: number,
---  hub?: kadenza.pubsub.Hub, report: fun(event: "present"|"changed"|"expired",
---  record: table), report_answer?: fun(answered: boolean, message?: string) }
---  interval: seconds; `salt` is that of a mutable item; `report_answer` is
---  called when nodes stop to answer, and when they answer again, which the log
---  says without it
---@return kadenza.cli.Watcher watcher
function M.new(node, options)
  return setmetatable({
    node = node,
    options = options,
    known = {}, -- id → { record, due }
    is_first = true,
  }, Watcher)
end

local function due_of(record)
  return record.ttl and kad.now() + record.ttl + SLACK
end

-- Returns whether one record takes the place of another: the publisher has
-- changed a signed one.
local function replaces(new, old)
  return old.publisher ~= nil and new.publisher == old.publisher
    and new.salt == old.salt
end

-- Reports a record that was found or pushed, unless it is known.
local function note_found(watcher, record, what)
  local id = event.identify(record)
  local known = watcher.known[id]
  if known then
    known.due = due_of(record)
    return
  end
  for other, entry in pairs(watcher.known) do
    if replaces(record, entry.record) then
      watcher.known[other] = nil
    end
  end
  watcher.known[id] = { record = record, due = due_of(record) }
  watcher.options.report(what, record)
end

-- Reports that a record has expired, if it is known.
local function note_gone(watcher, id)
  local entry = watcher.known[id]
  if entry then
    watcher.known[id] = nil
    watcher.options.report("expired", entry.record)
  end
end

-- Compares what a look-up has found with what is known.
local function compare(watcher, records)
  local present, gone = {}, {}
  for i = #records, 1, -1 do -- the newest last
    present[event.identify(records[i])] = true
    note_found(watcher, event.copy(records[i]),
      watcher.is_first and "present" or "changed")
  end
  for id in pairs(watcher.known) do
    gone[#gone + 1] = not present[id] and id or nil
  end
  table.sort(gone)
  for _, id in ipairs(gone) do
    note_gone(watcher, id)
  end
  watcher.is_first = false
end

-- Looks up the key. Returns false if no node near it has answered: then nothing
-- is known about the records.
local function look_up(watcher)
  local options = watcher.options
  local records, message, code, details = watcher.node:get(options.key,
    { type = options.type, salt = options.salt, all = true })
  if records then
    compare(watcher, records)
  elseif code == "KAD_ENOTFOUND" and details and #details.closest > 0 then
    compare(watcher, {})
  elseif code == "KAD_ETYPE" then
    return nil, message, code
  else
    return false, message
  end
  return true
end

-- Returns the seconds until the next look-up.
local function next_wait(watcher)
  local wait = watcher.options.interval
  for _, entry in pairs(watcher.known) do
    wait = entry.due and math.min(wait, entry.due - kad.now()) or wait
  end
  return math.max(wait, MIN_WAIT)
end

local function log_answer(answered, message)
  if answered then
    log.warn("nodes answer again")
  else
    log.warn("no node answers, trying again", { error = message })
  end
end

-- Reports once that nodes do not answer, and once that they do again.
local function note_answer(watcher, answered, message)
  if answered == (watcher.is_silent == true) then
    local report = watcher.options.report_answer or log_answer
    report(answered, message)
  end
  watcher.is_silent = not answered
end

-- Logs once that no node pushes, and once that one does again.
local function note_pushing(watcher, pushes)
  if not pushes and watcher.pushes ~= false then
    log.warn("no node pushes records of this type: looking them up at "
      .. "intervals (a node pushes if it runs the policy of the type)",
      { type = watcher.options.type, seconds = watcher.options.interval })
  elseif pushes and watcher.pushes == false then
    log.warn("nodes push records again")
  end
  watcher.pushes = pushes
end

-- Calls `fn` with what it is called with; an error ends the run.
local function guarded(watcher, fn)
  return function(...)
    local succeeded, problem = pcall(fn, ...)
    if not succeeded then
      watcher:stop(nil, problem)
    end
  end
end

local function subscribe(watcher)
  local hub = watcher.options.hub
  return hub and hub:subscribe(watcher.node, watcher.options.key,
    guarded(watcher, function(_, record)
      note_found(watcher, record, "changed")
    end), {
      gone = guarded(watcher, function(_, record)
        note_gone(watcher, event.identify(record))
      end),
    })
end

-- Sleeps, at most until `check` is called; not at all if it was called during a
-- look-up, which may have missed what it is about.
local function pause(watcher, seconds)
  if watcher.is_due then
    watcher.is_due = false
    return
  end
  kad.timeout(seconds, function()
    kad.wait(function(resume)
      watcher.wake = resume
    end)
  end)
  watcher.wake = nil
end

-- Looks up the key again and again; with a subscription, while no node pushes.
local function follow(watcher)
  watcher.subscription = subscribe(watcher)
  while watcher.node:is_open() do
    local pushes = watcher.subscription and watcher.subscription:holders() > 0
    if watcher.subscription then
      note_pushing(watcher, pushes)
    end
    if watcher.is_first or not pushes then
      local answered, message, code = look_up(watcher)
      if answered == nil then
        watcher:stop(nil, { message = message, code = code })
        return
      end
      note_answer(watcher, answered, message)
    end
    pause(watcher, pushes and watcher.options.interval or next_wait(watcher))
  end
  watcher:stop("closed")
end

--- Follows the records until `stop`.
---@async
---@return any why  what `stop` was called with
---@return any problem
function Watcher:run()
  local follower
  local why, problem = kad.wait(function(resume)
    self.resume = resume
    follower = kad.spawn(guarded(self, follow), self)
  end)
  self.resume = nil
  if self.subscription then
    self.subscription:cancel()
  end
  follower:cancel()
  return why, problem
end

--- Looks up the key now, or as soon as the look-up that runs has ended.
function Watcher:check()
  local wake = self.wake
  self.wake, self.is_due = nil, not wake
  if wake then
    wake()
  end
end

--- Returns the records that are known.
---@return table[] records
function Watcher:present()
  local ids, records = {}, {}
  for id in pairs(self.known) do
    ids[#ids + 1] = id
  end
  table.sort(ids)
  for i, id in ipairs(ids) do
    records[i] = self.known[id].record
  end
  return records
end

--- Ends `run`, which returns these arguments.
---@param why any
---@param problem? any
function Watcher:stop(why, problem)
  local resume = self.resume
  self.resume = nil
  if resume then
    resume(why, problem)
  end
end

return M
