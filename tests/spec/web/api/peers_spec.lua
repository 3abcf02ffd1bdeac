local api = require("tests.spec.support.api")
local kad = require("kadenza")

local HASH <const> = kad.key("file")
local URL <const> = "/v1/peers/" .. kad.hex(HASH)

describe("/v1/peers/{info_hash}", function()
  it("returns announced peers", api.overlay(function(client, nodes)
    assert(nodes[9]:announce(HASH, 4000))
    local response = client:get(URL)
    assert.equal(200, response.status)
    local document = response.document
    assert.equal(1, #document.peers)
    assert.matches(":4000$", document.peers[1])
    assert.equal(kad.hex(HASH), document.info_hash)
    assert.equal("max-age=10", response.headers["Cache-Control"])
  end))

  it("counts seeds and others", api.overlay(function(client, nodes)
    assert(nodes[9]:announce(HASH, 4000, { seed = true }))
    local document = client:get(URL .. "?scrape").document
    assert.equal(1, document.scrape.seeds)
    assert.equal(404, client:get(URL .. "?noseed").status)
  end))

  it("is 404 when there are none", api.overlay(function(client)
    local response = client:get(URL)
    assert.equal(404, response.status)
    assert.equal("KAD_ENOTFOUND", response.document.error.code)
  end))

  it("announces this machine", api.overlay(function(client, nodes)
    local response = client:json("POST", URL, { port = 5000, seed = true })
    assert.equal(200, response.status)
    assert.equal(8, response.document.stored)
    assert.equal(2700, response.document.ttl)
    local host = nodes[1]:addresses()[1]:match("^(.*):%d+$")
    assert.same({ host .. ":5000" }, (nodes[9]:get_peers(HASH)))
  end))

  it("announces the port of the node without one",
    api.overlay(function(client, nodes)
      assert.equal(200, client:send("POST", URL).status)
      assert.same(nodes[1]:addresses(), (nodes[9]:get_peers(HASH)))
    end))

  it("shows a client what it has just announced",
    api.overlay(function(client)
      assert.equal(404, client:get(URL).status)
      client:json("POST", URL, { port = 5000 })
      assert.equal(1, #client:get(URL).document.peers)
    end))

  it("says what is wrong with a request", api.overlay(function(client)
    for body, message in pairs({
      ['{"port":0}'] = "port must be an integer of 1 to 65535",
      ['{"port":65536}'] = "port must be",
      ['{"port":"x"}'] = "port must be",
      ['{"seed":1}'] = "seed must be true or false",
      ['{"min_stored":0}'] = "min_stored must be",
      ['{"host":"192.0.2.1"}'] = "unknown parameter 'host'",
      ["[]"] = "a JSON object",
    }) do
      local response = client:json("POST", URL, body)
      assert.equal(400, response.status, body)
      assert.matches(message, response.document.error.message, 1, true)
    end
    assert.equal(400, client:json("POST", URL .. "?port=1", "{}").status)
    assert.equal(400, client:json("POST", "/v1/peers/00", "{}").status)
    assert.equal(400, client:get("/v1/peers/00").status)
    assert.equal(400, client:get(URL .. "?scrape=2").status)
    assert.equal(415, client:send("POST", URL, {}, "{}").status)
  end))
end)
