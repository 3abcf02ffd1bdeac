local router = require("kadenza.web.router")

local function handler() end

-- Returns a router with these routes, "METHOD /pattern".
local function routes_of(...)
  local routes = router.new()
  for _, text in ipairs({ ... }) do
    local method, pattern = text:match("^(%S+) (%S+)$")
    routes:add(method, pattern, { handler = handler, text = text })
  end
  return routes
end

-- Returns the text of the route that is found, and the parameters or a status.
local function find(routes, method, path)
  local route, params, allow = routes:find(method, path)
  return route and route.text, params, allow
end

describe("kadenza.web.router", function()
  it("finds paths and their parameters", function()
    local routes = routes_of("GET /", "GET /a/:key", "PUT /a/:name", "GET /a",
      "GET /a/:key/b/:sub")

    assert.same({ "GET /", {} }, { find(routes, "GET", "/") })
    assert.same({ "GET /a", {} }, { find(routes, "GET", "/a") })
    assert.same({ "GET /a/:key", { key = "1" } },
      { find(routes, "GET", "/a/1") })
    assert.same({ "PUT /a/:name", { name = "1" } },
      { find(routes, "PUT", "/a/1") })
    assert.same({ "GET /a/:key/b/:sub", { key = "x", sub = "y" } },
      { find(routes, "GET", "/a/x/b/y") })
  end)

  it("decodes segments after it has split the path", function()
    local routes = routes_of("GET /a/:key", "GET /v1")

    assert.same({ "GET /a/:key", { key = "x/y\0" } },
      { find(routes, "GET", "/a/x%2Fy%00") })
    assert.equal("GET /v1", find(routes, "GET", "/%761"))
    assert.same({ nil, 400 }, { find(routes, "GET", "/a/%2") })
  end)

  it("prefers what is written out, and else goes back", function()
    local routes = routes_of("GET /a/b/c", "GET /a/:x/d", "GET /:y/b/e")

    assert.equal("GET /a/b/c", find(routes, "GET", "/a/b/c"))
    assert.same({ "GET /a/:x/d", { x = "b" } },
      { find(routes, "GET", "/a/b/d") })
    assert.same({ "GET /:y/b/e", { y = "a" } },
      { find(routes, "GET", "/a/b/e") })
  end)

  it("serves HEAD through GET, and names the methods otherwise", function()
    local routes = routes_of("GET /a", "POST /a", "PUT /b")

    assert.equal("GET /a", find(routes, "HEAD", "/a"))
    assert.same({ nil, 405, "GET, HEAD, OPTIONS, POST" },
      { find(routes, "DELETE", "/a") })
    assert.same({ nil, 405, "OPTIONS, PUT" }, { find(routes, "HEAD", "/b") })
  end)

  it("has nothing at other paths", function()
    local routes = routes_of("GET /a/:key")

    for _, path in ipairs({ "/", "/a", "/a/", "/a//", "/a/b/", "/b/c", "//a/b",
      "*", "/a/b/c", ("/a"):rep(17) }) do
      assert.same({ nil, 404 }, { find(routes, "GET", path) })
    end
  end)

  it("forgets a route, and the path with its last one", function()
    local routes = router.new()
    local remove = routes:add("GET", "/a", { handler = handler })
    local again = routes:add("PUT", "/a", { handler = handler })

    remove()
    assert.same({ nil, 405, "OPTIONS, PUT" }, { find(routes, "GET", "/a") })
    again()
    again()
    assert.same({ nil, 404 }, { find(routes, "GET", "/a") })
    routes:add("GET", "/a", { handler = handler })
  end)

  it("raises for a pattern or method that is wrong, and for a second handler",
    function()
      local routes = routes_of("GET /a/:key")

      for _, pattern in ipairs({ "", "a", "/a//b", "/a/", "/:", "/a:b", "/a?b",
        "/%41" }) do
        assert.has_error(function()
          routes:add("GET", pattern, { handler = handler })
        end)
      end
      assert.has_error(function()
        routes:add("get", "/", { handler = handler })
      end, "unknown method 'get'")
      assert.has_error(function()
        routes:add("GET", "/a/:other", { handler = handler })
      end, "GET /a/:other has a handler already")
    end)

  it("answers any bytes with a route or a status", function()
    math.randomseed(21)
    local routes = routes_of("GET /", "GET /a/:key", "PUT /:x/:y/:z")
    local alphabet = "/a%2Fz?\0\255:."
    for _ = 1, 3000 do
      local bytes = {}
      for i = 1, math.random(0, 40) do
        local at = math.random(#alphabet)
        bytes[i] = alphabet:sub(at, at)
      end
      local route, params = routes:find("GET", "/" .. table.concat(bytes))
      assert.is_true(route and type(params) == "table"
        or params == 400 or params == 404 or params == 405)
    end
  end)
end)
