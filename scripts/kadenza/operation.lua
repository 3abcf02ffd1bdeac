--- What all operations of a node share: how they start, wait and end. The
--- operations are in `kadenza.joining`, `kadenza.contact_query`,
--- `kadenza.lookups`, `kadenza.storing` and `kadenza.items`.
--
-- Inside a task, an operation waits. Outside, it takes a callback as its last
-- argument, and passes its results to it. A failure at run time is nil,
-- message, code and, if anything was sent, a table of details.

local check = require("kadenza.check")
local core = require("kadenza.core")
local errors = require("kadenza.errors")
local queries = require("kadenza.queries")
local reach = require("kadenza.reach")
local shown = require("kadenza.shown")
local task = require("kadenza.task")

---@class kadenza.Contact
---@field id? string  binary
---@field address string  "ip:port"
---@field host string
---@field port integer

---@class kadenza.Info
---@field hops integer  length of the chain of replies to the first value, or
---  else to the closest contact
---@field messages integer  queries sent
---@field took number  seconds
---@field seq? integer  put and get of a mutable item: its sequence number; of a
---  failed put, that of the stored item
---@field stored integer  put, announce: nodes that accepted it, with this one
---@field asked integer  put, announce: nodes it was sent to: the `k` closest;
---  of a put, this one included if it is one of them and not read-only
---@field ttl? integer  put, announce: seconds that it lives at these nodes by
---  the rules of this one: at most what its type allows, whatever was asked
---  for. Without it, the policies of the others decide
---@field holders integer  get, get_peers: nodes that had a value, this one
---  included; query: replies that counted
---@field dense_key boolean  get, get_peers, put, announce: more ids lie near
---  the key than the network size allows (a sybil attack), so nodes farther
---  away were queried or stored at, too
---@field closest kadenza.Contact[]  contacts that replied, closest first
---@field records table[]  get: all records
---@field path table[]  contacts queried, in order
---@field from? kadenza.Contact  that replied to a query to one node
---@field krpc? integer  error number that another node sent
---@field reason? string  text of that error
---@field scrape? kadenza.Scrape  get_peers with `scrape`
---@field num? integer  sample: number of info hashes that the node holds
---@field interval? integer  sample: seconds until it gives another sample
---@field contacts? kadenza.Contact[]  sample, neighbours: those that it named

--- How many seeds and other peers a torrent has (BEP 33), by estimate; peers
--- that share an IP address count once.
---@class kadenza.Scrape
---@field seeds integer
---@field peers integer  those that are no seeds
---@field seed_filter string  Bloom filter of 256 bytes
---@field peer_filter string

local M = {}

-- Returns `done`, which gets a message that can be printed: the text of another
-- node's error may control a terminal. `info.reason` has its bytes.
local function showing(done)
  return function(result, message, ...)
    if result == nil and message then
      message = shown.line(message)
    end
    return done(result, message, ...)
  end
end

-- Returns a function that starts an operation of the core, as `task.wait` takes
-- it: calls `method` with the arguments and the callback. A failure to start is
-- passed to the callback, as is a node that was closed before.
function M.start(self, method, ...)
  local handle = self.core
  local arguments = table.pack(...)
  return function(done)
    if not handle:is_open() then
      done(nil, core.errors.KAD_ECLOSED, "KAD_ECLOSED")
      return nil
    end
    arguments[arguments.n + 1] = showing(done)
    local operation, message, code = errors.at_level(-1, handle[method],
      handle, table.unpack(arguments, 1, arguments.n + 1))
    if not operation then
      done(nil, message, code)
      return nil
    end
    return function()
      handle:cancel(operation)
    end
  end
end

-- Runs an operation of the core. The method returns a failure unchanged, and a
-- success as `convert` makes it of the result, or the result alone. `before` is
-- called first.
function M.run(self, callback, start, convert, before)
  local function finish(result, ...)
    if before then before() end
    if not result then
      return nil, ...
    elseif convert then
      return convert(result)
    end
    return result
  end
  if callback then
    return task.operate(start, type(callback) == "function" and function(...)
      callback(finish(...))
    end or callback)
  end
  reach.check(self, 2) -- level 2: always called by a tail call
  return finish(task.operate(start))
end

-- Runs a function that waits: directly, or with a callback in a task of its
-- own. The callback runs outside of that task: its errors are raised like those
-- of all callbacks.
function M.run_function(self, callback, fn)
  if not callback then
    reach.check(self, 2)
    return fn()
  end
  check.callback(callback, 2) -- level 2: always called by a tail call
  task.spawn(self.net, function()
    local results = table.pack(fn())
    local _ = self.net:is_open() and self.net:start_timer(0, function()
      callback(table.unpack(results, 1, results.n))
    end)
  end)
end

-- Makes the message of a store at too few nodes say how many there were.
function M.count_stored(start, min_stored)
  return function(done)
    return start(function(info, message, code, details)
      if code == "KAD_EFEWER" then
        message = ("stored at %d of %d nodes, fewer than min_stored = %d")
          :format(details.stored, details.asked, min_stored)
      end
      return done(info, message, code, details)
    end)
  end
end

-- Adds the fields of a record to the details of a get.
function M.add_fields(info, record)
  for name, value in pairs(record) do
    if info[name] == nil then
      info[name] = value
    end
  end
  return info
end

-- Raises unless name and arguments make a custom query.
function M.check_custom(name, args, level)
  check.kind(name, "string", "name", level + 1)
  local problem = queries.problem(name)
  if problem then
    error("name " .. problem, level + 1)
  elseif queries.CORE[name] then
    error("'" .. name .. "' is a query of the node's own, not a custom one",
      level + 1)
  end
  if args ~= nil then
    check.kind(args, "table", "args", level + 1)
    if rawget(args, "id") ~= nil then
      error("args.id is the id of this node, and is added by the node",
        level + 1)
    end
  end
  errors.at_level(level + 1, core.encode, args or {}, "args", true)
end

return M
