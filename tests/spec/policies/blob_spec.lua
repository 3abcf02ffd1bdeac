local blob = require("kadenza.blob")
local kad = require("kadenza")
local support = require("tests.spec.support")

local FILE <const> = "scripts/policies/blob.lua"

describe("the policy blob", function()
  it("holds chunks for a day, and nothing else", support.spec(function()
    local net <close> = kad.sim({ nodes = 10, seed = 1, policies = { FILE } })
    net:perform(function()
      local bytes = ("0123456789"):rep(500)
      local root = assert(blob.put(net.nodes[2], bytes))

      kad.sleep(23 * 3600)
      assert.equal(bytes, (blob.get(net.nodes[7], root)))
      kad.sleep(2 * 3600)
      assert.is_nil((blob.get(net.nodes[7], root)))
      assert.is_nil((net.nodes[2]:put(root, "other", { type = "chunk" })))
    end)
  end))
end)
