-- Tests scripts/kadenza/web/api/records.lua, answer.lua and record_text.lua.

local api = require("tests.spec.support.api")
local kad = require("kadenza")

local KEY <const> = kad.key("greeting")
local URL <const> = "/v1/records/" .. kad.hex(KEY)
local JSON <const> = { accept = "application/json" }

describe("GET /v1/records/{key}", function()
  it("returns the bytes and describes them in headers",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(KEY, "a\0\255", { ttl = 600 }))
      local response = client:get(URL)
      assert.equal(200, response.status)
      assert.equal("a\0\255", response.body)
      local headers = response.headers
      assert.equal("application/octet-stream", headers["Content-Type"])
      assert.equal("nosniff", headers["X-Content-Type-Options"])
      assert.equal("value", headers["Kadenza-Type"])
      assert.equal(kad.hex(KEY), headers["Kadenza-Key"])
      assert.is_true(tonumber(headers["Kadenza-TTL"]) <= 600)
      assert.is_true(tonumber(headers["Kadenza-Holders"]) >= 1)
      assert.equal("max-age=10", headers["Cache-Control"])
      assert.equal("Accept", headers["Vary"])
    end))

  it("returns a document to a client that asks for one",
    api.overlay(function(client, nodes)
      local pair = kad.keypair(("k"):rep(32))
      assert(nodes[9]:put(KEY, "héllo", { seq = 3, secret = pair.secret,
        salt = "\255" }))
      local response = client:get(URL, JSON)
      assert.equal("application/json", response.headers["Content-Type"])
      local document = response.document
      assert.equal("héllo", document.value)
      assert.equal(3, document.seq)
      assert.equal("/w==", document.salt_base64)
      assert.equal(kad.hex(pair.publisher), document.publisher)
      assert.equal(128, #document.signature)
      assert.equal(kad.hex(KEY), document.key)
      assert.is_true(document.holders >= 1)
    end))

  it("has base64 for bytes that JSON does not have",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(KEY, "\255\0"))
      local document = client:get(URL, JSON).document
      assert.equal("/wA=", document.value_base64)
      assert.is_nil(document.value)
    end))

  it("chooses by Accept as RFC 9110 says",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(KEY, "x"))
      for accept, kind in pairs({
        ["*/*"] = "application/octet-stream",
        ["application/*"] = "application/octet-stream",
        ["text/html, application/json;q=0.9, */*;q=0.8"] = "application/json",
        ["application/json;q=0, */*"] = "application/octet-stream",
        ["application/octet-stream;q=0.1,application/json;q=0.2"] =
          "application/json",
        ["APPLICATION/JSON"] = "application/json",
      }) do
        local response = client:get(URL, { accept = accept })
        assert.equal(kind, response.headers["Content-Type"], accept)
      end
      assert.equal(406, client:get(URL, { accept = "text/html" }).status)
      assert.equal(406, client:get(URL .. "?all", {
        accept = "application/octet-stream" }).status)
    end))

  it("returns all values of a key", api.overlay(function(client, nodes)
    for i = 1, 3 do
      assert(nodes[i + 4]:put(KEY, "value " .. i))
    end
    local document = client:get(URL .. "?all").document
    local values = {}
    for i, record in ipairs(document.records) do
      values[i] = record.value
    end
    table.sort(values)
    assert.same({ "value 1", "value 2", "value 3" }, values)
  end))

  it("hashes a name, and never a text without `name:`",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(kad.key("a/b ü"), "x"))
      assert.equal("x", client:get("/v1/records/name:a%2Fb%20%c3%bc").body)
      for _, path in ipairs({ "greeting", "name:", ("a"):rep(39),
        ("a"):rep(41), ("a"):rep(64), ("g"):rep(40), "name:" .. ("a"):rep(201),
        "%00", "%ff" }) do
        local response = client:get("/v1/records/" .. path)
        assert.equal(400, response.status, path)
        assert.equal("malformed", response.document.error.code)
        assert.matches("key", response.document.error.message, 1, true)
      end
    end))

  it("has keys of the overlay's width", api.overlay(function(client)
    assert.equal(404, client:get("/v1/records/" .. ("a"):rep(64)).status)
    local response = client:get("/v1/records/" .. ("a"):rep(40))
    assert.equal(400, response.status)
    assert.matches("64 hexadecimal digits", response.document.error.message)
  end, { config = { id_bits = 256 } }))

  it("says what is wrong with a parameter", api.overlay(function(client)
    for query, message in pairs({
      ["typo=1"] = "unknown parameter 'typo'",
      ["type="] = "type must be",
      ["type=a%0Ab"] = "type must be",
      ["type=" .. ("a"):rep(33)] = "type must be",
      ["type=peers"] = "/v1/peers",
      ["all=maybe"] = "all must be true or false",
      ["salt_base64=YQ=="] = "unknown parameter 'salt_base64'",
    }) do
      local response = client:get(URL .. "?" .. query)
      assert.equal(400, response.status, query)
      assert.matches(message, response.document.error.message, 1, true)
    end
  end))

  it("has salts and names that are as long as they may be",
    api.overlay(function(client)
      assert.equal(404, client:get(URL .. "?salt=" .. ("a"):rep(64)).status)
      local response = client:get(URL .. "?salt=" .. ("%c3%bc"):rep(33))
      assert.equal(413, response.status)
      assert.matches("at most 64 bytes, not 66",
        response.document.error.message, 1, true)
      assert.equal(404, client:get("/v1/records/name:"
        .. ("%c3%bc"):rep(200)).status)
      assert.equal(400, client:get("/v1/records/name:"
        .. ("%c3%bc"):rep(201)).status)
    end))

  it("fails as the lookup does", api.overlay(function(client)
    local response = client:get(URL)
    assert.equal(404, response.status)
    assert.equal("KAD_ENOTFOUND", response.document.error.code)
    assert.equal(422, client:get(URL .. "?type=unknown").status)
  end))

  it("sends 304 to a client that has the answer",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(KEY, "x"))
      for _, accept in ipairs({ "*/*", "application/json" }) do
        local tag = client:get(URL, { accept = accept }).headers["ETag"]
        for _, given in ipairs({ tag, "*", '"other", ' .. tag,
          "W/" .. tag:match('".*"') }) do
          local response = client:get(URL, { accept = accept,
            ["if-none-match"] = given })
          assert.equal(304, response.status)
          assert.equal("", response.body)
          assert.equal(tag, response.headers["ETag"])
        end
        assert.equal(200, client:get(URL, { accept = accept,
          ["if-none-match"] = '"other"' }).status)
      end
    end))

  it("has another tag for another value and another form",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(KEY, "x", { ttl = 5 }))
      local bytes = client:get(URL).headers["ETag"]
      assert.not_equal(bytes, client:get(URL, JSON).headers["ETag"])
      kad.sleep(30)
      assert(nodes[9]:put(KEY, "y"))
      kad.sleep(3)
      assert.equal("y", client:get(URL).body)
      assert.not_equal(bytes, client:get(URL).headers["ETag"])
    end))

  it("keeps an answer for ten seconds, and says how old it is",
    api.overlay(function(client, nodes)
      local gets = 0
      local node = setmetatable({}, { __index = nodes[1] })
      client.running.node = node
      function node.get(_, ...)
        gets = gets + 1
        return nodes[1]:get(...)
      end
      assert(nodes[9]:put(KEY, "x"))
      assert.equal("0", client:get(URL).headers["Age"])
      kad.sleep(4)
      assert.equal("4", client:get(URL).headers["Age"])
      client:get(URL, JSON)
      client:get(URL .. "?all")
      assert.equal(1, gets)
      client:get(URL, { ["cache-control"] = "no-cache" })
      assert.equal(2, gets)
      kad.sleep(10)
      client:get(URL)
      assert.equal(3, gets)
    end))

  it("keeps no answer longer than its record lives",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(KEY, "x", { ttl = 4 }))
      local headers = client:get(URL).headers
      assert.is_true(tonumber(headers["Cache-Control"]:match("%d+")) <= 4)
      kad.sleep(5)
      assert.equal(404, client:get(URL).status)
    end))

  it("lets clients keep an immutable item for as long as it lives",
    api.overlay(function(client, nodes)
      local target = assert(nodes[9]:put_immutable("hello"))
      local response = client:get("/v1/records/" .. kad.hex(target)
        .. "?type=immutable")
      assert.equal("5:hello", response.body)
      assert.matches("^max%-age=%d%d%d%d+, immutable$",
        response.headers["Cache-Control"])
    end))

  it("finds a mutable item with its salt", api.overlay(function(client, nodes)
    local pair = kad.keypair(("k"):rep(32))
    local target = assert(nodes[9]:put_mutable({ key = pair, value = "v",
      salt = "s", seq = 4 }))
    local url = "/v1/records/" .. kad.hex(target) .. "?type=mutable"
    local response = client:get(url .. "&salt=s", JSON)
    assert.equal("1:v", response.document.value)
    assert.equal(4, response.document.seq)
    assert.equal(404, client:get(url).status)
    assert.equal(200, client:get(url .. "&salt=%73").status)
  end))

  it("makes one lookup of a thousand equal requests",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(KEY, "x"))
      local before = nodes[1]:stats()
      local tasks = {}
      for i = 1, 1000 do
        tasks[i] = kad.spawn(function()
          return client:get(URL).body
        end)
      end
      for _, body in ipairs(kad.all(tasks)) do
        assert.equal("x", body)
      end
      assert.equal(1, nodes[1]:stats().lookups - before.lookups)
    end))

  it("refuses more than the lookups that may be under way",
    api.overlay(function(client)
      local tasks = {}
      for i = 1, 1000 do
        tasks[i] = kad.spawn(function()
          return client:get("/v1/records/name:" .. i).status
        end)
      end
      local counts = {}
      for _, status in ipairs(kad.all(tasks)) do
        counts[status] = (counts[status] or 0) + 1
      end
      assert.same({ [404] = 8, [503] = 992 }, counts)
      assert.equal(404, client:get(URL).status)
    end, { limits = { max_operations = 8 } }))

  it("says when to try again", api.overlay(function(client)
    local first = kad.spawn(function()
      return client:get("/v1/records/name:1").status
    end)
    kad.sleep(0)
    local response = client:get("/v1/records/name:2")
    assert.equal(503, response.status)
    assert.equal("KAD_EBUSY", response.document.error.code)
    assert.equal("1", response.headers["Retry-After"])
    assert.equal(404, first:await())
  end, { limits = { max_operations = 1 } }))

  it("answers 503 at once when the node is isolated or closed",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(KEY, "x"))
      local isolated = setmetatable({}, { __index = nodes[1] })
      function isolated.state()
        return "isolated"
      end
      client.running.node = isolated
      local response = client:get(URL)
      assert.equal(503, response.status)
      assert.equal("KAD_ENOCONTACTS", response.document.error.code)
      client.running.node = nil
      assert.equal("KAD_ECLOSED", client:get(URL).document.error.code)
    end))
end)
