-- Tests scripts/kadenza/web/server.lua: who may read private data.

local core = require("kadenza.core")
local dkjson = require("dkjson")
local http = require("tests.spec.support.http")
local support = require("tests.spec.support")
local web = require("kadenza.web.server")

local TOKEN <const> = "a-token-of-the-tests"

-- Runs `body(server, read)` with a server at an address. It has private data
-- at /private, other data at /public; `read(path, token)` returns a response.
local function with_server(address, token, body)
  return support.spec(function()
    local network <close> = assert(core.udp())
    local server <close> =
      assert(web.open({ listen = { address }, token = token }))
    local function show()
      return { status = 200, json = {} }
    end
    server:route("GET", "/private", show, { auth = "read" })
    server:route("GET", "/public", show)
    local _ <close> = setmetatable({}, { __close = http.close_all })
    server:start(network)
    body(server, function(path, given, headers)
      headers = headers or {}
      headers.Authorization = given and "Bearer " .. given
      return http.request(network, server:addresses()[1], "GET", path, headers)
    end)
  end)
end

local function code_of(reply)
  return dkjson.decode(reply.body).error.code
end

describe("private data of kadenza.web.server", function()
  it("is read without the token on loopback", with_server("127.0.0.1:0", nil,
    function(_, read)
      assert.equal(200, read("/private").status)
    end))

  it("needs the token for pages of other sites, and through a proxy",
    with_server("127.0.0.1:0", TOKEN, function(server, read)
      server:configure({ token = TOKEN, origins = { "*" } })
      for name, value in pairs({ Origin = "https://evil.example",
        Forwarded = "for=192.0.2.7", ["X-Forwarded-For"] = "192.0.2.7" }) do
        assert.equal(401, read("/private", nil, { [name] = value }).status)
        assert.equal(200, read("/private", TOKEN, { [name] = value }).status)
        assert.equal(200, read("/public", nil, { [name] = value }).status)
      end
      assert.equal(200, read("/private").status)
    end))

  it("needs the token on other addresses", with_server("0.0.0.0:0", TOKEN,
    function(server, read)
      local without = read("/private")
      assert.equal(401, without.status)
      assert.equal("unauthorized", code_of(without))
      assert.equal("Bearer", without.headers["www-authenticate"])
      assert.equal(401, read("/private", TOKEN .. "x").status)
      assert.equal(200, read("/private", TOKEN).status)
      assert.equal(200, read("/public").status)

      server:configure({})
      local disabled = read("/private", TOKEN)
      assert.equal(403, disabled.status)
      assert.equal("private", code_of(disabled))
      assert.equal(200, read("/public").status)
    end))
end)
