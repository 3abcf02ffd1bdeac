local route = require("kadenza.policy.route")

local function parsed(text)
  return assert(route.parse(text))
end

local function problem(text)
  local found, message = route.parse(text)
  assert.is_nil(found)
  return message
end

local function list(...)
  local routes = {}
  for i, text in ipairs({ ... }) do
    routes[i] = parsed(text)
  end
  return routes
end

-- Returns the pattern that a request finds, and its parameters or methods.
local function find(routes, method, path)
  local found, params = route.find(routes, method, path)
  return found and found.pattern, params
end

local function exclude(a, b)
  local one = route.exclude(parsed(a), parsed(b))
  assert.equal(one, route.exclude(parsed(b), parsed(a)))
  return one
end

describe("kadenza.policy.route", function()
  it("reads a method, segments and parameters", function()
    local found = parsed("PUT /a.b/:name/~c-d_e")

    assert.equal("PUT", found.method)
    assert.equal("/a.b/:name/~c-d_e", found.pattern)
    assert.same({ "a.b", ":", "~c-d_e" }, found.segments)
    assert.same({ [2] = "name" }, found.names)
  end)

  it("says what is wrong with a route", function()
    for _, text in ipairs({ "", "GET", "/a", "GET a", "GET  /a", "GET /a b",
      " GET /a", "GET /a\n" })
    do
      assert.matches("a method and a path", problem(text), 1, true)
    end
    assert.matches("a method and a path", problem(7), 1, true)
    assert.matches("needs the method", problem("get /a"), 1, true)
    assert.matches("needs the method", problem("HEAD /a"), 1, true)
    assert.matches("100 bytes", problem("GET /" .. ("a"):rep(100)))
    assert.matches("16 segments", problem("GET " .. ("/a"):rep(17)))
    for _, path in ipairs({ "/a/", "//a", "/a//b", "/..", "/a/./b", "/a%20b",
      "/a?b", "/é", "/a:b", "/*" })
    do
      assert.matches("a segment that is not", problem("GET " .. path), 1, true)
    end
    assert.matches("whose name", problem("GET /:"), 1, true)
    assert.matches("whose name", problem("GET /:1"), 1, true)
    assert.matches("two parameters 'a'", problem("GET /:a/b/:a"), 1, true)
  end)

  it("leaves the paths of the node itself alone", function()
    for _, path in ipairs({ "/", "/metrics", "/health/live", "/v1/records",
      "/v2" })
    do
      assert.matches("the node itself serves", problem("GET " .. path), 1, true)
      assert.is_nil((find(list("GET /:key", "GET /:key/:more"), "GET", path)))
    end
    parsed("GET /vote")
    parsed("GET /poll/metrics")
  end)

  it("finds the route of a request, and its parameters", function()
    local routes = list("GET /poll/:name", "PUT /poll/:name", "GET /:a/:b/c")

    local pattern, params = find(routes, "GET", "/poll/lunch time")
    assert.equal("/poll/:name", pattern)
    assert.same({ name = "lunch time" }, params)
    pattern, params = find(routes, "HEAD", "/x/y/c")
    assert.equal("/:a/:b/c", pattern)
    assert.same({ a = "x", b = "y" }, params)
  end)

  it("finds none for another path, and lists the methods", function()
    local routes = list("GET /poll/:name", "PUT /poll/:name", "GET /a")

    for _, path in ipairs({ "", "poll/x", "/poll", "/poll/", "/poll/x/",
      "/poll/x/y", "//poll/x", "/A", ("/a"):rep(50) })
    do
      local pattern, methods = find(routes, "GET", path)
      assert.is_nil(pattern)
      assert.same({}, methods)
    end
    local pattern, methods = find(routes, "DELETE", "/poll/x")
    assert.is_nil(pattern)
    assert.same({ "GET", "PUT" }, methods)
  end)

  it("prefers the more special of two routes, in any order", function()
    for _, routes in ipairs({
      list("GET /poll/:name", "GET /poll/all", "GET /:what/:name"),
      list("GET /:what/:name", "GET /poll/all", "GET /poll/:name"),
    }) do
      assert.equal("/poll/all", (find(routes, "GET", "/poll/all")))
      assert.equal("/poll/:name", (find(routes, "GET", "/poll/x")))
      assert.equal("/:what/:name", (find(routes, "GET", "/x/all")))
    end
  end)

  it("knows which routes cannot be together", function()
    assert.is_true(exclude("GET /a", "GET /a"))
    assert.is_true(exclude("GET /a/:x", "GET /a/:y"))
    assert.is_true(exclude("GET /:x/b", "GET /a/:y"))
    assert.is_false(exclude("GET /a", "PUT /a"))
    assert.is_false(exclude("GET /a", "GET /a/b"))
    assert.is_false(exclude("GET /a/:x", "GET /a/b"))
    assert.is_false(exclude("GET /:x", "GET /a"))
    assert.is_false(exclude("GET /:x/b", "GET /a/:y/c"))
    assert.is_false(exclude("GET /:x/b", "GET /a/c"))
  end)
end)
