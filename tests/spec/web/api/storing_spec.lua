local api = require("tests.spec.support.api")
local core = require("kadenza.core")
local kad = require("kadenza")

local KEY <const> = kad.key("greeting")
local URL <const> = "/v1/records/" .. kad.hex(KEY)
local PAIR <const> = kad.keypair(("k"):rep(32))

-- Returns the fields of a mutable item that its publisher has signed.
local function signed_item(value, seq, more)
  local bytes = kad.bencode.encode(value)
  local item = { type = "mutable", value = bytes, seq = seq,
    publisher = kad.hex(PAIR.publisher),
    signature = kad.hex(core.sign_item(bytes, nil, seq, PAIR.secret)) }
  for name, field in pairs(more or {}) do
    item[name] = field
  end
  return item
end

local ITEM_URL <const> = "/v1/records/"
  .. kad.hex(kad.mutable_target(PAIR.publisher))

describe("PUT /v1/records/{key}", function()
  it("stores bytes, and says at how many nodes",
    api.overlay(function(client, nodes)
      local response = client:put(URL .. "?ttl=600", "a\0\255")
      assert.equal(200, response.status)
      local document = response.document
      assert.equal(8, document.stored)
      assert.equal(8, document.asked)
      assert.equal(600, document.ttl)
      assert.equal("value", document.type)
      assert.equal(kad.hex(KEY), document.key)
      assert.equal("a\0\255", (nodes[9]:get(KEY)))
    end))

  it("stores an empty value", api.overlay(function(client, nodes)
    assert.equal(200, client:put(URL, "", {
      ["content-type"] = "application/octet-stream" }).status)
    assert.equal("", (nodes[9]:get(KEY)))
  end))

  it("stores the value of a document", api.overlay(function(client, nodes)
    for body, value in pairs({
      ['{"value":"h\\u00e9llo","ttl":60}'] = "héllo",
      ['{"value_base64":"/wA="}'] = "\255\0",
    }) do
      local response = client:json("PUT", URL, body)
      assert.equal(200, response.status)
      local found = false
      for _, record in ipairs((nodes[9]:get(KEY, { all = true }))) do
        found = found or record.value == value
      end
      assert.is_true(found, body)
    end
  end))

  it("takes parameters beside a document, which goes before them",
    api.overlay(function(client)
      local document = client:json("PUT", URL .. "?ttl=60&type=value",
        '{"value":"a"}').document
      assert.equal(60, document.ttl)
      document = client:json("PUT", URL .. "?ttl=60",
        '{"value":"a","ttl":90}').document
      assert.equal(90, document.ttl)
    end))

  it("stores what a client has signed", api.overlay(function(client, nodes)
    local record = { key = KEY, type = "value", value = "v", seq = 2 }
    local signature = core.sign(record, PAIR.secret, 160)
    local document = { value = "v", seq = 2,
      publisher = kad.hex(PAIR.publisher), signature = kad.hex(signature) }
    assert.equal(200, client:json("PUT", URL, document).status)
    local _, info = nodes[9]:get(KEY)
    assert.equal(PAIR.publisher, info.publisher)
    document.value = "other"
    local response = client:json("PUT", URL, document)
    assert.equal(422, response.status)
    assert.equal("KAD_ESIGNATURE", response.document.error.code)
  end))

  it("stores mutable items as BEP 44 has them",
    api.overlay(function(client, nodes)
      local response = client:json("PUT", ITEM_URL, signed_item("v1", 7))
      assert.equal(200, response.status)
      assert.equal(7, response.document.seq)
      local value, info = nodes[9]:get_mutable(PAIR.publisher)
      assert.equal("v1", value)
      assert.equal(7, info.seq)
    end))

  it("fails with 409 when another version stands against an item",
    api.overlay(function(client)
      assert.equal(200, client:json("PUT", ITEM_URL,
        signed_item("v1", 7)).status)
      local old = client:json("PUT", ITEM_URL, signed_item("v0", 6))
      assert.equal(409, old.status)
      assert.equal("KAD_ESEQ", old.document.error.code)
      assert.equal(7, old.document.error.seq)
      local lost = client:json("PUT", ITEM_URL,
        signed_item("v2", 8, { cas = 5 }))
      assert.equal(409, lost.status)
      assert.equal("KAD_ECAS", lost.document.error.code)
      assert.equal(200, client:json("PUT", ITEM_URL,
        signed_item("v2", 8, { cas = 7 })).status)
    end))

  it("stores immutable items under their target",
    api.overlay(function(client, nodes)
      local target = kad.immutable_target("hello")
      local url = "/v1/records/" .. kad.hex(target) .. "?type=immutable"
      assert.equal(200, client:put(url, "5:hello").status)
      assert.equal("hello", (nodes[9]:get_immutable(target)))
      local response = client:put(URL .. "?type=immutable", "5:hello")
      assert.equal(422, response.status)
      assert.equal("wrong_key", response.document.error.code)
      assert.matches(kad.hex(target), response.document.error.message, 1, true)
      assert.equal(422, client:put(URL .. "?type=immutable", "hello").status)
    end))

  it("shows a client what it has just stored",
    api.overlay(function(client)
      client:put(URL, "old")
      assert.equal("old", client:get(URL).body)
      client:put(URL .. "?ttl=60", "new")
      local values = {}
      for _, record in ipairs(client:get(URL .. "?all").document.records) do
        values[record.value] = true
      end
      assert.same({ old = true, new = true }, values)
    end))

  it("returns the reason of a policy that refuses the value",
    api.overlay(function(client)
      local response = client:put(URL .. "?type=word", "no word!")
      assert.equal(422, response.status)
      assert.equal("KAD_EREFUSED", response.document.error.code)
      assert.matches("only letters", response.document.error.message, 1, true)
      assert.equal(200, client:put(URL .. "?type=word", "word").status)
    end, { policies = { { name = "words", types = { word = {
      validate = function(record)
        if record.value:find("^%a+$") then
          return true
        end
        return nil, "only letters"
      end,
    } } } } }))

  it("fails with 502 when fewer nodes than it needs have stored it",
    api.overlay(function(client)
      local response = client:put(URL .. "?min_stored=20", "x")
      assert.equal(502, response.status)
      assert.equal("KAD_EFEWER", response.document.error.code)
    end))

  it("stores nothing that is larger than a record",
    api.overlay(function(client)
      assert.equal(200, client:put(URL, ("x"):rep(1000)).status)
      for _, response in ipairs({
        client:put(URL, ("x"):rep(1001)),
        client:json("PUT", URL, { value = ("x"):rep(1001) }),
        client:put(URL, ("x"):rep(8193)),
        client:json("PUT", URL, { value = ("x"):rep(100000) }),
      }) do
        assert.equal(413, response.status)
        assert.equal("KAD_ETOOBIG", response.document.error.code)
      end
    end))

  it("stores larger values of types that have them",
    api.overlay(function(client)
      local value = ("x"):rep(4000)
      local url = URL .. "?type=large"
      assert.equal(200, client:put(url, value).status)
      assert.equal(value, client:get(url).body)
      assert.equal(413, client:put(url, value .. "x").status)
    end, { config = { max_reply = 8972 },
      policies = { { name = "large", types = {
        large = { max_size = 4000 } } } } }))

  it("says what is wrong with a request", api.overlay(function(client)
    local hex64, hex128 = ("ab"):rep(32), ("ab"):rep(64)
    for body, message in pairs({
      ["{"] = "not JSON",
      ["[]"] = "a JSON object",
      ["null"] = "a JSON object",
      ["{}"] = "value or value_base64 is missing",
      ['{"value":1}'] = "value must be a text",
      ['{"value":null}'] = "value must be a text",
      ['{"value":"a","value_base64":"YQ=="}'] = "both value and value_base64",
      ['{"value_base64":"?"}'] = "value_base64 must be base64",
      ['{"value":"a","ttl":0}'] = "ttl must be an integer of 1",
      ['{"value":"a","ttl":"1.5"}'] = "ttl must be an integer",
      ['{"value":"a","ttl":1.5}'] = "ttl must be an integer",
      ['{"value":"a","ttl":1e9999}'] = "not JSON",
      ['{"value":"a","seq":99999999999999999999}'] = "seq must be an integer",
      ['{"value":"a","seq":-9223372036854775809}'] = "seq must be an integer",
      ['{"value":"a","seq":"9223372036854775808"}'] = "seq must be an integer",
      ['{"value":"a","cas":1}'] = "cas is for mutable items",
      ['{"value":"a","publisher":"00"}'] = "publisher must be 64 hexadecimal",
      ['{"value":"a","publisher":"' .. hex64 .. '"}'] = "go together",
      ['{"value":"a","signature":"' .. hex128 .. '"}'] = "go together",
      ['{"value":"1:a","type":"mutable"}'] = "needs publisher",
      ['{"value":"a","secret":"x"}'] = "unknown parameter 'secret'",
      ['{"value":"a","min_stored":21}'] = "min_stored must be",
      ['{"value":"' .. "\255" .. '"}'] = "not UTF-8",
      [("["):rep(10000)] = "nested more than 32 deep",
    }) do
      local response = client:json("PUT", URL, body)
      assert.equal(400, response.status, body)
      assert.matches(message, response.document.error.message, 1, true)
    end
    assert.equal(400, client:json("PUT", URL .. "?tll=5",
      '{"value":"a"}').status)
    assert.equal(400, client:put(URL .. "?tll=5", "a").status)
    assert.equal(400, client:put(URL .. "?type=mutable", "1:a").status)
    assert.equal(200, client:json("PUT", URL,
      '{"value":"a","ttl":6e1,"seq":"7"}').status)
    assert.equal(400, client:put("/v1/records/greeting", "a").status)
    assert.equal(415, client:put(URL, "a=b", {
      ["content-type"] = "application/x-www-form-urlencoded" }).status)
  end))

  it("keeps items to overlays that can have them",
    api.overlay(function(client)
      local response = client:put("/v1/records/" .. ("ab"):rep(32)
        .. "?type=immutable", "1:a")
      assert.equal(422, response.status)
      assert.matches("160 bits", response.document.error.message, 1, true)
    end, { config = { id_bits = 256 } }))

  it("refuses more than may be under way", api.overlay(function(client)
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = kad.spawn(function()
        return client:put("/v1/records/name:" .. i, "x").status
      end)
    end
    local counts = {}
    for _, status in ipairs(kad.all(tasks)) do
      counts[status] = (counts[status] or 0) + 1
    end
    assert.same({ [200] = 4, [503] = 46 }, counts)
  end, { limits = { max_operations = 4 } }))
end)
