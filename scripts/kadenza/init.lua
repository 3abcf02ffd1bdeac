--- kadenza: a Kademlia DHT node with policies in Lua.
--
--     local kad = require "kadenza"
--     kad.run(function()
--       local node = assert(kad.node { bootstrap = { "192.0.2.1:6881" } })
--       assert(node:bootstrap())
--       assert(node:put(kad.key "visits", "1"))
--       print(node:get(kad.key "visits"))
--     end)
--
-- A failure at run time is nil, message, code, where `code` is a name such as
-- "KAD_ETIMEOUT"; a fourth value, if any, is a table of details, in which
-- `krpc` is the error number that another node sent. A mistake of the caller
-- raises an error.

local key = require("kadenza.key")
local loop = require("kadenza.loop")
local node = require("kadenza.node")
local plain_json = require("kadenza.plain_json")
local run = require("kadenza.run")
local safe = require("kadenza.safe")
local sim = require("kadenza.sim")

---@class kadenza: kadenza.Safe
local M = {}

for name, value in pairs(safe) do
  M[name] = value
end

--- JSON: see `kadenza.plain_json`.
M.json = plain_json

M.loop = loop
M.publisher = key.publisher
M.node = node.open
M.run = run
M.sim = sim.new

return M
