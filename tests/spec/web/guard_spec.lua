local guard = require("kadenza.web.guard")

local function are_equal(a, b)
  return a == b
end

local function new(options)
  return guard.new(options, are_equal)
end

describe("kadenza.web.guard", function()
  it("takes only addresses and localhost as the host of a loopback listener",
    function()
      local g = new({})

      for _, host in ipairs({ "127.0.0.1", "127.0.0.1:8080", "localhost",
        "LOCALHOST:1", "a.localhost:80", "[::1]:8080", "[::1]", "192.0.2.1",
        "localhost." }) do
        assert.is_true(g:allows_host(host, true), host)
      end
      assert.is_true(g:allows_host(nil, true))
      for _, host in ipairs({ "", "evil.example", "evil.example:8080",
        "127.0.0.1.evil.example", "localhost.evil.example", "notlocalhost",
        "127.0.0.1, evil.example", "[::1].evil.example", "a:b:c", ":80",
        "127.0.0.1@evil.example", ("1"):rep(200000) .. ":x",
        ("a"):rep(262) .. ".localhost" }) do
        assert.is_false(g:allows_host(host, true), host)
      end
    end)

  it("answers no Origin that could not be a header", function()
    local g = new({ origins = { "*" } })

    assert.is_true(g:shares_with("https://app.example:8443"))
    assert.is_true(g:shares_with("null"))
    for _, origin in ipairs({ "", "\t", "a", "https://", "https://a b",
      "https://" .. ("a"):rep(300) }) do
      assert.is_false(g:shares_with(origin), origin)
    end
  end)

  it("takes the names of the operator, on every listener", function()
    local g = new({ hosts = { "Node.example.org" } })

    assert.is_true(g:allows_host("node.EXAMPLE.org:443", true))
    assert.is_true(g:allows_host("node.example.org.", false))
    assert.is_false(g:allows_host("other.example.org", false))
    assert.is_true(new({}):allows_host("other.example.org", false))
  end)

  it("lets pages of other sites read, and write only if they may", function()
    local g = new({ origins = { "https://app.example" } })

    assert.is_true(g:allows_origin("GET", "https://evil.example", "localhost"))
    assert.is_true(g:allows_origin("POST", nil, "localhost"))
    assert.is_true(g:allows_origin("POST", "https://APP.example", "localhost"))
    assert.is_true(g:allows_origin("PUT", "http://localhost:1", "LOCALHOST:1"))
    for _, origin in ipairs({ "https://evil.example", "null", "",
      "http://localhost", "file://", "http://localhost:1.evil.example" }) do
      assert.is_false(g:allows_origin("PUT", origin, "localhost:1"), origin)
    end
    assert.is_true(new({ origins = { "*" } })
      :allows_origin("PUT", "https://evil.example", "localhost"))
  end)

  it("shares with the sites of the operator alone", function()
    local g = new({ origins = { "https://app.example" } })

    assert.is_true(g:shares_with("https://app.example"))
    assert.is_false(g:shares_with("https://evil.example"))
    assert.is_false(g:shares_with(nil))
    assert.is_true(new({ origins = { "*" } }):shares_with("null"))
  end)

  it("compares the token, and takes none without one", function()
    local g = new({ token = "secret-token-0123" })

    assert.is_true(g:check_token("Bearer secret-token-0123"))
    assert.is_true(g:check_token("bearer  secret-token-0123"))
    for _, header in ipairs({ "", "Bearer", "Bearer ",
      "Basic secret-token-0123", "Bearer secret-token-0124",
      "secret-token-0123", "Bearer secret-token-0123, Bearer x" }) do
      assert.same({ false, "unauthorized" }, { g:check_token(header) })
    end
    assert.same({ false, "unauthorized" }, { g:check_token(nil) })
    assert.same({ false, "no_token" },
      { new({}):check_token("Bearer secret-token-0123") })
  end)
end)
