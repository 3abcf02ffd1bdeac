--- Testing policies: hooks on literal values, overlays in virtual time, faults.
--
--     local testing = require("kadenza.testing")
--
--     describe("the guest book", function()
--       it("takes no spam", function()
--         local book <close> = assert(testing.load("guestbook.lua"))
--         local answer = book:call("types.line.validate", { value = "spam" })
--         assert.refused(answer, "no spam", 201)
--       end)
--
--       it("keeps what it takes", function()
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
-- With luassert, so in busted, there are `assert.accepted(answer)`,
-- `assert.refused(answer, reason, code)`, `assert.fails(answer, text)`,
-- `assert.holders(count, overlay, key, type)` and
-- `assert.converged(overlay, key, type)`; reasons and texts are parts of what
-- has to be said. Without it, everything else works.

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
