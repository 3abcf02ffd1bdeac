--- The records that a node holds for others: methods of kadenza.Node.
--
--     local kad = require "kadenza"
--
--     kad.run(function()
--       local node <close> = assert(kad.node { listen = "127.0.0.1:0" })
--       assert(node:put(kad.key "greeting", "hello"))
--       print(node:held_types().value) --> 1
--       local records, cursor = node:held_page()
--       print(#records, cursor) --> 1  nil
--     end)
--
-- Tested by tests/spec/node_spec.lua, tests/spec/node_held_spec.lua.

local check = require("kadenza.check")
local errors = require("kadenza.errors")

---@class kadenza.Node
local Node = {}

--- Returns the records that the node itself holds under a key, newest first. It
--- sends nothing: `get` looks up a value in the overlay.
---@param key string
---@param kind? string  type of the records; "value" without one
---@param max? integer  of records that are returned
---@return kadenza.Record[] records  tables
---@return integer total  number of all
function Node:held(key, kind, max)
  check.open(self, 2)
  check.id(self, key, "key", 2)
  if kind ~= nil then
    check.kind(kind, "string", "kind", 2)
  end
  if max ~= nil then
    check.kind(max, "number", "max", 2)
  end
  return self.core:held(key, kind or "value", max)
end

--- Returns how many records of each type the node holds.
---@return table<string, integer>? counts  by type; nil: the store of the node,
---  which is an application's, does not count them
function Node:held_types()
  check.open(self, 2)
  return self.core:held_types()
end

--- Returns some of the records that the node holds, of all keys and types, in
--- any order, and the cursor with which the next ones are read. A record that
--- is stored or removed meanwhile may be missing, or be there twice. `origin`
--- of a record is the address of the node that stored it; nil: this node.
---@param cursor? integer  of the page before; nil: the first page
---@param count? integer  1 to 1,000; default: 100
---@return kadenza.Record[] records  tables
---@return integer? cursor  nil: there are no more
function Node:held_page(cursor, count)
  check.open(self, 2)
  return errors.at_level(2, self.core.held_page, self.core, cursor or 0,
    count or 100)
end

return Node
