-- node:query: custom queries along a lookup path.

local kad = require("kadenza")
local policies = require("tests.spec.support.policy")
local support = require("tests.spec.support")

local spec = support.spec

local NODES <const> = 30

-- Runs `fn(net)` as a task of an overlay whose nodes answer `sing`.
local function with_singers(fn, sing)
  return spec(function(t)
    local net <close> = kad.sim({
      nodes = NODES,
      seed = 4,
      policies = {
        {
          rpc = {
            sing = sing or function(request, ctx)
              return { song = request.args.what or "la", me = ctx.node:id() }
            end,
          },
        },
      },
    })
    net:perform(function()
      fn(net, t)
    end)
  end)
end

local function by_distance(net, key, except)
  local ids = {}
  for _, node in ipairs(net.nodes) do
    if node ~= except then
      ids[#ids + 1] = node:id()
    end
  end
  table.sort(ids, function(a, b)
    return kad.compare(key, a, b) < 0
  end)
  return ids
end

describe("node:query", function()
  local key = kad.key("songs")

  it("queries all contacts on the way to the closest",
    with_singers(function(net)
      local asker = net.nodes[9]

      local replies, info = asker:query(key, "sing", { what = "lo" })

      local closest = by_distance(net, key, asker)
      for i = 1, 8 do
        assert.equal(closest[i], info.closest[i].id)
      end
      assert.equal(#replies, info.holders)
      assert.equal(#info.path, #replies)
      local singers = {}
      for _, one in ipairs(replies) do
        assert.equal("lo", one.reply.song)
        assert.equal(one.reply.me, one.from.id)
        singers[one.from.id] = true
      end
      for i = 1, 8 do
        assert.is_true(singers[closest[i]])
      end
    end))

  it("needs no arguments", with_singers(function(net)
    assert.equal("la", net.nodes[2]:query(key, "sing")[1].reply.song)
  end))

  it("sends the key as the target", with_singers(function(net)
    assert.equal(key, net.nodes[2]:query(key, "sing")[1].reply.target)
  end, function(request)
    return { target = request.args.target }
  end))

  it("waits for contacts that wait before they reply", with_singers(
    function(net)
      local replies = assert(net.nodes[2]:query(key, "sing"))
      assert.is_true(#replies >= 8)
    end, function()
      kad.sleep(1)
      return { song = "late" }
    end))

  it("continues beyond contacts that send an error", with_singers(function(net)
    local asker = net.nodes[9]
    local closest = by_distance(net, key, asker)

    local replies, info = assert(asker:query(key, "sing"))

    assert.equal(closest[1], info.closest[1].id)
    assert.is_true(#replies < #info.path)
    for _, one in ipairs(replies) do
      assert.is_true(one.from.id:byte(20) < 128)
    end
  end, function(_, ctx)
    if ctx.node:id():byte(20) < 128 then
      return { song = "la" }
    end
    return nil, "hoarse", 250
  end))

  it("returns no replies if no contact supports the query",
    with_singers(function(net)
      local replies, message, code, info = net.nodes[9]:query(key, "dance")

      assert.is_nil(replies)
      assert.equal("not found", message)
      assert.equal("KAD_ENOTFOUND", code)
      assert.equal(by_distance(net, key, net.nodes[9])[1], info.closest[1].id)
    end))

  it("returns the error of the first if all send one",
    with_singers(function(net)
      local replies, message, code, info = net.nodes[9]:query(key, "sing")

      assert.is_nil(replies)
      assert.equal("not found: 250 hoarse", message)
      assert.equal("KAD_ENOTFOUND", code)
      assert.equal(250, info.krpc)
      assert.equal("hoarse", info.reason)
    end, function()
      return nil, "hoarse", 250
    end))

  it("ends at a reply for which on_reply returns true",
    with_singers(function(net, t)
      local heard = 0
      local replies, info = net.nodes[9]:query(key, "sing", {}, {
        on_reply = t.expect(2, function(reply, contact)
          assert.equal(reply.me, contact.id)
          heard = heard + 1
          return heard == 2 or nil
        end),
      })

      assert.equal(2, #replies)
      assert.equal(2, info.holders)
    end))

  it("leaves out replies for which on_reply returns false",
    with_singers(function(net)
      local heard = 0
      local replies = net.nodes[9]:query(key, "sing", nil, {
        quorum = 2,
        on_reply = function()
          heard = heard + 1
          if heard <= 3 then
            return false
          end
        end,
      })

      assert.equal(2, #replies)
      assert.equal(5, heard)
    end))

  it("calls back outside of tasks", spec(function(t)
    local net <close> = kad.sim({ nodes = 4, seed = 1, policies = { {
      rpc = { sing = function() return { song = "la" } end },
    } } })
    net.nodes[1]:query(key, "sing", t.expect(1, function(replies, info)
      assert.equal(3, #replies)
      assert.equal(3, info.holders)
    end))
    net.nodes[1]:query(key, "sing", {}, { quorum = 1 },
      t.expect(1, function(replies)
        assert.equal(1, #replies)
      end))
    net:run(10)
  end))

  it("raises an error of on_reply, and ends", with_singers(function(net, t)
    local passed, err = pcall(net.nodes[9].query, net.nodes[9], key, "sing",
      nil, { on_reply = t.expect(1, function()
        error("off key")
      end) })

    assert.is_false(passed)
    assert.matches("operation_query_spec.lua:%d+: off key", err)
  end))

  it("raises for another verdict, and for an on_reply that waits",
    with_singers(function(net)
      local node = net.nodes[9]
      for _, case in ipairs({
        { function() return "yes" end, "true, false or nil, not string" },
        { function() kad.sleep(1) end, "task" },
      }) do
        local passed, err =
          pcall(node.query, node, key, "sing", nil, { on_reply = case[1] })
        assert.is_false(passed)
        assert.matches(case[2], err)
      end
    end))

  it("is canceled with its task", with_singers(function(net)
    local heard = 0
    local work = kad.spawn(function()
      net.nodes[9]:query(key, "sing", nil, {
        on_reply = function()
          heard = heard + 1
        end,
      })
    end)
    kad.sleep(0.15)
    work:cancel()
    local before = heard
    kad.sleep(10)
    assert.equal(before, heard)
    assert.is_true(heard < 8)
  end))

  it("may be sent by a policy", with_singers(function(net)
    local reply = assert(net.nodes[3]:call(net.nodes[5]:addresses()[1],
      "sing", { key = key }))
    assert.is_true(reply.count >= 8)
  end, function(request, ctx)
    if not request.args.key then
      return { song = "la" }
    end
    return { count = #assert(ctx.node:query(request.args.key, "sing")) }
  end))

  it("is stopped with an on_reply of a policy that runs too long",
    spec(function()
      local files <close> = policies.files()
      local path = files:write([[
        return { rpc = { sing = function(request, ctx)
          if not request.args.key then return { song = "la" } end
          local replies, message = pcall(ctx.node.query, ctx.node,
            request.args.key, "sing", nil, { on_reply = function()
              while true do pcall(function() while true do end end) end
            end })
          return { message = tostring(message) }
        end } }
      ]])
      local net <close> = kad.sim({ nodes = 6, seed = 1, policies = { path } })
      net:perform(function()
        local reply = assert(net.nodes[3]:call(net.nodes[5]:addresses()[1],
          "sing", { key = key }))
        assert.matches("ran too long", reply.message)
      end)
    end))

  it("blames its caller for mistakes", with_singers(function(net)
    local node = net.nodes[1]
    for _, case in ipairs({
      { { "short", "sing" }, "key must have 20 bytes, not 5" },
      { { key, "ping" }, "'ping' is a query of the node's own" },
      { { key, "" }, "name must have 1 to 32 bytes, not 0" },
      { { key, ("x"):rep(33) }, "name must have 1 to 32 bytes, not 33" },
      { { key, 7 }, "name must be a string, not number" },
      { { key, "sing", 7 }, "args must be a table, not number" },
      { { key, "sing", { x = 1.5 } }, "args.x: bencode has no fractions" },
      { { key, "sing", { target = key } }, "args.target is the key" },
      { { key, "sing", {}, { on_reply = 1 } },
        "option 'on_reply' must be a function, not number" },
      { { key, "sing", {}, { quorum = 21 } },
        "option 'quorum' must be in 0 to 20" },
      { { key, "sing", {}, { colour = 1 } }, "unknown option 'colour'" },
      { { key, "sing", {}, {}, 7 }, "the callback must be a function" },
    }) do
      support.assert_blames_caller(case[2], function()
        node:query(table.unpack(case[1], 1, 5))
      end)
    end
  end))

  it("fails if its arguments do not fit in a datagram",
    with_singers(function(net)
      for _, size in ipairs({ 1440, 1500, 3000 }) do
        local args = { what = ("x"):rep(size) }
        local to = net.nodes[2]:addresses()[1]
        for _, results in ipairs({
          table.pack(net.nodes[1]:query(key, "sing", args)),
          table.pack(net.nodes[1]:call(to, "sing", args)),
        }) do
          assert.is_nil(results[1])
          assert.equal(string.format("too large: the arguments have %d bytes, "
            .. "and the whole query can have 1452 (max_reply)", size + 13),
            results[2])
          assert.equal("KAD_ETOOBIG", results[3])
        end
      end
    end))

  it("raises for arguments that the node adds", with_singers(function(net)
    local node, to = net.nodes[1], net.nodes[2]:addresses()[1]
    support.assert_blames_caller("args.id is the id of this node", function()
      node:call(to, "sing", { id = "x" })
    end)
    support.assert_blames_caller("args.id is the id of this node", function()
      node:query(key, "sing", { id = "x" })
    end)
  end))
end)
