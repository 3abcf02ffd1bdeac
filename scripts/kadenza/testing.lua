--- Tests of policies: hook calls with literal values, overlays in virtual time,
--- faults.
--
--     local kad = require("kadenza")
--     local testing = require("kadenza.testing")
--
--     describe("the guest book", function()
--       it("rejects spam", function()
--         local book <close> = assert(testing.load("guestbook.lua"))
--         local result = book:call("types.line.validate", { value = "spam" })
--         assert.rejected(result, "no spam", 201)
--       end)
--
--       it("holds a line at 8 nodes", function()
--         local overlay <close> =
--           testing.overlay({ nodes = 20, policies = { "guestbook.lua" } })
--         overlay:perform(function()
--           local key = kad.key("book")
--           assert(overlay.nodes[1]:put(key, "hello", { type = "line" }))
--           assert.holders(8, overlay, key, "line")
--         end)
--       end)
--     end)
--
-- With luassert (as in busted), these assertions are added:
--
--     assert.accepted(good)
--     assert.rejected(bad, "no spam", 201)        -- part of the reason, code
--     assert.fails(broken, "policy.lua:7: ")      -- part of the error
--     assert.holders(8, overlay, key, "line")     -- number of holders
--     assert.converged(overlay, key, "line")      -- all hold the same
--
-- Tested by tests/spec/testing.

local literals = require("kadenza.testing.literals")
local overlay = require("kadenza.testing.overlay")
local policy = require("kadenza.testing.policy")

local M = {}

M.load = policy.load
M.overlay = overlay.new
M.record = literals.record
M.contact = literals.contact
M.context = literals.context
M.request = literals.request

local has_luassert, luassert = pcall(require, "luassert")
local has_say, say = pcall(require, "say") -- comes with luassert
if has_luassert and has_say then
  require("kadenza.testing.assertions").register(luassert, say)
end

return M
