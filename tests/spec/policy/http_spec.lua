-- Policies that serve HTTP: node:serve_http, without a server.
--
-- Tests scripts/kadenza/policy/serving.lua,
-- scripts/kadenza/policy/http_hook.lua, bindings/policy/hook_serve.c.

local kad = require("kadenza")
local policies = require("tests.spec.support.policy")
local policy = require("kadenza.policy")
local spec = require("tests.spec.support").spec
local support = require("tests.spec.support")

local failures = policies.failures
local with = policies.with

-- Returns a policy whose route "GET /run" has this body.
local function serving(body, more)
  return string.format([[
    local kad = require("kadenza")
    return { name = "p", http = {
      ["GET /run"] = function(request, ctx) %s end,
    }, %s } ]], body, more or "")
end

local function get(world, path, more)
  local request = { method = "GET", path = path or "/run" }
  for name, value in pairs(more or {}) do
    request[name] = value
  end
  return world.node:serve_http(request)
end

-- Wraps a spec: the policy's body fails with an error that contains `text`.
local function fails_with(body, text)
  return with(serving(body), function(world)
    local response, message, status = get(world)

    assert.is_nil(response)
    assert.equal("the policy failed", message)
    assert.equal(500, status)
    assert.equal(1, world.hooks()["p: http.GET /run"].errors)
    world.after = function()
      assert.matches(text, failures(world.events)[1], 1, true)
    end
  end)
end

