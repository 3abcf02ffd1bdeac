--- Tells the service manager that has started `kadenza run`, such as systemd,
--- what the node does (sd_notify(3)): that it listens, its state, a reload, its
--- end; and, if it wants that, that the loop turns (WATCHDOG_USEC).
---
--- A manager that does not listen harms nothing: it is told again, each second.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")
local kad = require("kadenza")
local log = require("kadenza.log")
local report = require("kadenza.cli.report")

local M = {}

local WATCH_SECONDS <const> = 1 -- between two looks at the state
local CONTACTS_SECONDS <const> = 10 -- between changes of their number alone

-- A manager that wants more pings a second than this gets as many.
local SHORTEST_PING_SECONDS <const> = 0.05
local LONGEST_PING_SECONDS <const> = 3600

---@class kadenza.cli.ServiceManager: kadenza.cli.Service
local Manager = {}
Manager.__index = Manager

-- Returns after how many seconds to ping; nil: the manager wants no pings, or
-- those of another process.
local function ping_seconds(microseconds, pid)
  local number = math.tointeger(tonumber(microseconds))
  if not number or number <= 0
    or pid and math.tointeger(tonumber(pid)) ~= host.pid() then
    return nil
  end
  return math.max(SHORTEST_PING_SECONDS, math.min(LONGEST_PING_SECONDS,
    number / 2e6))
end

--- Returns the service.
---@param send fun(text: string): boolean?, string?  as core.notify_manager
---@param seconds? number  between two pings
---@return kadenza.cli.ServiceManager service
function M.new(send, seconds)
  return setmetatable({ send = send, seconds = seconds, waiting = {} },
    Manager)
end

--- Returns the service, or nil if no manager wants to be told. Removes its
--- variables, which are not for the programs that policies start.
---@return kadenza.cli.ServiceManager? service
function M.prepare()
  local name = core.take_variable("NOTIFY_SOCKET")
  local seconds = ping_seconds(core.take_variable("WATCHDOG_USEC"),
    core.take_variable("WATCHDOG_PID"))
  if not name or name == "" then
    return nil
  end
  return M.new(function(text)
    return core.notify_manager(name, text)
  end, seconds)
end

-- Sends what waits. What cannot be sent now stays.
local function send_waiting(self)
  local lines = {}
  for _, kind in ipairs({ "state", "status", "ping" }) do
    lines[#lines + 1] = self.waiting[kind]
  end
  if not lines[1] then
    return
  end
  local sent, problem = self.send(table.concat(lines, "\n"))
  if sent then
    self.waiting = {}
  elseif sent == nil and not self.has_failed then
    log.warn("the service manager cannot be told", { error = problem })
  end
  self.has_failed = sent == nil
end

-- Tells the manager something. What still waits of the same kind is outdated.
local function tell(self, changes)
  for kind, line in pairs(changes) do
    self.waiting[kind] = line
  end
  send_waiting(self)
end

local function status_line(state, contacts, reason)
  return "STATUS=" .. fault.line(report.describe_state(state, contacts, reason))
end

-- Follows the state of the node.
local function watch(self, node)
  local last_state, last_reason, last_contacts, last_at
  while not self.has_stopped and node:is_open() do
    local state, reason = node:state()
    local contacts, now = #node:contacts(), kad.now()
    if state ~= last_state or reason ~= last_reason
      or contacts ~= last_contacts and now - last_at >= CONTACTS_SECONDS then
      self.waiting.status = status_line(state, contacts, reason)
      last_state, last_reason, last_contacts, last_at = state, reason, contacts,
        now
    end
    send_waiting(self)
    kad.sleep(WATCH_SECONDS)
  end
end

-- Pings the manager for as long as the loop turns, also while the node leaves.
local function ping(self)
  while not self.has_ended do
    tell(self, { ping = "WATCHDOG=1" })
    kad.sleep(self.seconds)
  end
end

function Manager:start(running)
  tell(self, { state = "READY=1" })
  kad.spawn(watch, self, running.node)
  if self.seconds then
    kad.spawn(ping, self)
  end
end

function Manager:begin_reload()
  tell(self, { state = ("RELOADING=1\nMONOTONIC_USEC=%d"):format(
    core.monotonic_us()) })
end

function Manager:reload()
  tell(self, { state = "READY=1" })
end

function Manager:leave()
  self.has_stopped = true
  tell(self, { state = "STOPPING=1", status = "STATUS=hands its records off" })
end

function Manager:stop()
  self.has_stopped, self.has_ended = true, true
end

return M
