local blob = require("kadenza.blob")
local kad = require("kadenza")
local blobs = require("tests.spec.support.blob")
local policies = require("tests.spec.support.policy")
local support = require("tests.spec.support")
local tree = require("kadenza.blob.tree")

local bytes_of, same_bytes = blobs.bytes_of, blobs.same_bytes
local count_calls, overlay = blobs.count_calls, blobs.overlay

local function has_none(node, key)
  return node:get(key, { type = "chunk" }) == nil
end

describe("kadenza.blob", function()
  for _, size in ipairs({ 0, 1, 998, 999, 1000, 1998, 9990, 48951, 48952 }) do
    it("stores and fetches " .. size .. " bytes",
      overlay(function(writer, reader)
        local bytes = bytes_of(size)

        local root, info = assert(blob.put(writer, bytes))

        assert.equal(size, info.size)
        assert.equal(8, info.nodes)
        same_bytes(bytes, assert(blob.get(reader, root)))
      end))
  end

  it("stores and fetches a mebibyte", overlay(function(writer, reader)
    local bytes = bytes_of(1 << 20)

    local root, info = assert(blob.put(writer, bytes))

    assert.equal(1050 + 22 + 1, info.chunks)
    same_bytes(bytes, assert(blob.get(reader, root)))
  end))

  it("stores and fetches in an overlay of 256 bits",
    overlay(function(writer, reader)
      local bytes = bytes_of(40000)

      local root, info = assert(blob.put(writer, bytes))

      assert.equal(32, #root)
      assert.equal(41 + 2 + 1, info.chunks)
      same_bytes(bytes, assert(blob.get(reader, root)))
    end, { config = { id_bits = 256 } }))

  it("fetches over a network that loses datagrams",
    overlay(function(writer, reader)
      local bytes = bytes_of(60000)

      local root = assert(blob.put(writer, bytes))

      same_bytes(bytes, assert(blob.get(reader, root)))
    end, { loss = 0.1, nodes = 20 }))

  it("has the same key for the same bytes, and stores equal chunks once",
    overlay(function(writer, reader)
      local bytes = ("\0"):rep(999 * 10)

      local root, info = assert(blob.put(writer, bytes))

      assert.equal(2, info.chunks)
      assert.equal(root, (assert(blob.put(reader, bytes))))
      same_bytes(bytes, assert(blob.get(reader, root)))
    end))

  it("reports its progress", overlay(function(writer, reader)
    local put, got = {}, {}
    local function note(list)
      return function(done, total)
        list[#list + 1] = done .. "/" .. total
      end
    end
    local bytes = bytes_of(2500)

    local root = assert(blob.put(writer, bytes, { on_progress = note(put) }))
    assert(blob.get(reader, root, { on_progress = note(got) }))

    assert.same({ "1/4", "2/4", "3/4", "4/4" }, put)
    assert.same({ "999/2500", "1998/2500", "2500/2500" }, got)
  end))

  it("has no more queries in flight than allowed",
    overlay(function(writer, reader)
      local root = assert(blob.put(writer, bytes_of(30000)))
      local now, most, original = 0, 0, reader.get
      function reader:get(...)
        now = now + 1
        most = math.max(most, now)
        local results = table.pack(original(self, ...))
        now = now - 1
        return table.unpack(results, 1, results.n)
      end

      assert(blob.get(reader, root, { parallel = 5 }))

      assert.equal(5, most)
    end))

  it("lets other tasks run", overlay(function(writer)
    local turns, puts = 0, count_calls(writer, "put")
    local work = kad.spawn(blob.put, writer, bytes_of(2 << 20))

    while puts.calls == 0 do
      kad.sleep(0)
      turns = turns + 1
    end

    assert.is_true(turns >= 4)
    work:cancel()
  end))

  it("rejects more than max_size", overlay(function(writer, reader)
    local root = assert(blob.put(writer, bytes_of(5000)))

    local put, why, code = blob.put(writer, bytes_of(5001), { max_size = 5000 })
    assert.is_nil(put)
    assert.equal("the blob has 5001 bytes: over max_size, 5000", why)
    assert.equal("KAD_ETOOBIG", code)
    local calls = count_calls(reader, "get")
    local got, message, kind, details =
      blob.get(reader, root, { max_size = 4999 })
    assert.is_nil(got)
    assert.equal("the blob has 5000 bytes: over max_size, 4999", message)
    assert.equal("KAD_ETOOBIG", kind)
    assert.equal(5000, details.size)
    assert.equal(1, calls.calls)
    assert(blob.get(reader, root, { max_size = 5000 }))
  end))

  it("survives the loss of nodes", overlay(function(writer, reader, net)
    local bytes = bytes_of(100000)
    local root = assert(blob.put(writer, bytes))

    for i = 10, 20 do
      net.nodes[i]:close()
    end

    same_bytes(bytes, assert(blob.get(reader, root)))
  end, { nodes = 20 }))

  it("stores and fetches over sockets", support.spec(function()
    kad.run(function()
      local nodes = {}
      for i = 1, 3 do
        nodes[i] = assert(kad.node(support.local_node({
          listen = "127.0.0." .. i .. ":0",
          policies = { blob.policy() },
        })))
        assert(i == 1 or nodes[i]:bootstrap(nodes[1]:addresses()))
      end
      local bytes = bytes_of(20000)

      local root = assert(blob.put(nodes[2], bytes))

      same_bytes(bytes, assert(blob.get(nodes[3], root)))
    end, { timeout = 30 })
  end))

  it("raises for a caller's mistake", overlay(function(node)
    local key = kad.key("a")
    for text, fn in pairs({
      ["a node is needed, not a nil"] = function()
        blob.put(nil, "x")
      end,
      ["what a blob is made of must be a string, not number"] = function()
        blob.put(node, 1)
      end,
      ["unknown option 'paralel'"] = function()
        blob.put(node, "x", { paralel = 1 })
      end,
      ["option 'parallel' must be in 1 to 64"] = function()
        blob.get(node, key, { parallel = 0 })
      end,
      ["option 'cache' must be a table, not string"] = function()
        blob.get(node, key, { cache = "x" })
      end,
      ["option 'ttl' must be an integer, not number"] = function()
        blob.put(node, "x", { ttl = 1.5 })
      end,
      ["the root of a blob must have 20 bytes"] = function()
        blob.get(node, "short")
      end,
      ["options must be a table, not number"] = function()
        blob.open(node, key, 1)
      end,
      ["option 'republish' must be in 1 to 2592000"] = function()
        blob.policy({ republish = 0 })
      end,
    }) do
      support.assert_blames_caller(text, fn)
    end
  end))
end)

describe("the type chunk", function()
  it("accepts a value only under its hash", function()
    local chunk = blob.chunk()
    for _, size in ipairs({ 20, 32 }) do
      local key = tree.key_of("\0data", size)

      assert.is_true(chunk.validate({ key = key, value = "\0data" }))
      assert.is_nil((chunk.validate({ key = key, value = "\0Data" })))
      assert.is_nil((chunk.validate({ key = key, value = "\0data", seq = 1 })))
    end
  end)

  it("is rejected by its holders", overlay(function(node)
    local stored, message =
      node:put(kad.key("a"), "not its hash", { type = "chunk" })

    assert.is_nil(stored)
    assert.truthy(message:find("the key of a chunk is the hash", 1, true))
  end))

  it("lives for its ttl", overlay(function(writer, reader)
    local root = assert(blob.put(writer, "short", { ttl = 60 }))

    kad.sleep(70)

    assert.is_true(has_none(reader, root))
  end))

  it("finds a valid chunk beside that of a liar", support.spec(function()
    local net <close> =
      kad.sim({ nodes = 12, seed = 1, policies = { blob.policy() } })
    net:perform(function()
      local root = assert(blob.put(net.nodes[2], "good"))
      local lax = { types = { chunk = {} } }
      local liar = assert(net:open({ policies = { lax }, id = root,
        secure_ids = "off" })) -- so that it holds what it puts itself
      assert(liar:bootstrap(net.nodes[1]:addresses()))
      liar:put(root, "\0evil", { type = "chunk" })
      local reader = assert(net:open())
      assert(reader:bootstrap(liar:addresses()))

      assert.equal("\0evil", (liar:get(root, { type = "chunk", quorum = 1 })))
      assert.equal("good", (blob.get(reader, root)))
    end)
  end))
end)

describe("kadenza.blob in policy files", function()
  it("holds chunks, and serves blobs by a custom query",
    support.spec(function()
      local files <close> = policies.files()
      local path = files:write([[
        local blob = require("kadenza.blob")
        return {
          deadline = 10,
          types = { chunk = blob.chunk({ ttl = 600 }) },
          rpc = {
            copy = function(request, ctx)
              local bytes, message = blob.get(ctx.node, request.args.root)
              if not bytes then
                return nil, message
              end
              return { root = blob.put(ctx.node, bytes:upper()) }
            end,
          },
        }
      ]])
      local net <close> = kad.sim({ nodes = 10, seed = 1, policies = { path } })
      net:perform(function()
        local node, other = net.nodes[3], net.nodes[7]
        local root = assert(blob.put(node, ("abc"):rep(5000)))

        local reply =
          assert(node:call(other:addresses()[1], "copy", { root = root }))

        same_bytes(("ABC"):rep(5000), assert(blob.get(node, reply.root)))
        assert.is_nil((node:put(kad.key("a"), "x", { type = "chunk" })))
      end)
    end))

  it("stores a mebibyte within a policy's budget", support.spec(function()
    local files <close> = policies.files()
    local path = files:write([[
      local blob, kad = require("kadenza.blob"), require("kadenza")
      local result
      local function copy(node)
        local bytes = ("0123456789abcdef"):rep(65536)
        local root = assert(blob.put(node, bytes, { parallel = 32 }))
        result = blob.get(node, root) == bytes and "same" or "other"
      end
      return {
        types = blob.policy().types,
        rpc = {
          begin = function(_, ctx)
            kad.spawn(copy, ctx.node)
            return {}
          end,
          result = function()
            return { text = result }
          end,
        },
      }
    ]])
    local net <close> = kad.sim({ nodes = 4, seed = 1, policies = { path } })
    net:perform(function()
      local to = net.nodes[3]:addresses()[1]
      assert(net.nodes[2]:call(to, "begin"))
      kad.sleep(300)

      assert.equal("same", assert(net.nodes[2]:call(to, "result")).text)
    end)
  end))
end)
