--- Names and addresses: resolves "host:port", and tries the addresses of a
--- name. Tested by tests/spec/operation_spec.lua.

local bootstrap = require("kadenza.bootstrap")
local core = require("kadenza.core")
local task = require("kadenza.task")

local M = {}

--- Resolves a name.
---@async
---@param network kadenza.core.Network
---@param text string  "host:port"
---@return string[]? addresses  "ip:port"
---@return string? message  begins with the name
---@return kadenza.Code? code
function M.resolve(network, text)
  local address = core.address(text)
  if address then
    return { address }
  end
  local found, message, code = task.wait(function(resume)
    local started, why, kind = network:resolve(text, resume)
    if not started then
      resume(nil, why, kind)
    end
  end)
  if code == "KAD_EINVAL" then
    message = "no address such as 192.0.2.1:6881 or example.org:6881"
  elseif code == "KAD_ESYSTEM" then
    message = bootstrap.NO_DESCRIPTOR
  end
  if not found then
    return nil, string.format("%s: %s", text, message), code
  end
  return found
end

-- Failures after which the next address of a name is tried.
local TRY_NEXT <const> = {
  KAD_ETIMEOUT = true,
  KAD_EFAMILY = true,
  KAD_EMARTIAN = true,
  KAD_ENOROUTE = true,
}

-- Milliseconds after which a race goes on to the next address: RFC 8305, §5.
local RACE_MS <const> = 250

local function family_of(address)
  return address:sub(1, 1) == "[" and 6 or 4
end

-- Moves the addresses of a family that the node has a socket for to the front.
local function sort_by_family(node, addresses)
  local has_socket, first, last = {}, {}, {}
  for _, address in ipairs(node:addresses()) do
    has_socket[family_of(address)] = true
  end
  for _, address in ipairs(addresses) do
    table.insert(has_socket[family_of(address)] and first or last, address)
  end
  return table.move(last, 1, #last, #first + 1, first)
end

-- Resolves a name for a query of `node`.
local function addresses_for(node, name)
  local addresses, message, code = M.resolve(node:network(), name)
  if addresses and #addresses > 1 and node:is_open() then
    addresses = sort_by_family(node, addresses)
  end
  return addresses, message, code
end

--- Sends a query to the addresses of a name, one after the other, until one
--- replies.
---@async
---@param node kadenza.Node
---@param name string  "host:port"
---@param start fun(address: string): fun(done: fun(...)): fun()?  starts the
---  query, as `task.wait` takes it
---@return any ...  the results, or the first failure
function M.query_first(node, name, start)
  local addresses, message, code = addresses_for(node, name)
  if not addresses then
    return nil, message, code
  end
  local failure
  for _, address in ipairs(addresses) do
    local results = table.pack(task.wait(start(address)))
    if results[1] or not TRY_NEXT[results[3]] then
      return table.unpack(results, 1, results.n)
    end
    failure = failure or results
  end
  return table.unpack(failure, 1, failure.n)
end

-- A race of queries to several addresses.
local Race = {}
Race.__index = Race

function Race:finish(results)
  self.is_over = true
  if self.timer then
    self.network:stop_timer(self.timer)
  end
  for _, cancel in pairs(self.cancels) do
    cancel()
  end
  if results then
    self.resume(table.unpack(results, 1, results.n))
  end
end

-- Handles the results of the query to address `i`.
function Race:add(i, results)
  if self.is_over then
    return
  end
  self.cancels[i] = nil
  self.open = self.open - 1
  if results[1] or not TRY_NEXT[results[3]] then
    return self:finish(results)
  end
  if not self.failure or i < self.failed_at then
    self.failure, self.failed_at = results, i
  end
  if self.next <= #self.addresses then
    self:start_next()
  elseif self.open == 0 then
    self:finish(self.failure)
  end
end

-- Queries the next address, and sets the timer of the one after it.
function Race:start_next()
  if self.timer then
    self.network:stop_timer(self.timer)
    self.timer = nil
  end
  local i = self.next
  self.next = i + 1
  self.open = self.open + 1
  if i < #self.addresses then
    self.timer = self.network:start_timer(RACE_MS, function()
      self.timer = nil
      self:start_next()
    end)
  end
  local has_ended = false
  local cancel = self.start(self.addresses[i])(function(...)
    has_ended = true
    self:add(i, table.pack(...))
  end)
  if not has_ended then
    self.cancels[i] = cancel
  end
end

--- Sends a query to the addresses of a name until one replies: to each a moment
--- after the one before, or at once when that has failed. Cancels the others.
---@async
---@param node kadenza.Node
---@param name string  "host:port"
---@param start fun(address: string): fun(done: fun(...)): fun()?  as of
---  `query_first`
---@return any ...  the results, or the first failure
function M.race(node, name, start)
  local addresses, message, code = addresses_for(node, name)
  if not addresses then
    return nil, message, code
  elseif #addresses == 1 then
    return task.wait(start(addresses[1]))
  end
  local network = task.network()
  return task.wait(function(resume)
    local race = setmetatable({ addresses = addresses, next = 1, open = 0,
      cancels = {}, start = start, network = network, resume = resume }, Race)
    race:start_next()
    return function()
      if not race.is_over then
        race:finish()
      end
    end
  end)
end

return M
