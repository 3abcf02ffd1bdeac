--- Whether a node is alive, and in touch with its overlay: `/health/live` and
--- `/health/ready`.
---
--- A node is in touch if a contact has answered it within the last
--- SILENCE_SECONDS. What the node does anyway brings such answers, but not in a
--- quiet overlay: after QUIET_SECONDS without one, some contacts are pinged
--- every ROUND_SECONDS, until one answers. So the state of an idle node does
--- not change back and forth, and that of an isolated one is known in time.

local M = {}

--- Longest time since the last answer while a node is ready.
M.SILENCE_SECONDS = 25

-- At least eight rounds fit between the first ping and the end of readiness: a
-- node with one contact stays ready while a third of its datagrams is lost.
local QUIET_SECONDS <const> = 8
local ROUND_SECONDS <const> = 2

-- Contacts that a round pings. Nearly all of a table may have left.
local ROUND_PINGS <const> = 4

---@class kadenza.web.Health
---@field private node kadenza.Node
---@field private answered? number  when a contact last answered
---@field private asked table<string, number>  when each address was last pinged
local Health = {}
Health.__index = Health

-- Returns the contacts, and takes over when one of them last answered: one that
-- has left the table since does not count back.
local function read_contacts(self)
  local contacts, now = self.node:contacts(), self.network:now()
  for _, contact in ipairs(contacts) do
    self.answered = math.max(self.answered or -math.huge, now - contact.idle)
  end
  return contacts
end

-- Returns the seconds since a contact last answered; nil: none ever has.
local function silence(self)
  return self.answered and self.network:now() - self.answered
end

-- Pings the contacts that were not pinged for longest, and of these those that
-- answered last.
local function ping_some(self, contacts)
  local asked = {}
  table.sort(contacts, function(a, b)
    local x, y = self.asked[a.address] or -1, self.asked[b.address] or -1
    if x ~= y then
      return x < y
    end
    return a.idle < b.idle
  end)
  for _, contact in ipairs(contacts) do
    asked[contact.address] = self.asked[contact.address]
  end
  for i = 1, math.min(ROUND_PINGS, #contacts) do
    local address = contacts[i].address
    asked[address] = self.network:now()
    self.node:ping(address, function(contact)
      if contact then
        self.answered = self.network:now()
      end
    end)
  end
  self.asked = asked
end

local function round(self)
  local contacts = read_contacts(self)
  if (silence(self) or math.huge) >= QUIET_SECONDS then
    ping_some(self, contacts)
  else
    self.asked = {}
  end
end

local function plan(self)
  self.timer = self.network:start_timer(ROUND_SECONDS * 1000, function()
    self.timer = nil
    if self.node:is_open() then
      plan(self)
      round(self)
    end
  end)
end

--- Begins to watch a node.
---@param node kadenza.Node
---@return kadenza.web.Health health
function M.new(node)
  local self = setmetatable({ node = node, network = node:network(),
    asked = {} }, Health)
  plan(self)
  return self
end

local LIVE <const> = { status = 200, body = '{"live":true}\n',
  headers = { ["Content-Type"] = "application/json" } }

-- Why a node is not ready, by its state.
local REASONS <const> = {
  new = "no other node is known yet",
  joining = "the node joins: no contact has answered yet",
}

--- Returns whether the node is in touch with its overlay, and what tells it.
---@return { ready: boolean, reason?: string, state: string, contacts: integer,
---  silent?: number } report
function Health:report()
  if not self.node:is_open() then
    return { ready = false, reason = "the node is closed", state = "closed",
      contacts = 0 }
  end
  local contacts, state = read_contacts(self), self.node:state()
  local silent = silence(self)
  local report = { state = state, contacts = #contacts,
    silent = silent and math.floor(silent * 1000) / 1000 }
  if self.is_leaving then
    report.reason = "the node is about to stop"
  elseif not silent then
    report.reason = REASONS[state] or "no contact has answered yet"
  elseif silent > M.SILENCE_SECONDS then
    report.reason = ("no contact has answered for %d s"):format(silent // 1)
  end
  report.ready = report.reason == nil
  return report
end

--- Has the node not ready from now on: it is about to stop.
function Health:leave()
  self.is_leaving = true
end

--- Stops watching the node.
function Health:close()
  if self.timer and self.network:is_open() then
    self.network:stop_timer(self.timer)
    self.timer = nil
  end
end

--- Adds the routes.
---@param server kadenza.web.Server
---@param running table  of `kadenza run`
---@return kadenza.web.Health health  to be closed
function M.add(server, running)
  local health = M.new(running.node)
  server:route("GET", "/health/live", function()
    return LIVE
  end, { immediate = true })
  server:route("GET", "/health/ready", function()
    local report = health:report()
    if report.ready then
      return { status = 200, json = report }
    end
    report.error = { code = "not_ready", message = report.reason }
    return { status = 503, json = report, headers = { ["Retry-After"] = "5" } }
  end, { immediate = true })
  return health
end

return M
