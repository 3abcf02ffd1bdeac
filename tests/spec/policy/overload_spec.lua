-- Policies that keep their node busy although no hook exceeds its budget.
--
-- Tests scripts/kadenza/policy/facade.lua, bindings/policy.

local policy = require("kadenza.policy")
local policies = require("tests.spec.support.policy")

local function messages(events, part)
  local count = 0
  for _, event in ipairs(events) do
    local text = event.message .. " " .. tostring(event.fields.error)
    count = count + (text:find(part, 1, true) and 1 or 0)
  end
  return count
end

local function assert_answers(world)
  assert(world.other:ping(world.node:addresses()[1]))
end

describe("many tasks", function()
  it("are limited to a thousand that run at a time", function()
    policies.with([[
      local kad = require("kadenza")
      return { name = "storm", on_start = function()
        while true do
          kad.spawn(kad.sleep, 1e6)
        end
      end }
    ]], function(world)
      assert_answers(world)
      world.after = function()
        assert.equal(1, messages(world.events, "too many tasks: 1000"))
      end
    end)()
  end)

  it("do not count after they ended, in any way", function()
    policies.with([[
      local kad = require("kadenza")
      return { name = "storm", on_start = function()
        for i = 1, 3000 do
          kad.spawn(function()
            kad.sleep(0)
            return i % 20 > 0 or kad.nothing.here
          end)
          if i % 500 == 0 then
            kad.sleep(1)
          end
        end
        kad.log.info("3000 spawned")
      end }
    ]], function(world)
      require("kadenza").sleep(20)
      world.after = function()
        assert.equal(0, messages(world.events, "too many tasks"))
        assert.equal(1, messages(world.events, "3000 spawned"))
      end
    end)()
  end)

  it("that use all memory leave kadenza its own", function()
    local before = policy.MEMORY
    policy.MEMORY = 2 * 1024 * 1024
    local fine, err = pcall(policies.with([[
      local kad = require("kadenza")
      local function bomb()
        kad.spawn(bomb)
        kad.spawn(bomb)
        kad.sleep(0)
      end
      return { name = "storm", on_start = bomb }
    ]], function(world)
      require("kadenza").sleep(60)
      assert_answers(world)
      world.files:write("return { rpc = { hello = function() return {} end } }")
      assert(world.node:reload())
      assert(world.other:call(world.node:addresses()[1], "hello"))
    end))
    policy.MEMORY = before
    assert(fine, err)
  end)
end)

describe("a policy that logs in a loop", function()
  it("writes at most two hundred short lines in ten seconds",
    function()
      policies.with([[
        local kad = require("kadenza")
        return { name = "loud", on_start = function()
          for _ = 1, 300 do
            kad.log.error(("x"):rep(5000))
          end
        end }
      ]], function(world)
        assert.equal(100, world.node:stats().policies.log_dropped)
        world.after = function()
          assert.equal(200, messages(world.events, "xxx"))
          assert.equal(2000, #world.events[1].message)
        end
      end)()
    end)
end)

describe("single instructions that take long", function()
  it("end when the processor time of an entry is used up", function()
    policies.with([[
      return { name = "slow", rpc = { compare = function()
        local a, b = ("a"):rep(1e6), ("a"):rep(1e6)
        local same = 0
        while true do
          same = same + (a == b and 1 or 0)
        end
      end } }
    ]], function(world)
      local reply, _, _, details =
        world.other:call(world.node:addresses()[1], "compare")
      assert.is_nil(reply)
      assert.equal(202, details.krpc)
      assert_answers(world)
    end)()
  end)
end)

describe("a policy that defines a query of the core", function()
  it("is rejected with the name of the query", function()
    local node, message =
      policies.load("return { rpc = { ping = function() end } }")
    assert.is_nil(node)
    assert.is_truthy(message:find("policy.lua: rpc.ping: the node itself "
      .. "answers 'ping'", 1, true))
  end)
end)
