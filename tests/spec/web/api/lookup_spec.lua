local api = require("tests.spec.support.api")
local kad = require("kadenza")

local TARGET <const> = kad.key("target")
local URL <const> = "/v1/lookup/" .. kad.hex(TARGET)

describe("GET /v1/lookup/{target}", function()
  it("returns the closest nodes, the closest first",
    api.overlay(function(client, nodes)
      local document = client:get(URL).document
      assert.equal(kad.hex(TARGET), document.target)
      local closest = nodes[1]:find_node(TARGET)
      assert.equal(#closest, #document.contacts)
      for i, contact in ipairs(closest) do
        assert.same({ id = kad.hex(contact.id), address = contact.address },
          { id = document.contacts[i].id,
            address = document.contacts[i].address })
      end
      assert.is_true(document.messages > 0)
    end))

  it("looks up once for ten seconds", api.overlay(function(client, nodes)
    local lookups = 0
    local node = setmetatable({}, { __index = nodes[1] })
    client.running.node = node
    function node.find_node(_, ...)
      lookups = lookups + 1
      return nodes[1]:find_node(...)
    end
    client:get(URL)
    kad.sleep(5)
    assert.equal("5", client:get(URL).headers["Age"])
    assert.equal(1, lookups)
    kad.sleep(6)
    assert.equal("0", client:get(URL).headers["Age"])
    assert.equal(2, lookups)
  end))

  it("says what is wrong with a request", api.overlay(function(client)
    assert.equal(400, client:get("/v1/lookup/xyz").status)
    assert.equal(400, client:get(URL .. "?k=3").status)
  end))

  it("fails when no other node is known", api.overlay(function(client)
    local response = client:get(URL)
    assert.equal(503, response.status)
    assert.equal("KAD_ENOCONTACTS", response.document.error.code)
  end, { nodes = 1 }))
end)
