local api = require("tests.spec.support.api")
local kad = require("kadenza")

-- Answers `hello` with what it was sent.
local POLICY <const> = { name = "hello", rpc = {
  hello = function(request)
    if request.args.fail then
      return nil, "no", 201
    end
    return { text = "hi", got = request.args.value, raw = "\255" }
  end,
} }
local WITH_POLICY <const> = { policies = { POLICY } }
local URL <const> = "/v1/queries/hello"

describe("POST /v1/queries/{method}", function()
  it("asks one node", api.overlay(function(client, nodes)
    local address = nodes[5]:addresses()[1]
    local response = client:json("POST", URL,
      ('{"address":"%s","args":{"value":[1,"x",{"n":-5}]}}'):format(address))
    assert.equal(200, response.status)
    local document = response.document
    assert.equal("hi", document.reply.text)
    assert.equal("ff", document.reply.raw_hex)
    assert.equal(1, document.reply.got[1])
    assert.equal(-5, document.reply.got[3].n)
    assert.equal(address, document.from.address)
    assert.equal(kad.hex(nodes[5]:id()), document.from.id)
  end, WITH_POLICY))

  it("asks a node only if it has the id", api.overlay(function(client, nodes)
    local body = '{"address":"%s","id":"%s"}'
    local address = nodes[5]:addresses()[1]
    assert.equal(200, client:json("POST", URL,
      body:format(address, kad.hex(nodes[5]:id()))).status)
    assert.equal(504, client:json("POST", URL,
      body:format(address, kad.hex(nodes[6]:id()))).status)
  end, WITH_POLICY))

  it("takes bytes that JSON does not have", api.overlay(function(client, nodes)
    local bencoded = kad.bencode.encode({ value = "\255\0" })
    local response = client:json("POST", URL,
      ('{"address":"%s","args_base64":"%s"}'):format(nodes[5]:addresses()[1],
        require("kadenza.core").base64(bencoded)))
    assert.equal("ff00", response.document.reply.got_hex)
  end, WITH_POLICY))

  it("asks the nodes on the way to a key", api.overlay(function(client)
    local document = client:json("POST", URL,
      '{"key":"name:somewhere","args":{"value":7}}').document
    assert.is_true(#document.replies > 3)
    assert.equal(7, document.replies[1].reply.got)
    assert.is_string(document.replies[1].from.address)
    document = client:json("POST", URL, '{"key":"name:x","quorum":1}').document
    assert.is_true(#document.replies < 8)
  end, WITH_POLICY))

  it("fails as the other node does", api.overlay(function(client, nodes)
    local address = nodes[5]:addresses()[1]
    local refused = client:json("POST", URL,
      ('{"address":"%s","args":{"fail":1}}'):format(address))
    assert.equal(422, refused.status)
    assert.equal(201, refused.document.error.krpc)
    local unknown = client:json("POST", "/v1/queries/other",
      ('{"address":"%s"}'):format(address))
    assert.equal(404, unknown.status)
    assert.equal(204, unknown.document.error.krpc)
    local martian = client:json("POST", URL, '{"address":"10.9.9.9:1"}')
    assert.equal(422, martian.status)
    assert.equal("KAD_EMARTIAN", martian.document.error.code)
  end, WITH_POLICY))

  it("says what is wrong with a request", api.overlay(function(client)
    for body, message in pairs({
      ["{}"] = "either address or key",
      ['{"address":"10.0.0.1:1","key":"name:x"}'] = "either address or key",
      ['{"address":"10.0.0.1"}'] = "address must be HOST:PORT",
      ['{"address":"10.0.0.1:0"}'] = "address has a port that must be from 1",
      ['{"address":"10.0.0.1:1","id":"00"}'] = "a key must be",
      ['{"address":"10.0.0.1:1","quorum":1}'] = "quorum belongs to a key",
      ['{"key":"x"}'] = "a key must be",
      ['{"key":"name:x","id":"00"}'] = "id belongs to an address",
      ['{"key":"name:x","args":[]}'] = "args must be an object",
      ['{"key":"name:x","args":null}'] = "args must be an object",
      ['{"key":"name:x","args":{"a":1.5}}'] = "args.a must be",
      ['{"key":"name:x","args":{"a":{"b":[null]}}}'] = "args.a.b.1 must be",
      ['{"key":"name:x","args":{"a":true}}'] = "args.a must be",
      ['{"key":"name:x","args":{"a":9223372036854775808}}'] = "args.a must be",
      ['{"key":"name:x","args":{"id":"x"}}'] = "args.id is added",
      ['{"key":"name:x","args":{"target":"x"}}'] = "args.target is the key",
      ['{"key":"name:x","args":{},"args_base64":"ZGU="}'] = "both args",
      ['{"key":"name:x","args_base64":"bGU="}'] = "not a bencoded dictionary",
    }) do
      local response = client:json("POST", URL, body)
      assert.equal(400, response.status, body)
      assert.matches(message, response.document.error.message, 1, true)
    end
    for _, name in ipairs({ "ping", "store", ("x"):rep(33), "%00" }) do
      assert.equal(400, client:json("POST", "/v1/queries/" .. name,
        '{"key":"name:x"}').status, name)
    end
    assert.equal(400, client:json("POST", URL .. "?a=b", "{}").status)
    assert.equal(415, client:send("POST", URL, {}, "{}").status)
  end, WITH_POLICY))

  it("sends nothing that is larger than a datagram",
    api.overlay(function(client, nodes)
      local response = client:json("POST", URL,
        ('{"address":"%s","args":{"a":"%s"}}'):format(nodes[5]:addresses()[1],
          ("x"):rep(2000)))
      assert.equal(413, response.status)
    end, WITH_POLICY))
end)
