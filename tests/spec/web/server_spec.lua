-- Tests bindings/http, scripts/kadenza/web/client.lua,
-- scripts/kadenza/web/listener.lua.

local core = require("kadenza.core")
local http = require("tests.spec.support.http")
local kad = require("kadenza")
local log = require("kadenza.log")
local support = require("tests.spec.support")
local web = require("kadenza.web.server")

local spec = support.spec

local TOKEN <const> = "a-token-of-the-tests"

-- Runs `body(server, ask, network)` with a server on a free port of loopback;
-- `ask(method, path, headers, body)` returns a response. The log is collected
-- in `server.logged`.
local function with_server(settings, body)
  return spec(function(t)
    local network <close> = assert(core.udp())
    settings.listen = { "127.0.0.1:0" }
    local server <close> = assert(web.open(settings))
    server.logged = {}
    local before = log.configure({ sink = function(event)
      table.insert(server.logged, event)
    end })
    local _ <close> = setmetatable({}, { __close = function()
      log.restore(before)
      http.close_all()
    end })
    server:start(network)
    body(server, function(...)
      return http.request(network, server:addresses()[1], ...)
    end, network, t)
  end)
end

-- Connects, and sends the bytes.
local function connect(server, bytes)
  local client = http.connect(server:addresses()[1])
  if bytes then
    client:send(bytes)
  end
  return client
end

-- Waits until a connection has a whole response, or has ended; returns the
-- response.
local function await(network, client)
  local reply
  http.drive(network, function()
    reply = http.parse(client.received)
    return reply or client.ended
  end)
  return reply
end

local function echo(request)
  return { status = 200, json = { method = request.method, path = request.path,
    key = request.params.key, query = request.query, body = request.body,
    agent = request.headers["user-agent"] } }
end

local function decoded(reply)
  return (require("dkjson").decode(reply.body))
end