describe("a policy's http", function()
  it("receives the request, and returns JSON", with([[
    return { http = { ["PUT /a/:x/:y"] = { run = function(request, ctx)
      return { status = 201, headers = { ETag = 7, ["x-a"] = "b" }, json = {
        method = request.method, path = request.path, params = request.params,
        query = request.query, headers = request.headers, body = request.body,
        from = request.from, given = request:json(), id = #ctx.node:id(),
        now = ctx.now > 0, sender = ctx.from == nil,
      } }
    end } } } ]], function(world)
    local response = assert(world.node:serve_http({ method = "PUT",
      path = "/a/b c/d", query = { q = "1" }, headers = { accept = "*" },
      body = '{"v":[1]}', from = "192.0.2.1:5" }))

    assert.equal(201, response.status)
    assert.same({ etag = "7", ["x-a"] = "b",
      ["content-type"] = "application/json" }, response.headers)
    assert.same({ method = "PUT", path = "/a/b c/d",
      params = { x = "b c", y = "d" }, query = { q = "1" },
      headers = { accept = "*" }, body = '{"v":[1]}', from = "192.0.2.1:5",
      given = { v = { 1 } }, id = 20, now = true, sender = true,
    }, kad.json.decode(response.body))
  end))

  it("returns text, or nothing", with([[
    return { http = {
      ["GET /text"] = function() return { body = "hello" } end,
      ["GET /html"] = function()
        return { body = "<p>", headers = { ["Content-Type"] = "text/html" } }
      end,
      ["GET /empty"] = function() return { status = 204 } end,
    } } ]], function(world)
    local text = get(world, "/text")
    assert.same({ status = 200, body = "hello",
      headers = { ["content-type"] = "text/plain; charset=utf-8" } }, text)
    assert.equal("text/html",
      get(world, "/html").headers["content-type"])
    assert.same({ status = 204, headers = {}, body = "" },
      get(world, "/empty"))
  end))

  it("refuses with a reason and a status", with([[
    return { http = {
      ["GET /:what"] = function(request)
        return nil, "no " .. request.params.what,
          request.params.what == "book" and 404 or nil
      end,
    } } ]], function(world)
    assert.same({ nil, "no book", 404 },
      { n = nil, table.unpack({ get(world, "/book") }, 1, 3) })
    local _, reason, status = get(world, "/other")
    assert.equal("no other", reason)
    assert.equal(400, status)
  end))

  it("is not called for other paths and methods", with([[
    return { http = { ["GET /a"] = function() return {} end,
      ["PUT /a"] = function() return {} end } } ]], function(world)
    local response, message, status = get(world, "/b")
    assert.is_nil(response)
    assert.equal("no policy serves this path", message)
    assert.equal(404, status)
    local methods
    response, message, status, methods = get(world, "/a", { method = "POST" })
    assert.is_nil(response)
    assert.equal("no policy serves POST here, but GET, PUT", message)
    assert.equal(405, status)
    assert.same({ "GET", "PUT" }, methods)
    assert.equal(200, get(world, "/a", { method = "HEAD" }).status)
    assert.equal(1, world.hooks()["policy: http.GET /a"].calls)
  end))

  it("answers 404 on a node without policies or routes", spec(function()
    local net <close> = kad.sim({ join = false })
    net:perform(function()
      local bare = assert(net:open({}))
      assert.equal(404, select(3, bare:serve_http({ method = "GET",
        path = "/a" })))
      assert.same({}, bare:http_routes())
    end)
  end))

  it("waits for other nodes and sleeps", with(serving([[
    local key = kad.key("a")
    assert(ctx.node:put(key, "stored"))
    kad.sleep(1)
    return { body = ctx.node:get(key) .. " " .. ctx.now }
  ]]), function(world)
    local began = world.net:now()
    local response = get(world)
    assert.matches("^stored ", response.body)
    assert.is_true(world.net:now() - began >= 1)
    local hook = world.hooks()["p: http.GET /run"]
    assert.equal(1, hook.calls)
    assert.equal(1, hook.yields)
    assert.equal(0, hook.errors)
  end))

  it("is ended at its deadline", with(serving([[
    local closed <close> = setmetatable({}, { __close = function()
      kad.log.info("closed")
    end })
    kad.sleep(100)
  ]], "deadline = 3"), function(world)
    local began = world.net:now()
    local response, message, status = get(world)
    assert.is_nil(response)
    assert.equal("the policy did not answer in time", message)
    assert.equal(504, status)
    assert.is_true(world.net:now() - began < 3.1)
    assert.equal(1, world.hooks()["p: http.GET /run"].overruns)
    world.after = function()
      assert.matches("before its deadline", failures(world.events)[1], 1, true)
      local is_closed
      for _, event in ipairs(world.events) do
        is_closed = is_closed or event.message == "closed"
      end
      assert.is_true(is_closed)
    end
  end))

  it("passes the response to a callback, and can be cancelled",
    with(serving("kad.sleep(1) return {}"), function(world)
      local request, status = { method = "GET", path = "/run" }, nil
      world.node:serve_http(request, function(response)
        status = response.status
      end)
      local waiting = kad.spawn(function()
        world.node:serve_http(request)
      end)
      kad.sleep(0.1)
      assert.is_nil(status)
      waiting:cancel()
      kad.sleep(2)
      assert.equal(200, status)
      local hook = world.hooks()["p: http.GET /run"]
      assert.equal(2, hook.yields)
      assert.equal(0, hook.errors)
    end))

  it("serves many requests at once, within max_pending_hooks",
    with(serving("kad.sleep(1) return { body = request.query.n }"),
      function(world)
        local got, refused = {}, 0
        for n = 1, 25 do
          world.node:serve_http({ method = "GET", path = "/run",
            query = { n = tostring(n) } }, function(response, _, status)
            if response then
              got[n] = response.body
            else
              refused = refused + (status == 503 and 1 or 0)
            end
          end)
        end
        kad.sleep(1.5)
        for n = 1, 20 do
          assert.equal(tostring(n), got[n])
        end
        assert.equal(5, refused)
      end, { max_pending_hooks = 20 }))

  it("keeps its budget: a loop is ended, and others are served", with([[
    return { name = "p", http = {
      ["GET /run"] = function()
        while true do pcall(function() while true do end end) end
      end,
      ["GET /other"] = function() return {} end,
    } } ]], function(world)
    assert.equal(500, select(3, get(world)))
    assert.equal(200, get(world, "/other").status)
    assert.equal(1, world.hooks()["p: http.GET /run"].overruns)
    world.after = function()
      assert.matches("ran too long", failures(world.events)[1], 1, true)
    end
  end))

  it("is not called while its breaker is open", with(serving("error('x')"),
    function(world)
      for _ = 1, 10 do
        assert.equal(500, select(3, get(world)))
      end
      assert.equal(503, select(3, get(world)))
      assert.equal(10, world.hooks()["p: http.GET /run"].calls)
      kad.sleep(31)
      assert.equal(500, select(3, get(world)))
    end))

  for body, text in pairs({
    ["return { status = 99 }"] = "a status that is not an integer in 200",
    ["return { status = 600 }"] = "a status that is not an integer in 200",
    ["return { status = '200' }"] = "a status that is not an integer in 200",
    ["return { status = 200.5 }"] = "a status that is not an integer in 200",
    ["return nil, 'x', 200"] = "a status that is not an integer in 400",
    ["return nil, 'x', 600"] = "a status that is not an integer in 400",
    ["return nil, 7"] = "a reason that is a number",
    ["return nil, ('x'):rep(1001)"] = "a reason of more than 1000 bytes",
    ["return"] = "returned nothing where a response",
    ["return true"] = "returned boolean where a response",
    ["return 'x'"] = "returned string where a response",
    ["return { sattus = 200 }"] = "'sattus' (did you mean 'status'?)",
    ["return { body = 7 }"] = "a body that is a number",
    ["return { body = '', json = 1 }"] = "both a body and json",
    ["return { body = ('x'):rep(1000001) }"] = "a body of more than 1000000",
    ["return { status = 204, body = 'x' }"] = "a body with the status 204",
    ["return { json = { a = print or kad.key } }"] = "undefined global",
    ["return { json = { a = kad.key } }"] = "response.json.a is a function",
    ["return { json = '\\255' }"] = "response.json has bytes that are not",
    ["return { headers = 7 }"] = "headers that are a number",
    ["return { headers = { 'x' } }"] = "a header whose name is not one: '1'",
    ["return { headers = { ['a b'] = 'x' } }"] = "a header whose name",
    ["return { headers = { ['a:'] = 'x' } }"] = "a header whose name",
    ["return { headers = { ['a\\r\\nb'] = 'x' } }"] = "a header whose name",
    ["return { headers = { a = 'x\\r\\ny' } }"] = "with a control character",
    ["return { headers = { a = 'x\\0' } }"] = "with a control character",
    ["return { headers = { a = {} } }"] = "a header 'a' that is a table",
    ["return { headers = { a = ('x'):rep(4096) } }"] = "more than 4096 bytes",
    ["return { headers = { ['Content-Length'] = 1 } }"] =
      "which the server writes itself",
    ["return { headers = { a = 1, A = 2 } }"] = "twice",
    ["local h = {} for i = 1, 65 do h['a' .. i] = 1 end return { headers = h }"]
      = "more than 64 headers",
    ["return { body = request.bdoy }"] = "no field 'bdoy' (did you mean 'body'",
    ["return { body = ctx.nod }"] = "a Context has no field 'nod'",
  }) do
    it("fails when it does: " .. body, fails_with(body, text))
  end

  it("ignores metamethods of what it returns", with(serving([[
    return setmetatable({ body = "fine" }, {
      __index = function() error("x") end, __pairs = function() error("y") end,
    })
  ]]), function(world)
    assert.equal("fine", get(world).body)
  end))

  it("does not see long bodies", with(serving("return {}"), function(world)
    local response, message, status =
      get(world, "/run", { body = ("x"):rep(65537) })
    assert.is_nil(response)
    assert.equal("the body has more than 65536 bytes", message)
    assert.equal(413, status)
    assert.equal(200, get(world, "/run", { body = ("x"):rep(65536) }).status)
  end))

  it("does not see a path or a query that is not UTF-8", with([[
    return { http = { ["GET /a/:b"] = function(request)
      return { json = { request.params, request.query } }
    end } } ]], function(world)
    for _, more in ipairs({ { path = "/a/\255" },
      { path = "/a/b", query = { c = "\255" } },
      { path = "/a/b", query = { ["\255"] = "c" } } })
    do
      local response, message, status =
        get(world, more.path, { query = more.query })
      assert.is_nil(response)
      assert.equal("the path or the query is not UTF-8", message)
      assert.equal(400, status)
    end
    assert.equal('[{"b":"é"},{"c":"é"}]',
      get(world, "/a/é", { query = { c = "é" } }).body)
  end))

  it("gets nil and a message for a body that is no JSON", with(serving([[
    local value, message = request:json()
    return { json = { value = value or kad.json.null, message = message } }
  ]]), function(world)
    local deep = get(world, "/run", { body = ("["):rep(60000) })
    assert.matches("nested too deep", deep.body, 1, true)
    assert.matches("unterminated", get(world, "/run", { body = "[" }).body, 1,
      true)
    assert.equal('{"value":[1]}', get(world, "/run", { body = "[1]" }).body)
  end))

  it("survives the densest JSON that a client can send", with(serving([[
    return { json = #request:json() }
  ]]), function(world)
    local body = "[" .. ("[],"):rep(21000) .. "[]]"
    assert.equal("21001", get(world, "/run", { body = body }).body)
    body = "[" .. ("1,"):rep(32000) .. "1]"
    assert.equal("32001", get(world, "/run", { body = body }).body)
  end, { policy_instructions = policy.INSTRUCTIONS }))

  it("serves what it writes as its own code: a huge one is ended", with(
    serving([[
      local list = {}
      for i = 1, 60000 do list[i] = i end
      return { json = list }
    ]]), function(world)
      assert.equal(500, select(3, get(world)))
      assert.equal(1, world.hooks()["p: http.GET /run"].overruns)
    end))

  it("lists its routes with the token that they need", with([[
    local function run() return {} end
    return { name = "p", http = {
      ["GET /a"] = run, ["PUT /a"] = run,
      ["GET /b"] = { run = run, public = false },
      ["POST /b"] = { run = run, public = true },
    } } ]], function(world)
    local routes = {}
    for _, route in ipairs(world.node:http_routes()) do
      assert.equal("p", route.policy)
      routes[route.method .. " " .. route.pattern] = route.auth or "none"
    end
    assert.same({ ["GET /a"] = "none", ["PUT /a"] = "write",
      ["GET /b"] = "write", ["POST /b"] = "none" }, routes)
  end))

  it("checks what a program passes", with(serving("return {}"),
    function(world)
      for text, request in pairs({
        ["request must be a table"] = 7,
        ["request.method must be a string"] = {},
        ["request.path must be a string"] = { method = "GET" },
        ["request.body must be a string"] = { method = "GET", path = "/",
          body = 7 },
        ["request.query must have texts"] = { method = "GET", path = "/",
          query = { a = 1 } },
      }) do
        support.assert_blames_caller(text, function()
          world.node:serve_http(request)
        end)
      end
    end))

  it("is not there for policies", with([[
    return { rpc = { run = function(request, ctx)
      local node = ctx.node
      return { serve = node.serve_http and 1 or 0,
        list = node.http_routes and 1 or 0 }
    end } } ]], function(world)
    local reply = assert(policies.call(world))
    assert.equal(0, reply.serve)
    assert.equal(0, reply.list)
  end))
end)

describe("a policy's http, loaded,", function()
  local function load_problem(text)
    local node, message = policies.load(text)
    assert.is_nil(node)
    return message
  end

  it("must be well formed", function()
    for text, wanted in pairs({
      ["http = 7"] = "http must be a table",
      ["http = { ['GET a'] = next }"] = "http: 'GET a' is not a method and",
      ["http = { ['GET /metrics'] = next }"] = "which the node itself serves",
      ["http = { next }"] = "http: '1' is not a method and a path",
      ["http = { ['GET /a'] = 7 }"] = "http['GET /a'] must be a function",
      ["http = { ['GET /a'] = {} }"] = "http['GET /a'].run must be a function",
      ["http = { ['GET /a'] = { run = next, publik = true } }"] =
        "'publik' in http['GET /a'] (did you mean 'public'?)",
      ["http = { ['GET /a'] = { run = next, public = 1 } }"] =
        "http['GET /a'].public must be a boolean",
      ["samples = { http = { ['GET /b'] = {} } }"] = "'GET /b'",
    }) do
      assert.matches(wanted, load_problem("return { " .. text .. " }"), 1, true)
    end
  end)

  it("cannot have too many routes", function()
    local http = {}
    for i = 1, 257 do
      http["GET /a" .. i] = next
    end
    local _, message = policy.check({ { http = http } })
    assert.equal("policy 1: there are more than 256 routes", message)
  end)

  it("cannot claim a path that another claims", spec(function()
    local files <close> = policies.files()
    local function problem(one, other)
      local a = files:write("return { http = { ['" .. one .. "'] = next } }",
        "a.lua")
      local b = files:write("return { http = { ['" .. other .. "'] = next } }",
        "b.lua")
      local net <close> = kad.sim({ join = false })
      local node, message = net:open({ policies = { a, b } })
      return not node and message:gsub(files.folder .. "/", "") or nil
    end
    assert.equal("b.lua: the route 'GET /a/:y' is claimed by a.lua already "
      .. "with '/a/:x': a path fits both", problem("GET /a/:x", "GET /a/:y"))
    assert.equal("b.lua: the route 'GET /a' is claimed by a.lua already",
      problem("GET /a", "GET /a"))
    assert.matches("a path fits both", problem("GET /:x/b", "GET /a/:y"), 1,
      true)
    assert.is_nil(problem("GET /a/:x", "GET /a/b"))
    assert.is_nil(problem("GET /a/:x", "PUT /a/:x"))
  end))
end)

describe("a reload of a policy's http", function()
  it("changes the routes; a call that waits ends in the old policies",
    with(serving("kad.sleep(1) return { body = 'old' }"), function(world)
      local first
      world.node:serve_http({ method = "GET", path = "/run" },
        function(response)
          first = response.body
        end)
      kad.sleep(0.5)
      world.files:write(serving("return { body = 'new' }") .. "")
      assert(world.node:reload())
      assert.equal("new", get(world).body)
      assert.is_nil(first)
      kad.sleep(1)
      assert.equal("old", first)
      world.files:write("return { http = { ['GET /b'] = function() "
        .. "return {} end } }")
      assert(world.node:reload())
      assert.equal(404, select(3, get(world)))
      assert.equal(200, get(world, "/b").status)
      assert.same("/b", world.node:http_routes()[1].pattern)
    end))

  it("that fails leaves the routes as they are",
    with(serving("return { body = 'old' }"), function(world)
      world.files:write("return { http = 7 }")
      assert.is_nil((world.node:reload()))
      assert.equal("old", get(world).body)
    end))
end)

describe("a node that closes", function()
  it("answers requests that wait", spec(function()
    local files <close> = policies.files()
    local path = files:write(serving("kad.sleep(1) return {}"))
    local net <close> = kad.sim({ join = false })
    net:perform(function()
      local node = assert(net:open({ policies = { path } }))
      local message, status
      node:serve_http({ method = "GET", path = "/run" }, function(_, text, code)
        message, status = text, code
      end)
      kad.sleep(0.1)
      node:close()
      assert.equal("the node is closing", message)
      assert.equal(503, status)
      kad.sleep(5)
      support.assert_blames_caller("closed node", function()
        node:serve_http({ method = "GET", path = "/run" })
      end)
    end)
  end))

  it("may have requests that wait when its network ends", spec(function()
    local files <close> = policies.files()
    local path = files:write(serving("kad.sleep(1) return {}"))
    local status
    do
      local net <close> = kad.sim({ join = false })
      net:perform(function()
        local node = assert(net:open({ policies = { path } }))
        node:serve_http({ method = "GET", path = "/run" },
          function(_, _, code)
            status = code
          end)
      end)
    end
    assert.equal(503, status)
  end))
end)

describe("http of a policy that is a table", function()
  it("is served in the program's state", with({ name = "p", http = {
    ["GET /now"] = function()
      return { body = "now" }
    end,
    ["GET /later"] = function()
      kad.sleep(1)
      return { json = { later = true } }
    end,
    ["GET /never"] = function()
      error("x")
    end,
  } }, function(world)
    assert.equal("now", get(world, "/now").body)
    assert.equal('{"later":true}', get(world, "/later").body)
    assert.equal(500, select(3, get(world, "/never")))
    assert.equal(1, world.hooks()["p: http.GET /later"].yields)
  end))
end)
