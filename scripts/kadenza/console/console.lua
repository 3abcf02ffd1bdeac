--- One console of a running node, as the node sees it: reads requests, runs
--- them one after the other, and writes what they have to say.
--
-- Nothing here waits for the console. What it does not read waits in a queue
-- that is bounded: a console that is too slow is dropped. It is not read while
-- its request runs, so that requests cannot pile up, and no turn of the loop
-- begins more than one.
-- Tested by tests/spec/console/server_spec.lua.

local log = require("kadenza.log")
local protocol = require("kadenza.console.protocol")
local task = require("kadenza.task")

local M = {}

-- Bytes that may wait to be read by a console before more is refused.
local MAX_QUEUED <const> = 1 << 20

-- Bytes of an unknown command that its error shows.
local MAX_SHOWN <const> = 40

---@class kadenza.Console
---@field package owner kadenza.ConsoleServer
---@field package socket table  of the core; nil once closed
---@field package watch integer  of the network
---@field package mode string  what the watch waits for
---@field package input string  what was read and not used yet
---@field package has_ended? boolean  it sends no more
---@field package is_refused? boolean  nothing more is taken from it
---@field package request? table  that runs
---@field package timer? integer  until the next request
---@field package streams? boolean  the request sends events until it closes
---@field package queue string[]  what is to be written: `first` to `last`
---@field package queued integer  bytes of the queue
---@field package since? number  when the console read last, while bytes wait
local Console = {}
Console.__index = Console
Console.__name = "kadenza.Console"

-- Tells whether nothing will be sent to the console after what is queued.
local function is_done(self)
  return self.is_refused or self.has_ended and not self.request
    and not self.input:find("\n", 1, true)
end

local function mode_of(self)
  local is_idle = not self.request and not self.timer or self.streams
  local reads = is_idle and not self.has_ended and not self.is_refused
  return (reads and "r" or "") .. (self.queued > 0 and "w" or "")
end

-- Waits for what is possible now, or closes a console that is done.
local function settle(self)
  if not self.socket then
    return
  elseif self.queued == 0 and is_done(self) then
    return self:close("ended")
  end
  local mode = mode_of(self)
  if mode ~= self.mode then
    self.mode = mode
    if not self.owner.network:change_watch(self.watch, mode) then
      self:close("gone")
    end
  end
end

------------------------------------------------------------------ output --

-- Writes what is queued, as far as the console takes it.
local function flush(self)
  while self.socket and self.queued > 0 do
    local text = self.queue[self.first]
    local written = self.socket:write(text, self.offset)
    if written == nil then
      return self:close("gone")
    elseif not written then
      return
    end
    self.since = self.owner.network:now()
    self.queued, self.offset = self.queued - written, self.offset + written
    if self.offset > #text then
      self.queue[self.first] = nil
      self.first, self.offset = self.first + 1, 1
    end
  end
  self.since = nil
end

-- Queues a line, and writes what can be written. Returns false if the console
-- is closed.
local function send(self, line)
  if not self.socket then
    return false
  elseif self.queued > MAX_QUEUED then
    self:close("slow")
    return false
  end
  self.last = self.last + 1
  self.queue[self.last] = line
  self.queued = self.queued + #line
  self.since = self.since or self.owner.network:now()
  flush(self)
  settle(self)
  return self.socket ~= nil
end

--- Sends an event of the request that runs.
---@param event table
---@param order? string[]  names of fields that come first
---@return boolean sent  false if the console is closed
function Console:event(event, order)
  return self.socket ~= nil
    and send(self, protocol.event(self.request.id, event, order))
end

--- Returns the bytes that wait to be read by the console.
---@return integer bytes
function Console:waiting()
  return self.queued
end

---------------------------------------------------------------- requests --

local function trace(problem)
  return type(problem) == "string" and debug.traceback(problem, 2)
    or tostring(problem)
end

-- Returns the line of the results of a handler.
local function line_of(self, request, succeeded, result, message, code)
  if not succeeded then
    self.owner:count("failed")
    log.error("a request of a console failed",
      { command = request.command, error = result })
    return protocol.error(request.id, "the node failed to answer: its log says "
      .. "why", "KAD_ESYSTEM")
  elseif result == nil then
    return protocol.error(request.id, tostring(message), code)
  end
  return protocol.ok(request.id, result, message)
