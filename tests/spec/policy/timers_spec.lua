-- The timers of policies (`every`): how many there may be, and that they leave
-- the node its time.
--
-- Tests scripts/kadenza/policy/host.lua, bindings/policy/meter.c.

local kad = require("kadenza")
local policy = require("kadenza.policy")
local support = require("tests.spec.support.policy")

local with = support.with

-- A policy with `count` timers that run `body`, and the query `run`.
local function timers(count, seconds, body)
  return ([[
    local kad = require("kadenza")
    local ran, kept = 0, {}
    local every = {}
    for i = 1, %d do
      every[i] = { seconds = %s, run = function() %s end }
    end
    return { every = every, rpc = { run = function()
      return { ran = ran }
    end } } ]]):format(count, seconds, body)
end

describe("timers of policies", function()
  it("are bounded for all files of a node together", function()
    local files <close> = support.files()
    local first = files:write(timers(600, 1, ""):gsub("rpc = .*", "}"),
      "first.lua")
    local second = files:write(timers(401, 1, ""):gsub("rpc = .*", "}"),
      "second.lua")
    assert.is_true(policy.check(first))
    assert.is_true(policy.check(second))
    local fine, message = policy.check({ first, second })
    assert.is_nil(fine)
    assert.equal(second .. ": the policies of the node have more than 1000 "
      .. "timers (every)", message)
  end)

  it("that a metatable makes up do not run", with([[
    local ran = 0
    return {
      every = setmetatable({}, { __index = function()
        return { seconds = 0.1, run = function() ran = ran + 1 end }
      end }),
      rpc = { run = function() return { ran = ran } end },
    } ]], function(world)
      kad.sleep(5)
      assert.equal(0, assert(support.call(world)).ran)
    end))

  it("run a thousand times a second together", with(
    timers(500, 0.001, "ran = ran + 1"), function(world)
      kad.sleep(1)
      local before = assert(support.call(world)).ran
      kad.sleep(2)
      local count = assert(support.call(world)).ran - before
      assert.is_true(count > 1500 and count < 2500, count)
    end))

  it("leave the node its time: a thousand of them", with(
    timers(1000, 0.001, "for i = 1, 50 do ran = ran + 1 end"),
    function(world)
      for _ = 1, 5 do
        local begun = kad.now()
        assert(support.call(world))
        assert.is_true(kad.now() - begun < 0.5)
      end
    end))
end)
