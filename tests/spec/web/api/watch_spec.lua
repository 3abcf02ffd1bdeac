-- Tests scripts/kadenza/web/api/watches.lua and feed.lua.

local api = require("tests.spec.support.api")
local kad = require("kadenza")

local KEY <const> = kad.key("news")
local URL <const> = "/v1/records/name:news?watch"

-- Starts the stream of a watch. Returns the reader; `status` is that of the
-- response, `ended` tells whether the stream has ended.
local function watch(client, url, headers, limit)
  local reader = api.reader(limit)
  local response = client:get(url or URL, headers)
  reader.status, reader.response = response.status, response
  if response.stream then
    kad.spawn(function()
      response.stream(reader)
      reader.ended = true
    end)
    kad.sleep(0)
  end
  return reader
end

-- Returns a node whose gets are counted, in place of that of the client.
local function count_gets(client)
  local real, counted = client.running.node, { gets = 0 }
  client.running.node = setmetatable(counted, { __index = real })
  function counted.get(_, ...)
    counted.gets = counted.gets + 1
    return real:get(...)
  end
  return counted
end

describe("GET /v1/records/{key}?watch", function()
  it("sends what is there, what changes and what expires",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(KEY, "old", { ttl = 100 }))
      local reader = watch(client)
      assert.equal(200, reader.status)
      local headers = reader.response.headers
      assert.equal("text/event-stream", headers["Content-Type"])
      assert.equal("no-store", headers["Cache-Control"])
      kad.sleep(5)
      assert.same({ "present old" }, (reader:events()))
      assert.matches("^retry: 3000\n\n", reader.text)

      assert(nodes[9]:put(KEY, "new", { ttl = 1000 }))
      kad.sleep(40)
      kad.sleep(80)
      assert.same({ "present old", "changed new", "expired old" },
        (reader:events()))
    end))

  it("sends a change at once that a client of this server has made",
    api.overlay(function(client)
      local reader = watch(client)
      kad.sleep(5)
      assert.equal(200, client:put("/v1/records/name:news", "x").status)
      kad.sleep(2)
      assert.same({ "changed x" }, (reader:events()))
    end))

  it("keeps apart what belongs to other keys and types",
    api.overlay(function(client)
      local reader = watch(client)
      local other = watch(client, "/v1/records/name:other?watch")
      kad.sleep(5)
      client:put("/v1/records/name:other", "x")
      kad.sleep(2)
      assert.same({}, (reader:events()))
      assert.same({ "changed x" }, (other:events()))
    end))

  it("makes one lookup an interval for all clients of a key",
    api.overlay(function(client, nodes)
      local counted = count_gets(client)
      assert(nodes[9]:put(KEY, "x"))
      local readers = {}
      for i = 1, 50 do
        readers[i] = watch(client)
      end
      kad.sleep(5)
      local before = counted.gets
      assert.is_true(before <= 2)
      kad.sleep(60)
      assert.equal(before + 2, counted.gets)
      for _, reader in ipairs(readers) do
        assert.same({ "present x" }, (reader:events()))
      end
    end))

  it("sends comments, so that both sides notice an end",
    api.overlay(function(client)
      local reader = watch(client)
      kad.sleep(50)
      local _, comments = reader.text:gsub(": alive\n\n", "")
      assert.equal(3, comments)
    end))

  it("ends for a client that does not read",
    api.overlay(function(client)
      local slow, quick = watch(client, URL, {}, 30), watch(client)
      kad.sleep(50)
      assert.is_true(slow.ended)
      assert.is_nil(quick.ended)
      assert.equal(1, (client.api.watches:counts()))
    end))

  it("sends a client that comes back what it has missed",
    api.overlay(function(client)
      local reader = watch(client)
      kad.sleep(5)
      client:put("/v1/records/name:news", "a")
      kad.sleep(3)
      local events, ids = reader:events()
      assert.same({ "changed a" }, events)
      reader:leave()
      kad.sleep(0)
      assert.is_true(reader.ended)
      client:put("/v1/records/name:news", "b")
      kad.sleep(3)
      local again = watch(client, URL, { ["last-event-id"] = ids[1] })
      assert.same({ "changed b" }, (again:events()))
      local _, last = again:events()
      local third = watch(client, URL, { ["last-event-id"] = last[1] })
      assert.same({}, (third:events()))
    end))

  it("sends what is there for an id that it does not know",
    api.overlay(function(client, nodes)
      assert(nodes[9]:put(KEY, "x"))
      watch(client)
      kad.sleep(5)
      for _, id in ipairs({ "", "x", "1", "0011223344556677-1", "-", "a-b",
        ("9"):rep(1000), "00-" .. ("9"):rep(30) }) do
        assert.same({ "present x" },
          (watch(client, URL, { ["last-event-id"] = id }):events()), id)
      end
    end))

  it("says that nodes do not answer, and that they do again",
    api.overlay(function(client, nodes)
      local counted = count_gets(client)
      local get = counted.get
      assert(nodes[9]:put(KEY, "x"))
      local reader = watch(client)
      kad.sleep(5)
      function counted.get()
        return nil, "no answer in time", "KAD_ETIMEOUT"
      end
      kad.sleep(70)
      counted.get = get
      kad.sleep(40)
      assert.same({ "present x", "unanswered", "answered" },
        (reader:events()))
    end))

  it("fails as a lookup would", api.overlay(function(client)
    assert.equal(422, watch(client, URL .. "&type=unknown").status)
    assert.equal(400, watch(client, "/v1/records/xyz?watch").status)
    assert.equal(406, watch(client, URL, { accept = "text/html" }).status)
    client.running.node = nil
    assert.equal(503, watch(client).status)
  end))

  it("is bounded in clients", api.overlay(function(client)
    for _ = 1, 3 do
      assert.equal(200, watch(client).status)
    end
    local refused = watch(client)
    assert.equal(503, refused.status)
    assert.equal("1", refused.response.headers["Retry-After"])
  end, { limits = { max_clients = 3 } }))

  it("is bounded in keys, of which those without clients go first",
    api.overlay(function(client)
      local first = watch(client, "/v1/records/name:1?watch")
      watch(client, "/v1/records/name:2?watch")
      assert.equal(503, watch(client, "/v1/records/name:3?watch").status)
      first:leave()
      kad.sleep(0)
      assert.equal(503, watch(client, "/v1/records/name:3?watch").status)
      kad.sleep(5) -- each new feed is a lookup: they do not follow at once
      assert.equal(200, watch(client, "/v1/records/name:3?watch").status)
      assert.same({ 2, 2 }, { client.api.watches:counts() })
    end, { limits = { max_feeds = 2 } }))

  it("stops to look up what no client watches",
    api.overlay(function(client)
      local counted = count_gets(client)
      local reader = watch(client)
      kad.sleep(5)
      reader:leave()
      kad.sleep(100)
      local before = counted.gets
      assert.same({ 0, 0 }, { client.api.watches:counts() })
      kad.sleep(300)
      assert.equal(before, counted.gets)
      assert.equal(200, watch(client).status)
    end))

  it("ends when the node is about to stop", api.overlay(function(client)
    local first, second = watch(client), watch(client, URL .. "&salt=s")
    client.api:leave()
    kad.sleep(0)
    assert.is_true(first.ended and second.ended)
    assert.same({ 0, 0 }, { client.api.watches:counts() })
  end))

  it("ends when the node closes", api.overlay(function(client, nodes)
    local reader = watch(client)
    kad.sleep(5)
    nodes[1]:close()
    kad.sleep(40)
    assert.is_true(reader.ended)
  end))
end)
