--- Queries to one node: ping, a custom query, a sample. `kadenza.node` makes
--- these functions methods of its nodes; see `kadenza.operation`.
--- Tested by tests/spec/operation_spec.lua.

local check = require("kadenza.check")
local operation = require("kadenza.operation")
local resolver = require("kadenza.resolver")
local size_limit = require("kadenza.size_limit")

---@class kadenza.Node
local Node = {}

-- Returns the address and the id of a destination.
local function read_destination(to, level)
  if type(to) == "table" and type(to.address) == "string" then
    return to.address, to.id
  elseif type(to) == "string" then
    return to, nil
  end
  error("an address or a contact is needed, not " .. type(to), level + 1)
end

--- Pings an address. If a name has several addresses, they are tried until one
--- replies: each a moment after the one before.
---@async
---@param to string|kadenza.Contact  "host:port" or a contact
---@param callback? fun(...)
---@return kadenza.Contact? contact  that replied
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:ping(to, callback)
  check.open(self, 2)
  local name = read_destination(to, 2)
  return operation.run_function(self, callback, function()
    local result, message, code, details =
      resolver.race(self, name, function(address)
        return operation.start(self, "ping", address, nil)
      end)
    if not result then
      return nil, message, code, details
    end
    return result.from, result
  end)
end

--- Sends a custom query. If a name has several addresses, they are tried in
--- turn until one replies.
---@async
---@param to string|kadenza.Contact  "host:port" or a contact
---@param name string  of the query
---@param args? table  bencoded: integers, strings, lists, tables
---@param callback? fun(...)
---@return table? reply
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:call(to, name, args, callback)
  check.open(self, 2)
  if type(args) == "function" then
    args, callback = nil, args
  end
  local destination, id = read_destination(to, 2)
  if id then
    check.id(self, id, "the contact's id", 2)
  end
  operation.check_custom(name, args, 2)
  return operation.run_function(self, callback, function()
    local result, message, code, details =
      resolver.query_first(self, destination, function(address)
        return operation.start(self, "call", address, id, name, args)
      end)
    if not result then
      return nil, size_limit.of_query(self, args, message, code), code, details
    end
    return result.reply or {}, result
  end)
end

-- Asks a node for what it has near a target, by a method of the core, and
-- returns a field of the result. Mistakes are raised in the name of the caller
-- of the method, which calls this by a tail call.
local function ask_near(self, method, field, to, target, callback)
  check.open(self, 2)
  if type(target) == "function" then
    target, callback = nil, target
  end
  local destination, id = read_destination(to, 2)
  if id then
    check.id(self, id, "the contact's id", 2)
  end
  target = target or self:id()
  check.id(self, target, "target", 2)
  return operation.run_function(self, callback, function()
    local result, message, code, details =
      resolver.query_first(self, destination, function(address)
        return operation.start(self, method, address, id, target)
      end)
    if not result then
      return nil, message, code, details
    end
    return result[field], result
  end)
end

--- Asks a node for a random sample of the info hashes under which it holds
--- peers, and for its contacts closest to `target` (BEP 51). Programs that
--- survey an overlay ask each node once in its interval. If a name has several
--- addresses, they are tried in turn until one replies.
---@async
---@param to string|kadenza.Contact  "host:port" or a contact
---@param target? string  an id; without one, this node's
---@param callback? fun(...)
---@return string[]? samples  info hashes
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:sample(to, target, callback)
  return ask_near(self, "sample", "samples", to, target, callback)
end

--- Asks one node for the contacts it knows closest to `target`, as one step of
--- `find_node` does. If a name has several addresses, they are tried in turn
--- until one replies.
---@async
---@param to string|kadenza.Contact  "host:port" or a contact
---@param target? string  an id; without one, this node's
---@param callback? fun(...)
---@return kadenza.Contact[]? contacts  that have not answered this node
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:neighbours(to, target, callback)
  return ask_near(self, "neighbours", "contacts", to, target, callback)
end

return Node
