-- On sockets, hooks that compute for long do not keep short ones waiting:
-- those that continue leave half of each turn's share to those that begin, and
-- no hook begins when the share is used up. So short ones are not preempted.
--
-- Tests core/rpc/turn.c, bindings/policy/install.c,
-- scripts/kadenza/scheduler.lua.

local kad = require("kadenza")
local policy = require("kadenza.policy")
local policies = require("tests.spec.support.policy")
local support = require("tests.spec.support")

local spec, local_node = support.spec, support.local_node

local SENDERS <const>, SLOW <const>, SHORT <const> = 3, 60, 30

-- Each `slow` takes some four shares of a turn, `short` a hundredth.
local POLICY <const> = [[
  local function count(last)
    local sum = 0
    for i = 1, last do sum = sum + i end
    return sum
  end
  return {
    name = "policy", version = 1,
    on_request = function() return count(50) > 0 end,
    rpc = {
      slow = function() return { sum = count(50000) } end,
      short = function() return { sum = count(50) } end,
    },
  }
]]

-- Opens a node whose address is its own among 127.0.0.0/8.
local function open(last, options)
  local second, third = kad.random(2):byte(1, 2)
  options.listen = ("127.%d.%d.%d:0"):format(second % 200 + 20, third, last)
  return assert(kad.node(local_node(options)))
end

describe("a burst of hooks that compute for long", function()
  it("does not have short hooks preempted", spec(function()
    local files <close> = policies.files()
    local path = files:write(POLICY)
    kad.run(function()
      local node = open(1, { policies = { path } })
      local other = open(2, {})
      local address = node:addresses()[1]
      local calls = {}
      for sender = 1, SENDERS do
        local loud = open(2 + sender, {})
        for _ = 1, SLOW do
          calls[#calls + 1] = kad.spawn(function()
            assert(loud:call(address, "slow"))
          end)
        end
      end
      for _ = 1, SHORT do
        assert(other:call(address, "short"))
      end
      kad.all(calls)
      local hooks = policy.stats(node).hooks
      assert.equal(SENDERS * SLOW, hooks["policy: rpc.slow"].preempted)
      assert.is_true(hooks["policy: rpc.short"].preempted <= SHORT // 10)
      local each = hooks["policy: on_request"]
      assert.is_true(each.calls > SENDERS * SLOW)
      assert.is_true(each.preempted <= each.calls // 5)
    end, { timeout = 60 })
  end))
end)
