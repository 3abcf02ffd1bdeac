--- A record store of a program: keeps the records that a node holds in files, a
--- database or another process, so that they survive a restart.
--
--     local records = {}
--     local store = {}
--     function store:put(number, record) records[number] = record end
--     function store:get(number) return records[number] end
--     function store:remove(number) records[number] = nil end
--     function store:each() return pairs(records) end
--     local node = assert(kad.node { store = store })
--
-- A store is a table or userdata with methods. It keeps records under numbers
-- that the node chooses; each record is a table (kadenza.StoredRecord). The
-- node itself keeps the indexes, in 160 to 200 bytes of memory for a record:
-- what is under a key, what expires and what to evict first. It reads plain
-- values of at most 18 bytes, such as peers, from there too.
--
-- A method fails if it raises an error, or returns false, or nil and a message.
-- Failures are logged and counted as `store_failures`, and the node goes on: a
-- record that was not put is not stored (the sender gets error 202), one that
-- cannot be got is left out of replies, a change that failed is tried again at
-- later changes.
--
-- Methods run in the Lua state and thread of the program, while the node waits:
-- they must not wait for anything, cannot yield, and cannot use the node.
--
-- `kadenza.store.conformance` tests a store.

local check = require("kadenza.check")
local log = require("kadenza.log")
local throttle = require("kadenza.throttle")

local M = {}

--- A record as a store gets and returns it. Strings are binary. A store may
--- keep the table itself.
---@class kadenza.StoredRecord: kadenza.StoredTimes
---@field key string  20 or 32 bytes
---@field type string  1 to 32 bytes
---@field value string  at most 1,000 bytes
---@field salt? string  at most 64 bytes
---@field publisher? string  32 bytes
---@field signature? string  64 bytes
---@field seq? integer  any of 64 bits

--- What a record has beside its contents, and what `touch` changes.
---@class kadenza.StoredTimes
---@field stored_at number  seconds since 1970
---@field expires_at number  seconds since 1970
---@field republish_at? number  seconds since 1970; nil: never
---@field origin? string  "ip:port" of the node that stored it; nil: this node
---@field seed? boolean  of a peer: it has the whole torrent

---@class kadenza.Store
---@field put fun(self, number: integer, record: table): any, string?  keeps a
---  record (kadenza.StoredRecord), in place of what is under the number. What a
---  record is to survive, it survives when this, or `commit`, has returned
---@field get fun(self, number: integer): table?, string?  returns the record;
---  nil alone if it is lost: the node forgets it then
---@field remove fun(self, number: integer): any, string?  removes the record,
---  if there is one
---@field each? fun(self): function, any, any, any  iterates over number, record
---  like `pairs`, for a node that opens; without it a node begins with no
---  records
---@field touch? fun(self, number: integer, times: table): any, string?
---  replaces the times, origin and seed of a record by those of a table
---  (kadenza.StoredTimes); without it the record is got and put again
---@field commit? fun(self): any, string?  makes all changes before it durable,
---  at the end of a turn of the node that has some; their senders are answered
---  after it
---@field close? fun(self)  called once, when the node has ended

local NEEDED <const> = { "put", "get", "remove" }
local OPTIONAL <const> = { "each", "touch", "commit", "close" }

--- Raises for a value that is no store.
---@param store any
---@param level integer  as of `error`
function M.check(store, level)
  if type(store) ~= "table" and type(store) ~= "userdata" then
    error("option 'store' must be a table or userdata, not " .. type(store),
      level + 1)
  end
  for _, name in ipairs(NEEDED) do
    if type(store[name]) ~= "function" then
      error(("option 'store' needs a method '%s'"):format(name), level + 1)
    end
  end
  for _, name in ipairs(OPTIONAL) do
    local kind = type(store[name])
    if kind ~= "function" and kind ~= "nil" then
      error(("option 'store': '%s' must be a function, not %s"):format(name,
        kind), level + 1)
    end
  end
end

-- Loads what the store has. Records of the wrong form stay in the store, and
-- are left out.
local function restore(store, load)
  if not store.each then
    return
  end
  local invalid, problem = 0, nil
  for number, record in store:each() do
    local is_table, loaded, message, code = pcall(load, number, record)
    if code == "KAD_ENOMEM" then
      error(message, 0)
    elseif not is_table or not loaded then
      invalid = invalid + 1
      problem = problem
        or ("record %s: %s"):format(tostring(number), message or loaded)
    end
  end
  if invalid > 0 then
    log.warn("records of the store are invalid and were left out",
      { invalid = invalid, error = problem })
  end
end

--- Returns what the core needs of a store.
---@param store kadenza.Store
---@param network kadenza.core.Network
---@return table adapter
function M.adapt(store, network)
  check.kind(network, "userdata", "network", 2)
  local throttled = throttle.new(network)
  return {
    object = store,
    restore = function(load)
      local read, problem = pcall(restore, store, load)
      if not read then
        error(tostring(problem), 0)
      end
    end,
    failed = function(call, message)
      throttled(call, function(suppressed)
        log.error("the record store failed",
          { call = call, error = message, before = suppressed })
      end)
    end,
  }
end

return M
