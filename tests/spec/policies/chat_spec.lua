local kad = require("kadenza")
local support = require("tests.spec.support")

local FILE <const> = "scripts/policies/chat.lua"
local LOBBY <const> = kad.key("room:lobby")
local FROM <const> = { from = { address = "192.0.2.1:6881" } }

describe("the policy chat", function()
  local chat

  before_each(function()
    chat = dofile(FILE)
  end)

  local function say(room, text, name)
    return chat.rpc.chat_say(
      { args = { room = room, name = name or "ann", text = text } }, FROM)
  end

  local function read(room, after)
    return chat.rpc.chat_read({ args = { room = room, after = after } }, FROM)
  end

  it("accepts presence with a seq and a printable name", function()
    local presence = chat.types.presence

    assert.is_true(presence.signed_only)
    assert.is_true(presence.validate({ value = "ann", seq = 1 }))
    for _, wrong in ipairs({
      { value = "ann" }, { value = "", seq = 1 },
      { value = "a\nb", seq = 1 }, { value = ("x"):rep(33), seq = 1 },
    }) do
      assert.is_nil((presence.validate(wrong)))
    end
  end)

  it("numbers messages and returns them", function()
    assert.same({ number = 1 }, say("lobby", "hello"))
    assert.same({ number = 2 }, say("lobby", "again"))

    local reply = read("lobby", 1)

    assert.equal(2, reply.last)
    assert.same({ {
      number = 2, name = "ann", text = "again", from = "192.0.2.1:6881",
    } }, reply.messages)
  end)

  it("keeps rooms apart", function()
    say("lobby", "hello")

    assert.same({ messages = {}, last = 0 }, read("kitchen"))
  end)

  it("rejects malformed arguments", function()
    for _, args in ipairs({
      {}, { room = "a", name = "b" }, { room = 1, name = "b", text = "c" },
      { room = "a", name = "b", text = ("x"):rep(201) },
      { room = "a", name = "b\27", text = "c" },
      { room = "", name = "b", text = "c" },
    }) do
      local reply, reason, code = chat.rpc.chat_say({ args = args }, FROM)
      assert.is_nil(reply)
      assert.is_string(reason)
      assert.equal(203, code)
    end
    local _, _, code = chat.rpc.chat_read({ args = { after = "1" } })
    assert.equal(203, code)
  end)

  it("keeps 50 messages of 100 rooms", function()
    for i = 1, 60 do
      say("lobby", "m" .. i)
    end
    assert.equal(11, read("lobby").messages[1].number)
    for i = 1, 100 do
      say("room" .. i, "x")
    end
    assert.same({ messages = {}, last = 0 }, read("lobby"))
    assert.equal(1, #read("room1").messages)
  end)

  it("replies with pages that fit a datagram", function()
    for i = 1, 50 do
      say("lobby", ("x"):rep(200), "n" .. i)
    end
    local seen, last = 0, 0
    repeat
      local reply = read("lobby", last)
      assert.is_true(#kad.bencode.encode(reply) < 1100)
      seen = seen + #reply.messages
      last = reply.messages[#reply.messages].number
    until last == reply.last
    assert.equal(50, seen)
  end)

  it("lists members until they leave, in an overlay",
    support.spec(function()
      local net <close> =
        kad.sim({ nodes = 12, seed = 1, policies = { FILE } })
      net:perform(function()
        local function names(node)
          local list = net.nodes[node]:get(LOBBY,
            { type = "presence", all = true }) or {}
          local out = {}
          for i, record in ipairs(list) do
            out[i] = record.value
          end
          table.sort(out)
          return table.concat(out, " ")
        end
        local function stay(node, name)
          local pair = kad.keypair()
          return kad.spawn(function()
            for seq = 1, math.huge do
              net.nodes[node]:put(LOBBY, name,
                { type = "presence", secret = pair.secret, seq = seq })
              kad.sleep(20)
            end
          end)
        end
        local ann, bob = stay(2, "ann"), stay(5, "bob")
        kad.sleep(10)
        assert.equal("ann bob", names(9))
        kad.sleep(600)
        assert.equal("ann bob", names(9))
        ann:cancel()
        kad.sleep(65)
        assert.equal("bob", names(9))
        bob:cancel()
      end)
    end))

  it("exchanges messages over sockets", support.spec(function()
    kad.run(function()
      local a = assert(kad.node(support.local_node({ policies = { FILE } })))
      local b = assert(kad.node(support.local_node({ policies = { FILE } })))
      local host = a:addresses()[1]

      local said =
        assert(b:call(host, "chat_say",
          { room = "lobby", name = "bob", text = "hi" }))
      assert.equal(1, said.number)
      local reply = assert(b:call(host, "chat_read", { room = "lobby" }))
      assert.equal("hi", reply.messages[1].text)
      assert.equal(b:addresses()[1], reply.messages[1].from)
      local refused, _, _, info = b:call(host, "chat_say", { room = "lobby" })
      assert.is_nil(refused)
      assert.equal(203, info.krpc)
    end, { timeout = 20 })
  end))
end)
