local kad = require("kadenza")
local pubsub = require("kadenza.pubsub")
local support = require("tests.spec.support")

local FILE <const> = "scripts/policies/pubsub.lua"

describe("the policy pubsub", function()
  it("serves subscribers and publishers", support.spec(function()
    local hub, heard = pubsub.new(), {}
    local net <close> = kad.sim({ nodes = 10, seed = 1, policies = { FILE } })
    net:perform(function()
      local news = kad.key("news")
      local function open()
        local node = assert(net:open({ policies = { hub:policy() } }))
        assert(node:bootstrap(net.nodes[1]:addresses()))
        return node
      end
      local subscriber, publisher = open(), open()
      hub:subscribe(subscriber, news, function(value)
        heard[#heard + 1] = value
      end)

      assert(hub:publish(publisher, news, "hello"))
      kad.sleep(1)

      assert.same({ "hello" }, heard)
    end)
  end))
end)
