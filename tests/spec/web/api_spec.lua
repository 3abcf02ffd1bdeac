-- Tests scripts/kadenza/web/api.lua over real HTTP, with nodes in processes of
-- their own. The handlers are tested in virtual time, in tests/spec/web/api.

local core = require("kadenza.core")
local http = require("tests.spec.support.http")
local json_reader = require("kadenza.json_reader")
local kad = require("kadenza")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

local TOKEN <const> = "0123456789abcdef0123"
local URL <const> = "/v1/records/name:greeting"

describe("the HTTP API", function()
  local folder, remove, address

  local function ask(method, path, headers, body)
    return http.request(nil, address, method, path, headers, body)
  end

  setup(function()
    folder, remove = support.temporary_folder()
    local path = folder .. "/token"
    assert(core.create_file(path, TOKEN))
    local node = process.start_node({ "--http", "127.0.0.1:0",
      "--http-token-file", path, "--http-body", "20000" })
    address = node.stdout:match("kadenza: serving http://(%S+)/\n")
    process.start_node({ "--bootstrap", node.address,
      "--listen", "127.0.0.2:0" })
    repeat -- until the nodes know each other
      local reply = ask("GET", "/v1/lookup/name:x",
        { ["Cache-Control"] = "no-cache" })
    until reply.status == 200
  end)

  teardown(function()
    http.close_all()
    process.end_all()
    remove()
  end)

  -- Sends a write with the token.
  local function write(method, path, body, headers)
    local all = { Authorization = "Bearer " .. TOKEN }
    for name, value in pairs(headers or {}) do
      all[name] = value
    end
    return ask(method, path, all, body)
  end

  local JSON <const> = { ["Content-Type"] = "application/json" }

  it("stores and returns any bytes", function()
    local bytes = {}
    for byte = 0, 255 do
      bytes[#bytes + 1] = string.char(byte)
    end
    local value = table.concat(bytes)
    assert.equal(200, write("PUT", "/v1/records/name:bytes", value).status)
    local reply = ask("GET", "/v1/records/name:bytes")
    assert.equal(200, reply.status)
    assert.equal(value, reply.body)
    assert.equal("value", reply.headers["kadenza-type"])
  end)

  it("decodes the names of keys after the path is split", function()
    assert.equal(200, write("PUT", "/v1/records/name:a%2Fb%20%C3%BC",
      "x").status)
    local key = kad.hex(kad.key("a/b ü"))
    assert.equal("x", ask("GET", "/v1/records/" .. key).body)
    assert.equal(404, ask("GET", "/v1/records/name:a/b").status)
    assert.equal(400, ask("GET", "/v1/records/name:%zz").status)
  end)

  it("answers HEAD, and 304 to what a client has", function()
    write("PUT", URL, "hello")
    local reply = ask("HEAD", URL)
    assert.equal(200, reply.status)
    assert.equal("5", reply.headers["content-length"])
    local known = ask("GET", URL,
      { ["If-None-Match"] = reply.headers["etag"] })
    assert.equal(304, known.status)
    assert.equal("", known.body)
  end)

  it("asks for the token for every write, and for no read", function()
    for _, request in ipairs({ { "PUT", URL }, { "POST", "/v1/queries/hello" },
      { "POST", "/v1/peers/name:x" } }) do
      assert.equal(401, ask(request[1], request[2], {}, "x").status)
    end
    assert.equal(200, ask("GET", "/v1/openapi.json").status)
    assert.not_equal(401, ask("GET", "/v1/lookup/name:x").status)
    assert.equal(405, ask("DELETE", URL).status)
  end)

  it("survives bodies that are none", function()
    for body, status in pairs({
      [("["):rep(15000)] = 400,
      [('{"a":'):rep(3000)] = 400,
      ['{"value":' .. ("9"):rep(15000) .. "}"] = 400,
      ['{"value":NaN}'] = 400,
      ['{"value":"' .. "\255\254" .. '"}'] = 400,
      ['{"value":"' .. ("\\u0000"):rep(2500) .. '"}'] = 413,
      [("x"):rep(20000)] = 400,
      [("x"):rep(20001)] = 413,
      [""] = 400,
    }) do
      assert.equal(status, write("PUT", URL, body, JSON).status,
        body:sub(1, 20))
    end
    assert.equal(413, write("PUT", URL, ("x"):rep(1001)).status)
    assert.equal(200, ask("GET", "/health/live").status)
  end)

  -- Opens a watch and returns its client once the stream has begun.
  local function watch(path, headers)
    local client = http.connect(address)
    client:send(http.format("GET", path, headers))
    http.drive(nil, function()
      return client.received:find("retry: 3000\n\n", 1, true) or client.ended
    end)
    return client
  end

  it("streams the events of a watch", function()
    local client = watch("/v1/records/name:news?watch")
    assert.equal(200, write("PUT", "/v1/records/name:news", "a\nb").status)
    http.drive(nil, function()
      return client.received:find("\n\n.*\n\n")
    end)
    assert.matches("content%-type: text/event%-stream",
      client.received:lower())
    local data = client.received:match("event: changed\nid: %S+\ndata: (.-)\n")
    assert.equal("a\nb", json_reader.read(data).value)
    client:close()
  end)

  it("goes on when clients of watches leave in any way", function()
    for i = 1, 40 do
      local client = watch("/v1/records/name:left?watch")
      local leave = i % 2 == 0 and client.close or client.reset
      leave(client)
    end
    assert.equal(200, ask("GET", "/health/live").status)
  end)

  it("ends a watch when the node stops", function()
    local path = folder .. "/token"
    local other = process.start_node({ "--http", "127.0.0.1:0",
      "--http-token-file", path })
    local serving = other.stdout:match("http://(%S+)/\n")
    http.request(nil, serving, "PUT", URL,
      { Authorization = "Bearer " .. TOKEN }, "x")
    local client = http.connect(serving)
    client:send(http.format("GET", URL .. "?watch"))
    http.drive(nil, function()
      return client.received:find("event: present", 1, true)
    end)
    other:kill("sigterm")
    assert.equal(0, other:wait())
    http.drive(nil, function()
      return client.ended
    end)
  end)
end)
