--- Tests scripts/kadenza/talkers.lua and bindings/lua/talkers.c.

local kad = require("kadenza")
local support = require("tests.spec.support")
local talkers = require("kadenza.talkers")

local function ping_from(node, addresses)
  local hosts = {}
  for i, address in ipairs(addresses) do
    local other = assert(kad.node({ listen = address, allow_local = true }))
    for _ = 1, i do
      assert(other:ping(node:addresses()[1]))
    end
    hosts[i] = other
  end
  return hosts
end

describe("kadenza.talkers", function()
  it("lists the hosts that send most", support.spec(function()
    kad.run(function()
      local node = assert(kad.node(support.local_node()))
      assert.same({}, (talkers.top(node, 5)))
      assert.is_true(talkers.count(node, true))
      ping_from(node, { "127.0.0.2:0", "127.0.0.3:0", "127.0.0.4:0" })

      local list, seconds = talkers.top(node, 2)
      assert.equal(2, #list)
      assert.equal("127.0.0.4", list[1].host)
      assert.equal("127.0.0.3", list[2].host)
      assert.is_true(list[1].datagrams >= 3)
      assert.is_true(list[1].bytes > 3 * 50)
      assert.equal(0, list[1].dropped)
      assert.is_true(seconds >= 0 and seconds < 20)
      assert.is_true(talkers.count(node, false))
      assert.same({}, (talkers.top(node, 5)))
    end, { timeout = 20 })
  end))

  it("names an IPv6 host by its /64", support.spec(function()
    kad.run(function()
      local node = assert(kad.node({ listen = "[2001:db8::9]:1",
        transport = { send = function() end } }))
      assert(talkers.count(node, true))
      assert(node:receive("x", "[2001:db8:0:7:1:2:3:4]:6881"))
      kad.sleep(0)
      assert.same({ { host = "2001:db8:0:7::/64", datagrams = 1, bytes = 1,
        dropped = 1 } }, (talkers.top(node, 128)))
    end, { timeout = 20 })
  end))

  it("blames its caller", support.spec(function()
    kad.run(function()
      local node <close> = assert(kad.node(support.local_node()))
      support.assert_blames_caller("on must be a boolean", function()
        talkers.count(node, 1)
      end)
      for _, most in ipairs({ 0, 129, 1.5, "3" }) do
        support.assert_blames_caller("most must be an integer", function()
          talkers.top(node, most)
        end)
      end
      node:close()
      support.assert_blames_caller("closed", function()
        talkers.top(node, 1)
      end)
    end)
  end))
end)