describe("kadenza.web.server", function()
  it("passes requests on, and sends what handlers return", with_server({},
    function(server, ask)
      server:route("PUT", "/v1/records/:key", echo)

      local reply = ask("PUT", "/v1/records/a%2Fb?x=1&y",
        { ["User-Agent"] = "me" }, "body\0\255")

      assert.equal(200, reply.status)
      assert.equal("application/json", reply.headers["content-type"])
      assert.equal("no-store", reply.headers["cache-control"])
      assert.equal("nosniff", reply.headers["x-content-type-options"])
      local request = decoded(reply)
      assert.equal("PUT", request.method)
      assert.equal("a/b", request.key)
      assert.same({ x = "1", y = "" }, request.query)
      assert.equal("626f647900ff", request.body_hex)
      assert.equal("me", request.agent)
    end))

  it("tells a handler who asks", with_server({}, function(server, ask)
    server:route("GET", "/", function(request)
      return { body = request.from }
    end)
    assert.matches("^127%.0%.0%.1:%d+$", ask("GET", "/").body)
  end))

  it("answers errors as JSON", with_server({}, function(server, ask)
    server:route("GET", "/a", echo)

    local missing = ask("GET", "/b")
    assert.equal(404, missing.status)
    assert.equal("not_found", decoded(missing).error.code)
    local wrong = ask("DELETE", "/a")
    assert.equal(405, wrong.status)
    assert.equal("GET, HEAD, OPTIONS", wrong.headers.allow)
    assert.equal("bad_request", decoded(ask("GET", "/%zz")).error.code)
    assert.equal("bad_request", decoded(ask("GET", "/a?%")).error.code)
  end))

  it("answers HEAD without a body, and OPTIONS with the methods", with_server(
    {}, function(server, ask)
      server:route("GET", "/a", function()
        return { body = "12345" }
      end)

      local head = ask("HEAD", "/a")
      assert.equal(200, head.status)
      assert.equal("5", head.headers["content-length"])
      local options = ask("OPTIONS", "/a")
      assert.equal(204, options.status)
      assert.equal("GET, HEAD, OPTIONS", options.headers.allow)
      assert.is_nil(options.headers["access-control-allow-methods"])
    end))

  it("answers 500 for a handler that raises, and logs it", with_server({},
    function(server, ask)
      server:route("GET", "/raise", function()
        error("a bug")
      end)
      server:route("GET", "/wrong", function()
        return { headers = { ["X-A"] = "split\r\nX-B: 1" } }
      end)

      for _, path in ipairs({ "/raise", "/wrong" }) do
        local reply = ask("GET", path)
        assert.equal(500, reply.status)
        assert.equal("internal_server_error", decoded(reply).error.code)
        assert.is_nil(reply.body:find("bug"))
      end
      assert.equal(2, #server.logged)
      assert.matches("a bug", server.logged[1].fields.error)
      assert.matches("X%-A", server.logged[2].fields.error)
    end))

  it("lets handlers wait, and answers pipelined requests in order",
    with_server({}, function(server, _, network)
      server:route("GET", "/wait/:ms", function(request)
        kad.sleep(request.params.ms / 1000)
        return { body = request.params.ms }
      end)

      local client = connect(server, http.format("GET", "/wait/30")
        .. http.format("GET", "/wait/1") .. http.format("GET", "/wait/0"))
      local order = {}
      http.drive(network, function()
        local reply = http.parse(client.received)
        if reply then
          order[#order + 1] = reply.body
          client.received = reply.rest
        end
        return #order == 3
      end)

      assert.same({ "30", "1", "0" }, order)
    end))

  it("calls a handler that never waits without a task", with_server({},
    function(server, ask)
      server:route("GET", "/", function()
        return { body = tostring(require("kadenza.task").current()) }
      end, { immediate = true })
      server:route("GET", "/wait", function()
        kad.sleep(0)
      end, { immediate = true })
      server:route("GET", "/stream", function()
        return { stream = function() end }
      end, { immediate = true })

      assert.equal("nil", ask("GET", "/").body)
      assert.equal(500, ask("GET", "/wait").status)
      assert.equal(500, ask("GET", "/stream").status)
      assert.matches("without a task", server.logged[2].fields.error)
    end))

  it("cancels a handler whose client leaves", with_server({},
    function(server, _, network)
      local canceled, begun = false, false
      server:route("GET", "/", function()
        local _ <close> = setmetatable({}, { __close = function()
          canceled = true
        end })
        begun = true
        kad.sleep(3600)
        return {}
      end)

      local client = connect(server, http.format("GET", "/"))
      http.drive(network, function()
        return begun
      end)
      client:reset()
      http.drive(network, function()
        return canceled
      end)

      assert.equal(0, #server.logged)
    end))

  it("answers 503 for a handler that takes too long", with_server(
    { limits = { handle_ms = 100 } }, function(server, ask)
      server:route("GET", "/", function()
        kad.sleep(3600)
        return {}
      end)

      local reply = ask("GET", "/")
      assert.equal(503, reply.status)
      assert.equal("service_unavailable", decoded(reply).error.code)
    end))

  ------------------------------------------------------------- streams --

  it("streams what a handler writes, until it returns", with_server({},
    function(server, ask)
      server:route("GET", "/", function()
        return { headers = { ["Content-Type"] = "text/event-stream" },
          stream = function(client)
            assert.is_true(client:is_open())
            for i = 1, 3 do
              assert.is_true(client:write(("tick %d\n"):format(i)))
              kad.sleep(0.01)
            end
          end }
      end)

      local reply = ask("GET", "/")
      assert.equal("text/event-stream", reply.headers["content-type"])
      assert.equal("tick 1\ntick 2\ntick 3\n", reply.body)
      assert.equal("", ask("HEAD", "/").body)
    end))

  it("tells a stream that its client has left", with_server({},
    function(server, _, network)
      local events, stream = {}, nil
      server:route("GET", "/", function()
        return { stream = function(client)
          stream = client
          client:on_close(function()
            events[#events + 1] = "closed"
          end)
          client:write("first")
          client:wait()
          events[#events + 1] = "waited"
          assert.is_false(client:is_open())
          assert.is_nil(client:write("more"))
        end }
      end)

      local client = connect(server, http.format("GET", "/"))
      http.drive(network, function()
        return client.received:find("first")
      end)
      client:close()
      http.drive(network, function()
        return #events == 2
      end)

      assert.same({ "closed", "waited" }, events)
      stream:on_close(function()
        events[#events + 1] = "late"
      end)
      assert.equal("late", events[3])
    end))

  it("bounds what waits for a client that does not read", with_server(
    { limits = { stream_bytes = 262144 } }, function(server, _, network)
      local written, problem = 0, nil
      server:route("GET", "/", function()
        return { stream = function(client)
          repeat
            local sent, message = client:write(("x"):rep(131072))
            written, problem = written + (sent and 131072 or 0), message
            kad.sleep(0)
          until not sent
        end }
      end)

      local client = http.connect(server:addresses()[1])
      client.is_deaf = true
      client:send(http.format("GET", "/"))
      http.drive(network, function()
        return problem
      end)

      assert.equal("the client reads too slowly", problem)
      assert.is_true(written < 32 << 20)
    end))

  it("cuts a stream off whose handler raises", with_server({},
    function(server, _, network)
      server:route("GET", "/", function()
        return { stream = function(client)
          client:write("half")
          kad.sleep(0.01)
          error("a bug")
        end }
      end)

      local client = connect(server, http.format("GET", "/"))
      http.drive(network, function()
        return client.ended
      end)

      assert.is_nil(client.received:find("\r\n0\r\n", 1, true))
      assert.matches("a bug", server.logged[1].fields.error)
    end))

  ------------------------------------------------------------- guards --

  it("refuses names that are not its own, and writes of other sites",
    with_server({ origins = { "https://app.example" } }, function(server, ask)
      server:route("GET", "/", echo)
      server:route("POST", "/", echo)

      local rebound = ask("GET", "/", { Host = "evil.example" })
      assert.equal(421, rebound.status)
      assert.equal("misdirected_request", decoded(rebound).error.code)
      local forged = ask("POST", "/", { Origin = "https://evil.example" }, "x")
      assert.equal(403, forged.status)
      assert.is_nil(forged.headers["access-control-allow-origin"])
      local shared = ask("POST", "/", { Origin = "https://app.example" }, "x")
      assert.equal(200, shared.status)
      assert.equal("https://app.example",
        shared.headers["access-control-allow-origin"])
      assert.equal("Origin", shared.headers.vary)

      local kept = { headers = { ETag = '"a"' }, is_kept = true }
      server:route("GET", "/kept", function()
        return kept
      end)
      local origin = { Origin = "https://app.example" }
      assert.equal("*", ask("GET", "/kept", origin)
        .headers["access-control-expose-headers"])
      assert.is_nil(ask("GET", "/kept")
        .headers["access-control-allow-origin"])
    end))

  it("answers the question of a browser before a request", with_server(
    { origins = { "https://app.example" } }, function(server, ask)
      server:route("PUT", "/a", echo, { auth = "write" })
      local asked = { Origin = "https://app.example",
        ["Access-Control-Request-Method"] = "PUT" }

      local reply = ask("OPTIONS", "/a", asked)
      assert.equal(204, reply.status)
      assert.equal("OPTIONS, PUT",
        reply.headers["access-control-allow-methods"])
      assert.matches("Authorization",
        reply.headers["access-control-allow-headers"])
      asked.Origin = "https://evil.example"
      assert.is_nil(ask("OPTIONS", "/a", asked)
        .headers["access-control-allow-methods"])
    end))

  it("takes writes with the token alone", with_server({ token = TOKEN },
    function(server, ask)
      server:route("PUT", "/a", echo, { auth = "write" })
      server:route("GET", "/a", echo)

      local without = ask("PUT", "/a", nil, "x")
      assert.equal(401, without.status)
      assert.equal("Bearer", without.headers["www-authenticate"])
      assert.equal(401,
        ask("PUT", "/a", { Authorization = "Bearer " .. TOKEN .. "x" }).status)
      assert.equal(200,
        ask("PUT", "/a", { Authorization = "Bearer " .. TOKEN }, "x").status)
      assert.equal(200, ask("GET", "/a").status)

      server:configure({ token = "another-token-of-tests" })
      assert.equal(401,
        ask("PUT", "/a", { Authorization = "Bearer " .. TOKEN }).status)
      server:configure({})
      local disabled = ask("PUT", "/a", { Authorization = "Bearer " .. TOKEN })
      assert.equal(403, disabled.status)
      assert.equal("writes_disabled", decoded(disabled).error.code)
    end))

  ------------------------------------------------------------- limits --

  it("refuses what is too large", with_server(
    { limits = { body_bytes = 100, target_bytes = 64, head_bytes = 2048 } },
    function(server, ask, network)
      server:route("PUT", "/a", echo)

      assert.equal(200, ask("PUT", "/a", nil, ("x"):rep(100)).status)
      local large = ask("PUT", "/a", nil, ("x"):rep(101))
      assert.equal(413, large.status)
      assert.equal("content_too_large", decoded(large).error.code)
      assert.equal(414, ask("GET", "/" .. ("a"):rep(64)).status)
      local head = ask("GET", "/a", { ["X-A"] = ("a"):rep(2048) })
      assert.equal(431, head.status)
      assert.equal("header_fields_too_large", decoded(head).error.code)

      local chunk = ("41\r\n%s\r\n"):format(("x"):rep(0x41))
      local client = connect(server, "PUT /a HTTP/1.1\r\nHost: localhost\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n" .. chunk .. chunk)
      assert.equal(413, await(network, client).status)
    end))

  it("bounds the bodies of all requests together", with_server(
    { limits = { bodies_bytes = 65536, body_bytes = 65536 } },
    function(server, ask, network)
      server:route("PUT", "/a", function()
        return { body = "taken" }
      end)
      local half = http.format("PUT", "/a", nil, ("x"):rep(60000))
      local clients = { connect(server, half:sub(1, 40000)) }
      http.drive(network, function()
        return server:stats().connections == 1
      end)
      local reply
      http.drive(network, function()
        reply = reply and reply.status == 503 and reply
          or ask("PUT", "/a", nil, ("x"):rep(60000))
        return reply.status == 503
      end)
      clients[1]:send(half:sub(40001))

      assert.equal("taken", await(network, clients[1]).body)
      assert.equal(200, ask("PUT", "/a", nil, ("x"):rep(60000)).status)
    end))

  it("ends requests that arrive too slowly, byte by byte", with_server(
    { limits = { idle_ms = 500, receive_ms = 300 } },
    function(server, _, network)
      server:route("PUT", "/a", echo)
      local head = connect(server, "GET / HT")
      local body = connect(server, "PUT /a HTTP/1.1\r\nHost: localhost\r\n"
        .. "Content-Length: 60000\r\n\r\n")
      local last = 0
      http.drive(network, function()
        if network:now() - last > 0.02 then
          last = network:now()
          for _, client in ipairs({ head, body }) do
            if not client.ended and client.connected then
              client:send("x")
            end
          end
        end
        return head.ended and body.ended
      end)

      assert.equal("", head.received)
      assert.equal(408, http.parse(body.received).status)
      assert.equal(2, server:stats().expired)
      assert.equal(0, server:stats().connections)
    end))

  it("ends connections without requests, and responses that no client reads",
    with_server({ limits = { idle_ms = 300, send_ms = 300 } },
    function(server, _, network)
      server:route("GET", "/large", function()
        return { body = ("x"):rep(16 << 20) }
      end)
      local idle = connect(server)
      local deaf = http.connect(server:addresses()[1])
      deaf.is_deaf = true
      deaf:send(http.format("GET", "/large"))
      http.drive(network, function()
        return server:stats().requests == 1
      end)
      http.drive(network, function()
        return server:stats().connections == 0
      end)

      assert.is_true(idle.ended)
    end))

  it("has the longest idle connection make room for a new one", with_server(
    { limits = { connections = 8 } }, function(server, ask, network)
      server:route("GET", "/", function()
        return { body = "served" }
      end)
      local idle = {}
      for i = 1, 40 do
        idle[i] = connect(server,
          i % 2 == 0 and "GET / HTTP/1.1\r\nHost" or nil)
      end
      http.drive(network, function()
        return server:stats().accepted == 40
      end)

      assert.equal("served", ask("GET", "/").body)
      assert.is_true(server:stats().connections <= 8)
      assert.is_true(server:stats().evicted >= 33)
      assert.is_true(idle[1].ended)
      assert.is_nil(idle[40].ended)
    end))

  it("refuses new connections while all are busy", with_server(
    { limits = { connections = 2 } }, function(server, ask, network)
      local resumes = {}
      server:route("GET", "/", function()
        return kad.wait(function(resume)
          resumes[#resumes + 1] = resume
        end)
      end)
      local busy = { connect(server, http.format("GET", "/")),
        connect(server, http.format("GET", "/")) }
      http.drive(network, function()
        return #resumes == 2
      end)

      local refused = await(network, connect(server))
      assert.equal(503, refused.status)
      assert.equal(1, server:stats().refused)
      resumes[1]({ body = "done" })
      resumes[2]({ body = "done" })
      for _, client in ipairs(busy) do
        assert.equal("done", await(network, client).body)
      end
      server:route("GET", "/now", echo)
      http.drive(network, function()
        return ask("GET", "/now").status == 200
      end)
    end))

  it("ends connections that send no HTTP, and serves the others", with_server(
    {}, function(server, ask, network)
      server:route("GET", "/", echo)
      math.randomseed(22)
      local put = "PUT / HTTP/1.1\r\nHost: localhost\r\n"
      local garbage = { "\0\0\0\0", "GET\r\n\r\n",
        "\r\n\r\n\r\n\r\nx y z\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost\0: a\r\n\r\n",
        put .. "Content-Length: -1\r\n\r\n",
        put .. "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        ("GET / HTTP/1.1\r\n"):rep(5000),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" }
      for i = #garbage + 1, 40 do
        local bytes = {}
        for k = 1, 2000 do
          bytes[k] = string.char(math.random(0, 255))
        end
        garbage[i] = table.concat(bytes) .. "\r\n\r\n" .. table.concat(bytes)
      end
      local clients = {}
      for i, bytes in ipairs(garbage) do
        clients[i] = connect(server, bytes)
      end
      http.drive(network, function()
        return server:stats().accepted == #garbage
      end)

      assert.equal(200, ask("GET", "/").status)
      for _, client in ipairs(clients) do
        assert.is_nil(client.received:find("^HTTP/1.1 200"))
      end
      assert.equal(0, #server.logged)
    end))

  it("closes when a handler says so", with_server({}, function(server, _,
    network)
    server:route("GET", "/", function()
      server:close()
      return {}
    end)
    local client = connect(server, http.format("GET", "/"))
    http.drive(network, function()
      return client.ended
    end)
    server:close()
  end))

  it("tells why it cannot listen, and keeps nothing open", spec(function()
    local first <close> = assert(web.open({ listen = { "127.0.0.1:0" } }))
    local taken = first:addresses()[1]
    local free = "127.0.0.2:0"

    local server, message, code = web.open({ listen = { free, taken } })
    assert.is_nil(server)
    assert.equal("KAD_EADDRINUSE", code)
    assert.equal(taken .. ": bind: Address already in use", message)
    first:close()
    assert(web.open({ listen = { taken } })):close()
  end))

  it("listens on IPv6", spec(function()
    local network <close> = assert(core.udp())
    local server <close> = assert(web.open({ listen = { "[::1]:0" } }))
    server:start(network)
    server:route("GET", "/", function(request)
      return { body = request.from }
    end)
    local address = server:addresses()[1]
    assert.matches("^%[::1%]:%d+$", address)
    assert.matches("^%[::1%]:%d+$",
      http.request(network, address, "GET", "/", { Host = address }).body)
    http.close_all()
  end))
end)
