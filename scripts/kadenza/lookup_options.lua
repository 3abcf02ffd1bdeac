--- The options of lookups: of `find_node`, `get`, `put` and others.
--- Tested by tests/spec/operation_spec.lua.

local check = require("kadenza.check")
local core = require("kadenza.core")

local M = {}

--- Options of every lookup.
---@class kadenza.LookupOptions
---@field alpha? integer  queries in flight on each path, 1 to 32
---@field beta? integer  queries that a reply from a closer contact starts
---@field k? integer  number of closest contacts to find, 1 to 20
---@field paths? integer  disjoint paths, against contacts that lie; 1 to 16
---@field timeout? number  seconds until the lookup ends

--- Options of `get`.
---@class kadenza.GetOptions: kadenza.LookupOptions
---@field type? string  of the record; "value" without one
---@field all? boolean  return all records
---@field quorum? integer  end when so many contacts have returned a value
---@field salt? string  of a mutable item (BEP 44), which its key covers

--- Options of `put` and `publish`.
---@class kadenza.PutOptions: kadenza.LookupOptions
---@field type? string  of the record; "value" without one
---@field ttl? integer  life of the record in seconds; a longer one than its
---  type allows is cut: see `ttl` of the result
---@field min_stored? integer  it is an error (KAD_EFEWER) if fewer nodes store
---  the record, 1 to 20; 1 without it
---@field seq? integer
---@field salt? string
---@field secret? string  signs the record
---@field publisher? string
---@field signature? string

--- Options of `announce`.
---@class kadenza.AnnounceOptions: kadenza.LookupOptions
---@field min_stored? integer  as of `put`
---@field seed? boolean  the peer has the whole torrent (BEP 33)

--- Options of `get_peers`.
---@class kadenza.PeersOptions: kadenza.LookupOptions
---@field quorum? integer  end when so many contacts have returned peers
---@field scrape? boolean  also estimate how many seeds and other peers there
---  are, see `scrape` of the result (BEP 33)
---@field noseed? boolean  ask for peers that are no seeds (BEP 33); nodes that
---  do not know this return seeds, too

--- Options of `query`.
---@class kadenza.QueryOptions: kadenza.LookupOptions
---@field on_reply? fun(reply: table, contact: kadenza.Contact): boolean?
---@field quorum? integer  end when so many replies counted

local TYPE <const> = { kind = "string", bytes = { 1, 32 } }
local QUORUM <const> = { kind = "integer", from = 0, to = 20 }
local MIN_STORED <const> = { kind = "integer", from = 1, to = 20 }

--- The options of every lookup. Ranges are those of the node's options.
M.LOOKUP = { timeout = "number" }
local IN_LOOKUPS <const> = { alpha = true, beta = true, k = true, paths = true }
for _, row in ipairs(core.config_options()) do
  if IN_LOOKUPS[row.name] then
    M.LOOKUP[row.name] = { kind = row.type, from = row.min, to = row.max }
  end
end

--- The options that an operation adds to them.
M.FIND = {}
M.GET = { type = TYPE, all = "boolean", quorum = QUORUM,
  salt = { kind = "string", bytes = { 0, 64 } } }
M.QUERY = { on_reply = "function", quorum = QUORUM }
M.PEERS = { quorum = QUORUM, scrape = "boolean", noseed = "boolean" }
M.ANNOUNCE = { min_stored = MIN_STORED, seed = "boolean" }
M.PUT = {
  type = TYPE,
  min_stored = MIN_STORED,
  ttl = { kind = "integer", from = 0, to = 0xffffffff },
  seq = "integer",
  salt = { kind = "string", bytes = { 0, 64 } },
  secret = { kind = "string", bytes = { 64, 64 } },
  publisher = { kind = "string", bytes = { 32, 32 } },
  signature = { kind = "string", bytes = { 64, 64 } },
}

--- Checks the last two arguments of a lookup, options and callback; either may
--- be missing.
---@param given? table|fun(...)
---@param callback? fun(...)
---@param more table<string, any>  the options beside those of every lookup
---@param level integer  as of `error`
---@return table lookup  the lookup options as the core takes them
---@return table given  all options
---@return fun(...)? callback
function M.read(given, callback, more, level)
  if type(given) == "function" and callback == nil then
    given, callback = {}, given
  end
  given = given or {}
  check.options(given, level + 1, M.LOOKUP, more)
  check.callback(callback, level + 1)
  local timeout = given.timeout
  if timeout and not (timeout > 0 and timeout < 1e6) then
    error("option 'timeout' must be positive seconds", level + 1)
  end
  return {
    alpha = given.alpha,
    beta = given.beta,
    k = given.k,
    paths = given.paths,
    quorum = given.quorum,
    min_stored = given.min_stored,
    seed = given.seed,
    scrape = given.scrape,
    noseed = given.noseed,
    deadline_ms = timeout and math.ceil(timeout * 1000),
  }, given, callback
end

return M
