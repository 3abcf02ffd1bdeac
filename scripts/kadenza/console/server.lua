--- The consoles of a running node: a socket in the file system that only its
--- owner may use.
--
--     local server = assert(server.open("var/node/console"))
--     server:start(network, { status = function(request, console)
--       return { state = "healthy" } -- or nil, message, code
--     end })
--
-- A handler runs in a task, and may wait. Neither a slow console nor one that
-- sends garbage costs the node more than a bounded amount of memory and, in
-- each turn, one request.

local console = require("kadenza.console.console")
local core = require("kadenza.core")
local log = require("kadenza.log")
local protocol = require("kadenza.console.protocol")

local M = {}

--- Consoles that may be open at a time.
M.MAX_CONSOLES = 16

-- Consoles that are taken in one turn of the loop.
local MAX_ACCEPTS <const> = 16

-- Seconds that a console may read nothing while something waits for it, and
-- between two looks at that.
local STALL_SECONDS <const> = 30
local SWEEP_SECONDS <const> = 10

-- Seconds without new consoles after the system has refused one, such as when
-- too many files are open: the socket stays readable.
local PAUSE_SECONDS <const> = 1

---@class kadenza.ConsoleServer
---@field path string  of the socket
---@field network? kadenza.core.Network
---@field handlers? table<string, fun(request: table,
---  console: kadenza.Console): table?, any, string?>  by command
---@field private listener table  of the core
---@field private lock table  of the core
---@field private consoles table<kadenza.Console, boolean>
---@field private counters table<string, integer>
local Server = {}
Server.__index = Server
Server.__name = "kadenza.ConsoleServer"

----------------------------------------------------------------- binding --

-- Removes the socket that a process has left at a path. Returns nil, a message
-- and a code if it is not such a socket.
local function remove_stale(path)
  if not core.is_local_socket(path) then
    return nil, path .. ": there is a file that is not a socket",
      "KAD_EADDRINUSE"
  end
  local socket, message, code = core.connect_local(path)
  if socket then
    socket:close()
  end
  if socket or code == "KAD_EBUSY" then
    return nil, path .. ": another program listens at this socket",
      "KAD_EADDRINUSE"
  elseif code ~= "KAD_EREFUSED" and code ~= "KAD_ENOTFOUND" then
    return nil, message, code
  end
  os.remove(path)
  return true
end

-- Returns a listener. The lock is held: no other node does this meanwhile.
local function listen(path)
  local listener, message, code = core.listen_local(path)
  if code ~= "KAD_EADDRINUSE" then
    return listener, message, code
  end
  local removed, problem, kind = remove_stale(path)
  if not removed then
    return nil, problem, kind
  end
  return core.listen_local(path)
end

--- Makes a socket, of its owner only, and takes no console yet. Replaces the
--- socket of a node that crashed, but no other file. Beside the socket is
--- PATH.lock, so that of two nodes one has it.
---@param path string
---@return kadenza.ConsoleServer? server
---@return string? message
---@return kadenza.Code? code
function M.open(path)
  local fits, problem, kind = core.check_local_path(path)
  if not fits then
    return nil, problem, kind
  end
  local lock, message, code = core.lock_file(path .. ".lock", "console")
  if not lock then
    return nil, code == "KAD_EBUSY"
      and path .. ": another node has its console there" or message, code
  end
  local listener
  listener, message, code = listen(path)
  if not listener then
    lock:close()
    return nil, message, code
  end
  return setmetatable({ path = path, listener = listener, lock = lock,
    consoles = {}, count_open = 0, counters = { accepted = 0, turned_away = 0,
    dropped = 0, refused = 0, requests = 0, failed = 0 } }, Server)
end

---------------------------------------------------------------- consoles --

local start_watch -- function(self)

-- Takes no console for a moment.
local function pause(self)
  self.network:end_watch(self.watch)
  self.watch = nil
  self.pause_timer = self.network:start_timer(PAUSE_SECONDS * 1000, function()
    self.pause_timer = nil
    start_watch(self)
  end)
end

-- Tells a console that there are too many, and closes it. A new socket has room
-- for one line.
local function turn_away(self, socket)
  self:count("turned_away")
  socket:write(protocol.error(nil, ("%d consoles are open: close one"):format(
    M.MAX_CONSOLES), "KAD_EFULL"), 1)
  socket:close()
end

local function accept(self)
  for _ = 1, MAX_ACCEPTS do
    local socket, message = self.listener:accept()
    if socket == nil then
      log.warn("a console could not be opened", { error = message })
      return pause(self)
    elseif not socket then
      return
    elseif self.count_open >= M.MAX_CONSOLES then
      turn_away(self, socket)
    else
      local opened = console.new(self, socket)
      if opened then
        self:count("accepted")
        self.consoles[opened] = true
        self.count_open = self.count_open + 1
      end
    end
  end
end

function start_watch(self)
  self.watch = self.network:watch(self.listener:fd(), "r", function()
    accept(self)
  end)
  return self.watch ~= nil
end

-- Drops consoles that read nothing, also those whose end was not reported.
local function sweep(self)
  local now, stalled = self.network:now(), {}
  for opened in pairs(self.consoles) do
    if (opened:stalled(now) or 0) > STALL_SECONDS then
      stalled[#stalled + 1] = opened
    end
  end
  for _, opened in ipairs(stalled) do
    opened:close("slow")
  end
  self.sweep_timer = self.network:start_timer(SWEEP_SECONDS * 1000, function()
    sweep(self)
  end)
end

--- Takes consoles from now on.
---@param network kadenza.core.Network
---@param handlers table<string, fun(request: table,
---  console: kadenza.Console): table?, any, string?>  by command; each returns
---  a result, and names of fields that come first; or nil, a message and a code
function Server:start(network, handlers)
  self.network, self.handlers = network, handlers
  if not start_watch(self) then
    log.error("the console does not work: the system cannot wait for it",
      { path = self.path })
  end
  sweep(self)
end

--- Forgets a console that has closed.
---@package
---@param closed kadenza.Console
---@param reason string
function Server:forget(closed, reason)
  if self.consoles[closed] then
    self.consoles[closed] = nil
    self.count_open = self.count_open - 1
  end
  if reason == "slow" then
    self:count("dropped")
    log.warn("a console was dropped: it does not read what it asked for")
  end
end

--- Counts an event.
---@package
---@param name string
function Server:count(name)
  self.counters[name] = self.counters[name] + 1
end

--- Returns the number of consoles that are `open`; and counters: `accepted`;
--- `turned_away`, because too many were open; `dropped`, because they did not
--- read; and `requests`, of which `refused` were malformed or unknown, and
--- `failed`.
---@return table<string, integer> stats
function Server:stats()
  local stats = { open = self.count_open }
  for name, value in pairs(self.counters) do
    stats[name] = value
  end
  return stats
end

--- Closes all consoles and removes the socket. May be repeated.
function Server:close()
  local open = {}
  for opened in pairs(self.consoles) do
    open[#open + 1] = opened
  end
  for _, opened in ipairs(open) do
    opened:close("stopped")
  end
  local network = self.network
  if network and network:is_open() then
    network:end_watch(self.watch or 0)
    for _, name in ipairs({ "pause_timer", "sweep_timer" }) do
      if self[name] then
        network:stop_timer(self[name])
        self[name] = nil
      end
    end
  end
  self.watch = nil
  self.listener:close()
  self.lock:close()
end

return M