end

local take_request -- function(self)

-- Takes the next request in the next turn, if there is one.
local function continue(self)
  if self.socket and not self.request and not self.timer
    and not self.is_refused and self.input ~= ""
  then
    self.timer = self.owner.network:start_timer(0, function()
      self.timer = nil
      take_request(self)
    end)
  end
  settle(self)
end

-- Runs a request, in a task.
local function run(self, handler)
  local request = self.request
  self.task = task.current()
  local line = line_of(self, request, xpcall(handler, trace, request, self))
  self.request, self.streams, self.task = nil, nil, nil
  send(self, line)
  continue(self)
end

local function refuse(self, id, message, code)
  self.owner:count("refused")
  send(self, protocol.error(id, message, code))
end

local function answer(self, line)
  local request, problem, id = protocol.parse_request(line)
  if not request then
    return refuse(self, id, problem, "KAD_EMALFORMED")
  end
  local handler = self.owner.handlers[request.command]
  if not handler then
    return refuse(self, request.id, ("there is no command '%s'"):format(
      request.command:sub(1, MAX_SHOWN)), "KAD_ENOTFOUND")
  end
  self.owner:count("requests")
  self.request = request
  task.spawn(self.owner.network, run, self, handler)
end

-- Takes one line of the input, and answers it.
function take_request(self)
  local at = self.input:find("\n", 1, true)
  if (at or #self.input + 1) > protocol.MAX_REQUEST + 1 then
    self.is_refused, self.input = true, ""
    refuse(self, nil, ("a request has at most %d bytes"):format(
      protocol.MAX_REQUEST), "KAD_ETOOBIG")
  elseif at then
    local line = self.input:sub(1, at - 1)
    self.input = self.input:sub(at + 1)
    if line:find("%S") then
      answer(self, line)
    end
    return continue(self)
  end
  settle(self)
end

-- Reads what has arrived; it is read again in the next turn if there is more.
local function read(self)
  local bytes = self.socket:read()
  if bytes == nil then
    self:close("gone")
  elseif bytes == "" and self.streams then
    self:close("ended")
  elseif bytes == "" then
    self.has_ended = true
  elseif bytes and not self.streams then
    self.input = self.input .. bytes
    take_request(self)
  end
end

-- Reads and writes what is possible.
local function step(self, readable, writable)
  -- What was not asked for is an error, after which the watch has stopped.
  local has_stopped = writable and not self.mode:find("w", 1, true)
  if writable then
    flush(self)
  end
  if self.socket and readable and self.mode:find("r", 1, true) then
    read(self)
  end
  if has_stopped and self.socket then
    self.mode = ""
  end
  settle(self)
end

--- Says that the request that runs sends events until the console closes, and
--- that it is read meanwhile: its end is noticed.
---@param fn fun()  called when the console closes
function Console:stream(fn)
  self.streams, self.closer = true, fn
  settle(self)
end

--- Returns the seconds since the console last read something, while something
--- waits for it; nil: it has read all.
---@param now number
---@return number? seconds
function Console:stalled(now)
  return self.since and now - self.since
end

--- Closes the console. Its request is canceled.
---@param reason "ended"|"gone"|"slow"|"stopped"
function Console:close(reason)
  if not self.socket then
    return
  end
  local network, closer, running = self.owner.network, self.closer, self.task
  network:end_watch(self.watch)
  if self.timer then
    network:stop_timer(self.timer)
  end
  self.socket:close()
  self.socket, self.watch, self.timer, self.closer = nil, nil, nil, nil
  self.queue, self.queued, self.input, self.since = {}, 0, "", nil
  self.owner:forget(self, reason)
  if closer then
    closer()
  end
  if running and running ~= task.current() then
    running:cancel()
  end
end

--- Makes a console of a socket.
---@param owner kadenza.ConsoleServer
---@param socket table  of the core
---@return kadenza.Console? console  nil: the system cannot wait for it
function M.new(owner, socket)
  local self = setmetatable({ owner = owner, socket = socket, input = "",
    queue = {}, first = 1, last = 0, offset = 1, queued = 0, mode = "r" },
    Console)
  self.watch = owner.network:watch(socket:fd(), "r", function(...)
    step(self, ...)
  end)
  if not self.watch then
    socket:close()
    return nil
  end
  return self
end

return M
