local core = require("kadenza.core")
local kad = require("kadenza")
local support = require("tests.spec.support")
local testing = require("kadenza.testing")
local zbase32 = require("kadenza.zbase32")

local FILE <const> = "scripts/policies/pkarr.lua"
local PAIR <const> = kad.keypair(("p"):rep(32))
local PATH <const> = "/" .. zbase32.encode(PAIR.publisher)
local BEGINNING <const> = 1760000000000000 -- microseconds since 1970
local BEGINNING_DATE <const> = "Thu, 09 Oct 2025 08:53:20 GMT"

-- Returns a DNS message with TXT records of these TTLs.
local function message(...)
  local parts = { string.pack(">I2I2I2I2I2I2", 0, 0x8400, 0, select("#", ...),
    0, 0) }
  for i, ttl in ipairs({ ... }) do
    local name = i == 1 and "\4_foo\3key\0" or "\192\12" -- a pointer to it
    parts[#parts + 1] = name .. string.pack(">I2I2I4s2", 16, 1, ttl, "\2hi")
  end
  return table.concat(parts)
end

-- Returns the body of a packet.
local function sign(seq, value, secret)
  local text = ("3:seqi%de1:v%d:%s"):format(seq, #value, value)
  return kad.sign(text, secret or PAIR.secret) .. string.pack(">i8", seq)
    .. value
end

local BODY <const> = sign(BEGINNING, message(600))

-- Returns a spec with an overlay of nodes that run the policy. `relay(n)` sends
-- requests to one of them.
local function overlay(fn)
  return support.spec(function()
    local net <close> = testing.overlay({ nodes = 12, seed = 3,
      policies = { FILE } })
    net:perform(function()
      fn(function(n)
        return function(method, path, body, headers, query, from)
          return net:request(n, method, path, { body = body,
            headers = headers, query = query, from = from })
        end
      end, net)
    end)
  end)
end

describe("the policy pkarr", function()
  it("stores a packet that any relay returns", overlay(function(relay)
    local stored = relay(1)("PUT", PATH, BODY)
    assert.equal(204, stored.status)
    assert.equal("8", stored.headers["pkarr-dht-stored-nodes"])

    local found = relay(9)("GET", PATH)
    assert.equal(200, found.status)
    assert.equal(BODY, found.body)
    assert.equal("application/pkarr.org/relays#payload",
      found.headers["content-type"])
    assert.equal("public, max-age=600", found.headers["cache-control"])
    assert.equal(BEGINNING_DATE, found.headers["last-modified"])
    assert.matches("^%a%a%a, %d%d %a%a%a 20%d%d %d%d:%d%d:%d%d GMT$",
      found.headers["memento-datetime"])
  end))

  it("stores what every node of BEP 44 can read", overlay(function(relay, net)
    relay(1)("PUT", PATH, BODY)
    local value, info = net.nodes[9]:get_mutable(PAIR.publisher)
    assert.equal(message(600), value)
    assert.equal(BEGINNING, info.seq)
  end))

  it("stores a packet again, which keeps it alive", overlay(function(relay)
    for _ = 1, 3 do
      assert.equal(204, relay(1)("PUT", PATH, BODY).status)
    end
    assert.equal(204, relay(2)("PUT", PATH, BODY).status)
  end))

  it("prefers the newer packet", overlay(function(relay)
    local newer = sign(BEGINNING + 1, message(900))
    assert.equal(204, relay(1)("PUT", PATH, newer).status)
    for n = 1, 2 do -- the second one has kept nothing
      assert.equal(409, relay(n)("PUT", PATH, BODY).status)
    end
    assert.equal(newer, relay(5)("GET", PATH).body)
  end))

  it("replaces the packet that If-Match names", overlay(function(relay)
    assert.equal(204, relay(1)("PUT", PATH, BODY).status)
    local newer = sign(BEGINNING + 1, message(900))
    local function put(match)
      return relay(2)("PUT", PATH, newer, { ["if-match"] = match }).status
    end
    assert.equal(412, put(tostring(BEGINNING - 1)))
    assert.equal(400, put("soon"))
    assert.equal(400, put("99999999999999999999"))
    assert.equal(204, put(tostring(BEGINNING)))
  end))

  it("asks for If-Match while another packet is under way",
    overlay(function(relay)
      local first = kad.spawn(function()
        return relay(1)("PUT", PATH, BODY).status
      end)
      kad.sleep(0.01)
      local newer = sign(BEGINNING + 1, message(900))
      assert.equal(428, relay(1)("PUT", PATH, newer).status)
      assert.equal(412, relay(1)("PUT", PATH, newer,
        { ["if-match"] = "5" }).status)
      assert.equal(409, relay(1)("PUT", PATH,
        sign(BEGINNING - 1, message(1))).status)
      assert.equal(204, first:await())
      assert.equal(204, relay(1)("PUT", PATH, newer).status)
    end))

  it("refuses paths that are no key", overlay(function(relay)
    for _, path in ipairs({ "/favicon.ico", PATH:sub(1, 52), PATH .. "y",
      PATH:upper(), "/" .. kad.hex(PAIR.publisher), "/" .. ("l"):rep(52) }) do
      assert.equal(400, relay(1)("GET", path).status, path)
      assert.equal(400, relay(1)("PUT", path, BODY).status, path)
    end
  end))

  it("refuses bodies that are no signed packet", overlay(function(relay)
    local value = message(600)
    local other = kad.keypair(("o"):rep(32))
    local compressed = message(600):sub(1, 12) .. "\192\12"
      .. message(600):sub(23)
    for name, body in pairs({
      empty = "",
      short = BODY:sub(1, 71),
      cut = sign(BEGINNING, value:sub(1, -2)),
      longer = sign(BEGINNING, value .. "\0"),
      none = sign(BEGINNING, ""),
      head = sign(BEGINNING, value:sub(1, 11)),
      ["too many records"] = sign(BEGINNING, value:sub(1, 7) .. "\9"
        .. value:sub(9)),
      ["a pointer to itself"] = sign(BEGINNING, compressed),
      ["a long label"] = sign(BEGINNING, value:sub(1, 12) .. "\127"
        .. value:sub(14)),
      ["another key"] = sign(BEGINNING, value, other.secret),
      ["another time"] = BODY:sub(1, 71) .. "\1" .. BODY:sub(73),
      ["a bad signature"] = "\0" .. BODY:sub(2),
      ["before 1970"] = sign(-1, value),
    }) do
      assert.equal(400, relay(1)("PUT", PATH, body).status, name)
    end
    assert.equal(413, relay(1)("PUT", PATH, ("x"):rep(1073)).status)
    assert.equal(404, relay(1)("GET", PATH).status)
  end))

  it("takes packets as large as an item", overlay(function(relay)
    local function padded(size)
      local base = message(600)
      local text = ("\250"):rep(size - #base - 14)
      return sign(BEGINNING, base:sub(1, 7) .. "\2" .. base:sub(9)
        .. "\192\12" .. string.pack(">I2I2I4s2", 16, 1, 600, text) .. "")
    end
    local largest = padded(998)
    assert.equal(996 + 72, #largest)
    assert.equal(204, relay(1)("PUT", PATH, largest).status)
    assert.equal(413, relay(1)("PUT", PATH, padded(999)).status)
  end))

  it("keeps a packet for its shortest TTL, 5 minutes at least",
    overlay(function(relay)
      for ttls, age in pairs({ [{ 700, 500, 900 }] = 500, [{ 1 }] = 300,
        [{}] = 300, [{ 1000000 }] = 86400 }) do
        local body = sign(BEGINNING + age + #ttls,
          message(table.unpack(ttls)))
        relay(1)("PUT", PATH, body, {})
        local found = relay(1)("GET", PATH, nil, nil,
          { policy = "NetworkOnly" })
        if found.body == body then
          assert.equal("public, max-age=" .. age,
            found.headers["cache-control"])
        end
      end
    end))

  it("asks the overlay again when the TTL has passed",
    overlay(function(relay)
      relay(1)("PUT", PATH, BODY)
      local newer = sign(BEGINNING + 1, message(600))
      assert.equal(204, relay(2)("PUT", PATH, newer).status)
      assert.equal(BODY, relay(1)("GET", PATH).body)
      assert.equal(newer, relay(1)("GET", PATH, nil, nil,
        { policy = "NetworkOnly" }).body)
      relay(3)("GET", PATH)
      kad.sleep(601)
      local newest = sign(BEGINNING + 2, message(600))
      assert.equal(204, relay(2)("PUT", PATH, newest).status)
      assert.equal(newest, relay(3)("GET", PATH).body)
    end))

  it("does what the client's policy says", overlay(function(relay)
    relay(1)("PUT", PATH, BODY)
    local function get(n, policy)
      return relay(n)("GET", PATH, nil, nil, { policy = policy }).status
    end
    assert.equal(404, get(9, "CacheOnly"))
    assert.equal(200, get(9, "CacheFirst"))
    assert.equal(200, get(9, "CacheOnly"))
    assert.equal(200, get(10, "NetworkOnly"))
    assert.equal(400, get(9, "Cheap"))
  end))

  it("sends 304 to a client that has the packet", overlay(function(relay)
    relay(1)("PUT", PATH, BODY)
    local function get(date)
      return relay(1)("GET", PATH, nil, { ["if-modified-since"] = date })
    end
    local same = get(BEGINNING_DATE)
    assert.equal(304, same.status)
    assert.equal("", same.body)
    assert.equal(304, get("Sat, 29 Feb 2048 00:00:00 GMT").status)
    assert.equal(200, get("Thu, 09 Oct 2025 08:53:19 GMT").status)
    assert.equal(200, get("Thu, 01 Jan 1970 00:00:00 GMT").status)
    assert.equal(200, get("yesterday").status)
  end))

  it("says that an item is no packet", overlay(function(relay, net)
    assert(net.nodes[9]:put_mutable({ key = PAIR, value = { 1, 2 }, seq = 7 }))
    local response = relay(1)("GET", PATH)
    assert.equal(404, response.status)
    assert.equal("7", response.headers["pkarr-invalid-signed-packet-seq"])
  end))

  it("limits what an address starts", overlay(function(relay)
    local tasks, counts = {}, { [404] = 0, [429] = 0 }
    for i = 1, 80 do
      local pair = kad.keypair(("k"):rep(31) .. string.char(i))
      tasks[i] = kad.spawn(function()
        return relay(1)("GET", "/" .. zbase32.encode(pair.publisher), nil,
          nil, nil, "198.51.100.1:" .. 1000 + i).status
      end)
    end
    for _, status in ipairs(kad.all(tasks)) do
      counts[status] = counts[status] + 1
    end
    assert.same({ [404] = 60, [429] = 20 }, counts)
    assert.equal(404, relay(1)("GET", PATH, nil, nil, nil,
      "198.51.100.2:1").status)
  end))

  it("needs no token for what is signed", overlay(function(_, net)
    for _, route in ipairs(net.nodes[1]:http_routes()) do
      assert.is_nil(route.auth, route.method)
    end
  end))

  it("has vectors that BEP 44 signs", function()
    assert.equal(core.sign_item(kad.bencode.encode(message(600)), nil,
      BEGINNING, PAIR.secret), BODY:sub(1, 64))
  end)
end)
