local kad = require("kadenza")
local support = require("tests.spec.support")

describe("a get", function()
  it("stores copies, unless the options turn this off", support.spec(function()
    for _, on in ipairs({ true, false }) do
      local net <close> = kad.sim({ nodes = 30, seed = 4,
        config = { cache = on, repair = on } })
      net:perform(function()
        for i = 1, 20 do
          local key = kad.key("copy " .. i)
          assert(net.nodes[3]:put(key, "x", { k = 3 }))
          assert(net.nodes[20]:get(key))
        end
        kad.sleep(10)
        local stats = net.nodes[20]:stats()
        local left = stats.cached_copies + stats.repairs
        assert.equal(on, left > 0)
      end)
    end
  end))
end)
