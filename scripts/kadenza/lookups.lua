--- Lookups: of contacts, of values and peers, and of a custom query.
--- `kadenza.node` makes these functions methods of its nodes; see
--- `kadenza.operation`.
--- Tested by tests/spec/operation_spec.lua and
--- tests/spec/operation_query_spec.lua.

local check = require("kadenza.check")
local core = require("kadenza.core")
local lookup_options = require("kadenza.lookup_options")
local operation = require("kadenza.operation")
local size_limit = require("kadenza.size_limit")

---@class kadenza.Node
local Node = {}

-- Returns a function that receives each reply of a query and adds it to
-- `replies`, and a function that raises what went wrong with `on_reply`: an
-- error of it ends the lookup, and is raised where the results are awaited.
local function make_collector(on_reply, replies)
  local failure
  local function collect(reply, contact)
    local verdict
    if on_reply then
      local succeeded, returned = pcall(on_reply, reply, contact)
      if not succeeded then
        failure = { returned }
        return true
      elseif returned ~= nil and type(returned) ~= "boolean" then
        failure = { "on_reply must return true, false or nil, not "
          .. type(returned) }
        return true
      end
      verdict = returned
    end
    if verdict ~= false then
      replies[#replies + 1] = { reply = reply, from = contact }
    end
    return verdict
  end
  return collect, function()
    if failure then
      error(failure[1], 0)
    end
  end
end

--- Looks up a key and sends a custom query to every contact on the way. Returns
--- the replies in the order of their arrival: `reply`, a table, and `from`, the
--- contact.
---
--- `on_reply` is called with each reply. It may return true, which ends the
--- lookup, or false, which leaves the reply out; it cannot wait. The lookup
--- ends when `quorum` replies counted, or when the closest contacts have
--- replied. A contact that does not support the query only returns contacts.
--- The key is sent as the argument `target`.
---@async
---@param key string
---@param name string  of the query
---@param args? table  bencoded: integers, strings, lists, tables
---@param options? kadenza.QueryOptions
---@param callback? fun(...)
---@return { reply: table, from: kadenza.Contact }[]? replies
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:query(key, name, args, options, callback)
  check.open(self, 2)
  check.id(self, key, "key", 2)
  if type(args) == "function" then
    args, callback = nil, args
  end
  operation.check_custom(name, args, 2)
  if args and args.target ~= nil then
    error("args.target is the key, and is added by the node", 2)
  end
  local lookup
  lookup, options, callback =
    lookup_options.read(options, callback, lookup_options.QUERY, 2)
  local replies = {}
  local collect, raise_failure = make_collector(options.on_reply, replies)
  local start = operation.start(self, "query", key, name, args, lookup)
  return operation.run(self, callback, function(done)
    return start(function(result, ...)
      if result == false then -- a reply; the results come last
        return collect(...)
      elseif not result then
        local message, code = ...
        return done(nil, size_limit.of_query(self, args, message, code),
          select(2, ...))
      end
      return done(result, ...)
    end)
  end, function(result)
    return replies, result
  end, raise_failure)
end

-- Starts a lookup that only takes the common options, and returns a field of
-- its result. Mistakes are raised in the name of the caller of the method,
-- which calls this by a tail call.
local function find(self, method, target, name, field, more, options, callback)
  check.id(self, target, name, 2)
  local lookup, _, done = lookup_options.read(options, callback, more, 2)
  local start = operation.start(self, method, target, lookup)
  return operation.run(self, done, start, function(result)
    return result[field], result
  end)
end

--- Looks up the contacts closest to an id.
---@async
---@param id string
---@param options? kadenza.LookupOptions
---@param callback? fun(...)
---@return kadenza.Contact[]? contacts  closest first
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:find_node(id, options, callback)
  check.open(self, 2)
  return find(self, "find_node", id, "id", "closest", lookup_options.FIND,
    options, callback)
end

--- Looks up a value. Returns it, and details with the fields of its record;
--- with `all`, returns a list of all records, and details.
---@async
---@param key string
---@param options? kadenza.GetOptions
---@param callback? fun(...)
---@return string|table|nil value
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:get(key, options, callback)
  check.open(self, 2)
  check.id(self, key, "key", 2)
  local lookup
  lookup, options, callback =
    lookup_options.read(options, callback, lookup_options.GET, 2)
  lookup.salt = options.salt
  local start =
    operation.start(self, "get", key, options.type or "value", lookup)
  return operation.run(self, callback, start, function(result)
    if options.all then
      return result.records, result
    elseif not result.records[1] then
      return nil, core.errors.KAD_ENOTFOUND, "KAD_ENOTFOUND", result
    end
    local record = result.records[1]
    return record.value, operation.add_fields(result, record)
  end)
end

--- Looks up peers of an info hash (BEP 5). With `scrape`, the details have
--- `scrape`, and there may be no peers but a number of them.
---@async
---@param info_hash string
---@param options? kadenza.PeersOptions
---@param callback? fun(...)
---@return string[]? peers  "ip:port"
---@return kadenza.Info|string info
---@return kadenza.Code? code
function Node:get_peers(info_hash, options, callback)
  check.open(self, 2)
  return find(self, "get_peers", info_hash, "info_hash", "peers",
    lookup_options.PEERS, options, callback)
end

return Node
