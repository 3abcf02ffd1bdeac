-- Tests scripts/kadenza/node_options.lua, bindings/lua/inherited.c. What a node
-- does with sockets is tested by tests/unit/net/udp/udp_inherited_test.c and
-- tests/spec/cli/inherited_spec.lua.

local core = require("kadenza.core")
local kad = require("kadenza")
local support = require("support")

local spec, assert_blames_caller = support.spec, support.assert_blames_caller

describe("the option sockets of a node", function()
  for problem, options in pairs({
    ["option 'sockets' must be a list of descriptors"] = { sockets = {} },
    ["option 'sockets' must be a list of descriptors "] = { sockets = 3 },
    ["option 'sockets' must be a list of descriptors  "] =
      { sockets = { "3" } },
    ["option 'sockets' must be a list of descriptors   "] =
      { sockets = { -1 } },
    ["option 'sockets' must be a list of descriptors    "] =
      { sockets = { 1 << 40 } },
    ["option 'sockets' needs 1 to 8 descriptors"] =
      { sockets = { 3, 4, 5, 6, 7, 8, 9, 10, 11 } },
    ["option 'sockets' excludes 'listen' and 'transport'"] =
      { sockets = { 3 }, listen = "127.0.0.1:0" },
    ["option 'sockets': descriptor 9999999 is not open"] =
      { sockets = { 9999999 } },
  }) do
    it("raises: " .. problem, spec(function()
      assert_blames_caller(problem:gsub(" +$", ""), function()
        kad.node(options)
      end)
    end))
  end

  it("has no meaning in virtual time or with a transport", spec(function()
    local network <close> = assert(core.sim({ seed = 1 }))
    assert.has_error(function()
      network:open_node({}, { 9999999 })
    end)
    assert.has_error(function()
      network:open_node({}, { 1, "127.0.0.1:1" })
    end)
  end))
end)
