-- The circuit breaker stops calling a hook that keeps failing.
--
-- Tests bindings/policy.

local kad = require("kadenza")
local policy = require("kadenza.policy")
local support = require("tests.spec.support.policy")

local with, failures = support.with, support.failures
local note = support.note

local KEY <const> = kad.key("somewhere")
local NOTE <const> = { type = "note" }

-- Calls `fn` while the policies of a node may use `bytes` of memory and a large
-- budget of instructions.
local function with_memory(bytes, fn)
  local memory, instructions = policy.MEMORY, support.INSTRUCTIONS
  policy.MEMORY, support.INSTRUCTIONS = bytes, 10000000
  local fine, problem = pcall(fn)
  policy.MEMORY, support.INSTRUCTIONS = memory, instructions
  if not fine then
    error(problem, 0)
  end
end

describe("the circuit breaker", function()
  it("opens after ten failures, is logged once, and closes later", with(note([[
    validate = function(record)
      if record.value == "bad" then error("boom") end
      return true
    end ]]), function(world)
      local function put(value)
        return (world.node:put(KEY, value, NOTE))
      end
      for _ = 1, 15 do
        put("bad")
      end
      local hook = world.hooks()["policy: note.validate"]
      assert.equal(10, hook.calls)
      assert.is_true(hook.breaker_open)
      assert.is_nil(put("good"))
      kad.sleep(31)
      assert.is_truthy(put("good"))
      assert.is_false(world.hooks()["policy: note.validate"].breaker_open)
      world.after = function()
        local open = 0
        for _, event in ipairs(world.events) do
          open = open + (event.fields.breaker == "open" and 1 or 0)
        end
        assert.equal(1, open)
        assert.equal(2, #failures(world.events))
      end
    end))

  it("is logged once when many pending calls fail", with(note([[
    validate = function()
      kad.sleep(1)
      error("boom")
    end ]]), function(world)
      local puts = {}
      for i = 1, 400 do
        puts[i] = function()
          world.node:put(kad.key("key " .. i), "x", NOTE)
        end
      end
      kad.all(puts)
      assert.is_true(world.hooks()["policy: note.validate"].errors > 50)
      kad.sleep(31)
      world.node:put(KEY, "x", NOTE)
      local errors = world.hooks()["policy: note.validate"].errors
      world.after = function()
        local open, before = 0, 0
        for _, event in ipairs(world.events) do
          open = open + (event.fields.breaker == "open" and 1 or 0)
          before = before + (event.fields.before or 0)
        end
        assert.equal(1, open)
        assert.equal(errors, before + #failures(world.events))
      end
    end))

  it("does not open for failures that are far apart", with(
    note('validate = function() error("boom") end'), function(world)
      for _ = 1, 60 do
        world.node:put(KEY, "x", NOTE)
        kad.sleep(2)
      end
      local hook = world.hooks()["policy: note.validate"]
      assert.equal(60, hook.errors)
      world.after = function()
        local said, before = 0, 0
        for _, event in ipairs(world.events) do
          said = said + 1
          before = before + (event.fields.before or 0)
          assert.equal("policy: note.validate", event.fields.hook)
          assert.matches("policy%.lua:2$", event.fields.defined)
          assert.is_nil(event.fields.breaker)
        end
        assert.is_true(said >= 11 and said <= 13)
        assert.is_true(said + before >= 55)
      end
    end))

  it("opens for a hook that runs on with its memory full", function()
    with_memory(4 << 20, with([[
      local kept = {}
      return { types = { note = { validate = function()
        kept[#kept + 1] = ("x"):rep(20000) .. #kept
        for i = 1, 40 do local _ = ("y"):rep(10000) .. i end
        return true
      end } } }
    ]], function(world)
      for _ = 1, 200 do
        world.node:put(KEY, "x", NOTE)
      end
      local hook = world.hooks()["policy: note.validate"]
      assert.is_true(hook.breaker_open)
      assert.is_true(hook.calls > 50) -- all was well with half of it
      world.after = function()
        assert.matches("memory", failures(world.events)[1])
      end
    end))
  end)
end)
