local dashboard = require("kadenza.web.dashboard")
local dkjson = require("dkjson")
local history = require("kadenza.web.history")
local kad = require("kadenza")
local log = require("kadenza.log")
local log_ring = require("kadenza.web.log_ring")
local sim_support = require("tests.spec.sim_support")

-- Stands in for the HTTP server: keeps the routes.
local function new_server()
  local server = { routes = {}, options = {} }
  function server.route(self, method, path, handler, options)
    self.routes[method .. " " .. path] = handler
    self.options[path] = options or {}
  end
  function server.get(self, path, query, headers)
    return self.routes["GET " .. path]({ method = "GET", path = path,
      query = query or {}, headers = headers or {} })
  end
  return server
end

-- Stands in for the client of a stream, which takes `room` writes.
local function new_client(room)
  local client = { texts = {}, closers = {} }
  function client.write(self, text)
    if client.is_gone or #self.texts >= (room or math.huge) then
      return nil, "too slow"
    end
    self.texts[#self.texts + 1] = text
    return true
  end
  function client.on_close(self, fn)
    self.closers[#self.closers + 1] = fn
  end
  function client.leave(self)
    self.is_gone = true
    for _, fn in ipairs(self.closers) do
      fn()
    end
  end
  function client.lines(self)
    local lines = {}
    for _, text in ipairs(self.texts) do
      local id, data = text:match("^id: (%S+)\ndata: (.-)\n\n$")
      if id then
        local line = dkjson.decode(data)
        line.id = id
        lines[#lines + 1] = line
      end
    end
    return lines
  end
  return client
end

-- Returns a spec that runs `fn` with a node that has a dashboard.
local function with_dashboard(fn)
  return sim_support.with_sim({ nodes = 5, seed = 3 }, function(net)
    local server = new_server()
    local before = log.configure({ sink = function() end })
    local running = { node = net.nodes[1], settings = {} }
    local board = dashboard.add(server, running)
    local passed, problem = pcall(fn, server, net, board)
    board:close()
    log.restore(before)
    assert(passed, problem)
  end)
end

-- Opens the log for a client, which follows it in a task.
local function follow(net, server, client, query, headers)
  local answer = server:get("/v1/log", query, headers)
  assert.equal("text/event-stream", answer.headers["Content-Type"])
  return net:perform(function()
    kad.spawn(answer.stream, client)
    kad.sleep(0.1)
  end)
end

describe("kadenza.web.dashboard", function()
  it("needs the token for all but the page", with_dashboard(function(server)
    assert.is_nil(server.options["/"].auth)
    for _, path in ipairs({ "/v1/overview", "/v1/history", "/v1/log" }) do
      assert.equal("read", server.options[path].auth)
    end
  end))

  it("shows the present", with_dashboard(function(server, net)
    local answer = server:get("/v1/overview")
    assert.equal(200, answer.status)
    assert.equal("application/json", answer.headers["Content-Type"])
    local document = dkjson.decode(answer.body)
    assert.equal(kad.hex(net.nodes[1]:id()), document.node.id)
    assert.equal(net.nodes[1]:stats().served_find_node,
      document.traffic[2].total)

    local function pings()
      return dkjson.decode(server:get("/v1/overview").body).traffic[1].total
    end
    net:perform(function()
      assert(net.nodes[2]:ping(net.nodes[1]:addresses()[1]))
    end)
    assert.equal(document.traffic[1].total, pings()) -- of this second
    net:run(1)
    assert.equal(document.traffic[1].total + 1, pings())
  end))

  it("keeps the past", with_dashboard(function(server, net)
    local started = net.nodes[1]:network():time()
    net:run(3 * 3600)
    local function read(query)
      local answer = server:get("/v1/history", query)
      assert.equal(200, answer.status)
      return dkjson.decode(answer.body, 1, false)
    end
    for step, size in pairs({ [5] = 180, [60] = 120, [300] = 36 }) do
      local past = read({ step = tostring(step) })
      assert.equal(step, past.step)
      assert.is_true(math.abs(#past.rows - size) <= 1, #past.rows)
      assert.equal(#past.series + 1, #past.rows[1])
      local last = past.rows[#past.rows][1]
      assert.is_true(math.abs(last - started - 3 * 3600) <= step + 2)
      local since = past.rows[#past.rows - 3][1]
      assert.equal(3, #read({ step = tostring(step),
        since = tostring(since) }).rows)
    end
    local past, at = read({}), nil
    for i, name in ipairs(past.series) do
      at = name == "contacts" and i + 1 or at
    end
    assert.equal(4, past.rows[1][at])
  end))

  it("refuses a wrong question about the past", with_dashboard(function(server)
    for _, step in ipairs({ "7", "x", "5.5", "", "-5", "1e999" }) do
      local answer = server:get("/v1/history", { step = step })
      assert.equal(400, answer.status)
      assert.equal("bad_step", answer.json.error.code)
    end
    for _, since in ipairs({ "x", "nan", "-nan", "" }) do
      assert.equal(400, server:get("/v1/history", { since = since }).status)
    end
    assert.equal(200, server:get("/v1/history", { since = "1e400" }).status)
  end))

  it("sends the lines of the log, and those that follow",
    with_dashboard(function(server, net)
      log.info("before", { n = 1 })
      local client = new_client()
      follow(net, server, client)
      log.warn("<b>\n", { n = 2 })
      local lines = client:lines()
      assert.equal(2, #lines)
      assert.equal("info", lines[1].level)
      assert.matches("info before n=1$", lines[1].text)
      assert.matches('warn message="<b>\\n" n=2', lines[2].text, 1, true)

      client:leave()
      log.info("after")
      assert.equal(2, #client:lines())
    end))

  it("continues after the last line that a reader got",
    with_dashboard(function(server, net)
      for i = 1, 5 do
        log.info("line " .. i)
      end
      local first, second, third, fourth = new_client(), new_client(),
        new_client(), new_client()
      follow(net, server, first)
      local id = first:lines()[3].id
      follow(net, server, second, { after = id })
      assert.equal(2, #second:lines())
      assert.matches("line 4", second:lines()[1].text)
      follow(net, server, third, {}, { ["last-event-id"] = id })
      assert.equal(2, #third:lines())
      follow(net, server, fourth, { after = "0123456789abcdef-3" })
      assert.equal(5, #fourth:lines()) -- of another run of the node
    end))

  it("shows signs of life, and notices that a reader has left",
    with_dashboard(function(server, net)
      local client = new_client()
      follow(net, server, client)
      net:run(60)
      assert.equal(5, #client.texts)
      client:leave()
      net:run(60)
      assert.equal(5, #client.texts)
    end))

  it("leaves a reader that is too slow", with_dashboard(function(server, net)
    local client = new_client(4)
    follow(net, server, client)
    for i = 1, 10 do
      log.info("line " .. i)
    end
    net:run(60)
    assert.equal(3, #client:lines())
    assert.equal(4, #client.texts)
  end))

  it("has so many readers of the log at a time",
    with_dashboard(function(server, net)
      local clients = {}
      for i = 1, dashboard.MAX_FOLLOWERS do
        clients[i] = new_client()
        follow(net, server, clients[i])
      end
      local answer = server:get("/v1/log")
      assert.equal(503, answer.status)
      assert.equal("too_many", answer.json.error.code)
      clients[1]:leave()
      assert.equal(200, server:get("/v1/log").status)
    end))

  it("allows the scripts of the page by their hashes", function()
    local answer = dashboard.page_response(
      "<style>a</style><script>b</script>\n<script>c</script>")
    assert.equal(200, answer.status)
    local policy = answer.headers["Content-Security-Policy"]
    assert.matches("default-src 'none'; script-src "
      .. "'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0=' "
      .. "'sha256-Ln0sA6lQeuJl7PW1NWiFpTOTogKdJBOUmXJloaJa78Y='; style-src "
      .. "'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=';", policy, 1,
      true)
  end)

  it("has the page only in the program", with_dashboard(function(server)
    assert.equal(404, server:get("/").status)
  end))

  it("ends with the node, and closes twice", with_dashboard(
    function(server, net, board)
      net.nodes[1]:close()
      net:run(30)
      board:close()
      log.info("later")
      assert.is_true(#server:get("/v1/history").body > 0)
      assert.equal(300, log_ring.LINES)
      assert.equal(5, history.PERIOD)
    end))
end)
