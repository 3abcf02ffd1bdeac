-- Callbacks that a policy passes to its node run as tasks, wherever they are
-- among the arguments.
--
-- Tests scripts/kadenza/policy/facade.lua.

local kad = require("kadenza")
local support = require("tests.spec.support.policy")

local with = support.with

-- Calls that take a callback, with nothing, nil, or more after it.
local CALLS <const> = {
  "node:find_node(key, fn, nil)",
  "node:find_node(key, nil, fn, nil, nil)",
  "node:find_node(key, {}, fn, 1)",
  "node:get(key, fn, nil)",
  "node:get_peers(key, fn, nil)",
  "node:put(key, 'x', fn, nil)",
  "node:publish(key, 'x', fn, nil)",
  "node:query(key, 'search', fn, nil)",
  "node:query(key, 'search', {}, fn, nil)",
  "node:announce(key, 1, fn, nil)",
  "node:ping(to, fn, nil)",
  "node:call(to, 'none', fn, nil)",
  "node:bootstrap({ to }, fn, nil)",
}

-- A policy whose query `run` makes a call of a node; its callback runs `body`.
local function calling(call, body)
  return [[
    local kad = require("kadenza")
    local ran = 0
    return function(node)
      return { rpc = {
        run = function(request)
          local key, to = kad.key("k"), request.args.to
          local function fn() ]] .. body .. [[ end
          ]] .. call .. [[
          return {}
        end,
        count = function() return { ran = ran } end,
      } }
    end ]]
end

describe("a callback of a policy", function()
  for _, call in ipairs(CALLS) do
    it("may wait: " .. call, with(calling(call .. " ",
      "kad.sleep(1) ran = ran + 1"), function(world)
        local to = world.other:addresses()[1]
        assert(support.call(world, "run", { to = to }))
        kad.sleep(60)
        assert.equal(1, assert(support.call(world, "count")).ran)
      end))
  end

  it("that fails is logged, with its place", with(calling(
    "node:find_node(key, fn, nil) ", 'error("boom \\27[31m")'),
    function(world)
      assert(support.call(world, "run"))
      kad.sleep(60)
      world.after = function()
        local text = nil
        for _, event in ipairs(world.events) do
          text = text or event.fields and event.fields.error
        end
        assert.matches("policy%.lua:7: boom", text)
      end
    end))
end)
