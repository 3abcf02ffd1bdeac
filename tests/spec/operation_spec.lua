local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local spec, local_node = support.spec, support.local_node
local with_pair = support.with_pair
local with_sim = sim_support.with_sim
local assert_blames_caller = support.assert_blames_caller

local function not_an_id()
  return ("x"):rep(7)
end

describe("the operations of a node", function()
  describe("bootstrap", function()
    it("adds the nodes to their tables", with_pair(function(a, b)
      assert.equal(a:id(), b:contacts()[1].id)
      assert.equal(b:id(), a:contacts()[1].id)
      assert.equal(b:addresses()[1], a:contacts()[1].address)
      assert.equal("127.0.0.2", a:contacts()[1].host)
      assert.is_true(a:contacts()[1].good)
      assert.equal("healthy", b:state())
    end))

    it("resolves names", with_pair(function(a)
      local port = a:addresses()[1]:match("%d+$")
      local c = assert(kad.node(local_node()))

      assert(c:bootstrap({ "localhost:" .. port }))
    end))

    it("uses the nodes of the options without an argument",
      with_pair(function(a)
        local c = assert(kad.node(local_node({ bootstrap = a:addresses() })))

        assert(c:bootstrap())
        assert.equal(a:id(), c:contacts()[1].id)
      end))

    it("only warns of a name that cannot be resolved if others can",
      with_pair(function(a)
        local events = {}
        local before = kad.log.configure({
          sink = function(event)
            events[#events + 1] = event
          end,
        })
        local c = assert(kad.node(local_node()))
        local info = c:bootstrap({ "name.invalid:6881", a:addresses()[1] })
        kad.log.restore(before)

        assert.is_table(info)
        assert.equal("warn", events[1].level)
        assert.matches("name.invalid:6881", events[1].fields.error, 1, true)
      end))

    it("fails when no name can be resolved", spec(function()
      local events = support.logged(function()
        kad.run(function()
          local node = assert(kad.node(local_node()))

          local info, message, code = node:bootstrap("name.invalid:6881")

          assert.is_nil(info)
          assert.equal("name.invalid:6881: name could not be resolved", message)
          assert.equal("KAD_ERESOLVE", code)
        end)
      end)

      assert.same({}, events)
    end))

    it("names the nodes that did not reply", spec(function()
      kad.run(function()
        local node = assert(kad.node(local_node()))

        local info, message, code = node:bootstrap("127.0.0.9:9")

        assert.is_nil(info)
        assert.equal("no reply from 127.0.0.9:9", message)
        assert.equal("KAD_ENOCONTACTS", code)
      end, { timeout = 20 })
    end))

    it("fails without a node to join by", spec(function()
      kad.run(function()
        local node = assert(kad.node(local_node()))

        local info, _, code = node:bootstrap()

        assert.is_nil(info)
        assert.equal("KAD_ENOCONTACTS", code)
      end, { timeout = 20 })
    end))
  end)

  describe("ping", function()
    it("returns the contact that replied", with_pair(function(a, b)
      local contact, info = b:ping(a:addresses()[1])

      assert.equal(a:id(), contact.id)
      assert.equal(a:addresses()[1], contact.address)
      assert.equal(1, info.messages)
    end))

    it("accepts a contact", with_pair(function(a, b)
      assert.equal(a:id(), b:ping(b:contacts()[1]).id)
    end))

    -- Makes all names resolve to these addresses.
    local function resolve_to(node, addresses)
      node.net = {
        resolve = function(_, _, fn)
          fn(addresses)
          return true
        end,
      }
    end

    it("tries the next address of a name", with_pair(function(a, b)
      local right = a:addresses()[1]
      resolve_to(b, { "127.0.0.9:9", "[::1]:9", right })

      local contact, info = b:ping("several.example:9")

      assert.equal(right, contact.address)
      assert.equal(right, info.from.address)
    end))

    it("has the time of the machine", with_pair(function()
      local before = os.time()

      local now = kad.time()

      assert.is_true(before <= now and now <= os.time())
    end))

    it("tries first the family that it has a socket for",
      with_pair(function(a, b)
        resolve_to(b, { "[::1]:9", a:addresses()[1] })
        local before = kad.now()

        assert.equal(a:id(), b:ping("localhost:9").id)
        assert.is_true(kad.now() - before < 1)
      end))

    it("returns the failure of the first address", with_pair(function(_, b)
      resolve_to(b, { "[::1]:9", "[::1]:10" })

      local contact, message, code = b:ping("localhost:9")

      assert.is_nil(contact)
      assert.equal("no socket of this address family", message)
      assert.equal("KAD_EFAMILY", code)
    end))

    it("ends with KAD_ECLOSED when the node closes while a name is resolved",
      with_pair(function(_, b)
        local found
        b.net = setmetatable({
          resolve = function(_, _, fn)
            found = fn
            return true
          end,
        }, { __index = b.net })
        local asking = kad.spawn(function()
          return b:ping("slow.example:9")
        end)
        kad.sleep(0)
        b.core:close()
        found({ "127.0.0.9:9" })

        assert.same({ nil, "the node is closed", "KAD_ECLOSED", nil, n = 4 },
          table.pack(asking:await()))
      end))

    it("raises for a wrong address", with_pair(function(_, b)
      assert.error_matches(function()
        b:ping(5)
      end, "an address or a contact is needed, not number")
      local contact, message, code = b:ping("nonsense")
      assert.is_nil(contact)
      assert.matches("nonsense", message)
      assert.equal("KAD_EINVAL", code)
    end))
  end)

  describe("find_node", function()
    it("returns the closest contacts and details", with_pair(function(a, b)
      local contacts, info = b:find_node(a:id())

      assert.equal(a:id(), contacts[1].id)
      assert.is_true(info.messages >= 1)
      assert.equal(a:addresses()[1], info.path[1].address)
      assert.same({ 1, true }, { info.path[1].path, info.path[1].answered })
    end))

    it("raises for an id of the wrong width", with_pair(function(_, b)
      assert_blames_caller("id must have 20 bytes, not 7", function()
        b:find_node(not_an_id())
      end)
    end))
  end)

  describe("put and get", function()
    it("store and find a value", with_pair(function(a, b)
      local info = assert(a:put(kad.key("visits"), "one"))
      assert.is_true(info.stored >= 1)
      assert.is_true(info.asked >= info.stored)

      local value, details = b:get(kad.key("visits"))
      assert.equal("one", value)
      assert.equal("value", details.type)
      assert.equal(kad.key("visits"), details.key)
      assert.is_true(details.holders >= 1)
      assert.same({ false, false }, { info.dense_key, details.dense_key })
    end))

    it("store at the node itself while it knows no other", spec(function()
      kad.run(function()
        local node = assert(kad.node(local_node()))
        for _, method in ipairs({ "put", "publish" }) do
          local key = kad.key(method)

          local info = assert(node[method](node, key, "one"))

          assert.same({ 1, 1 }, { info.stored, info.asked })
          assert.equal("one", node:get(key))
        end
        local _, message, code = node:get(kad.key("none"))
        assert.equal("no contacts: the node knows no other node", message)
        assert.equal("KAD_ENOCONTACTS", code)
      end)
    end))

    it("ask for a number of holders with min_stored", with_pair(function(a)
      assert(a:put(kad.key("b"), "1", { min_stored = 2 }))
      for _, method in ipairs({ "put", "publish" }) do
        local info, message, code, details =
          a[method](a, kad.key("b"), "1", { min_stored = 3 })
        assert.is_nil(info)
        assert.equal("stored at 2 of 2 nodes, fewer than min_stored = 3",
          message)
        assert.equal("KAD_EFEWER", code)
        assert.equal(2, details.stored)
      end
      local _, message, code =
        a:announce(kad.key("b"), 7000, { min_stored = 2 })
      assert.equal("stored at 1 of 1 nodes, fewer than min_stored = 2", message)
      assert.equal("KAD_EFEWER", code)
    end))

    it("say how long the record lives", with_pair(function(a)
      local key = kad.key("life")
      assert.equal(86400, assert(a:put(key, "1")).ttl)
      assert.equal(60, assert(a:put(key, "1", { ttl = 60 })).ttl)
      assert.equal(86400, assert(a:put(key, "1", { ttl = 604800 })).ttl)
      assert.equal(2700, assert(a:announce(key, 7000)).ttl)
    end))

    it("say which contacts are silent, and which are not there", with_pair(
      function(a, b)
        b:close()
        local _, message, code = a:find_node(kad.key("any"))
        assert.equal("no answer in time", message)
        assert.equal("KAD_ETIMEOUT", code)
      end))

    it("carry any bytes", with_pair(function(a, b)
      local bytes = "\0\1\255 e:i5e\n"
      assert(a:put(kad.key("bytes"), bytes))

      assert.equal(bytes, b:get(kad.key("bytes")))
    end))

    it("find all values of a key", with_pair(function(a, b)
      assert(a:put(kad.key("many"), "one"))
      assert(b:put(kad.key("many"), "two"))

      local records = assert(a:get(kad.key("many"), { all = true }))
      local values = {}
      for _, record in ipairs(records) do
        values[#values + 1] = record.value
      end
      table.sort(values)
      assert.same({ "one", "two" }, values)
    end))

    it("return the publisher", with_pair(function(a, b)
      local pair = kad.keypair()
      local options = { secret = pair.secret, seq = 7 }
      assert(a:put(kad.key("signed"), "mine", options))

      local value, info = b:get(kad.key("signed"))
      assert.equal("mine", value)
      assert.equal(pair.publisher, info.publisher)
      assert.equal(7, info.seq)
    end))

    it("reject the signature of another publisher", with_pair(function(a)
      local own, other = kad.keypair(), kad.keypair()
      local record = { key = kad.key("x"), type = "value", value = "1" }

      local info, _, code = a:put(record.key, record.value, {
        publisher = own.publisher,
        signature = kad.sign(record, other.secret),
      })

      assert.is_nil(info)
      assert.equal("KAD_ESIGNATURE", code)
    end))

    it("return nil, message, code when there is no value", with_pair(function(a)
      local value, message, code, details = a:get(kad.key("nothing"))

      assert.is_nil(value)
      assert.equal("not found", message)
      assert.equal("KAD_ENOTFOUND", code)
      assert.is_true(details.messages >= 1)
    end))

    it("reject a value that is too large", with_pair(function(a)
      for _, options in ipairs({ {}, { secret = kad.keypair().secret } }) do
        local info, message, code =
          a:put(kad.key("large"), ("x"):rep(1001), options)

        assert.is_nil(info)
        assert.equal("too large: the value has 1001 bytes, and can have 1000, "
          .. "or the max_size of its type if that is less", message)
        assert.equal("KAD_ETOOBIG", code)
      end
    end))

    it("reject an unknown type", with_pair(function(a)
      local info, _, code = a:put(kad.key("a"), "1", { type = "unheard" })

      assert.is_nil(info)
      assert.equal("KAD_ETYPE", code)
    end))

    it("raise for unknown options", with_pair(function(a)
      assert_blames_caller("unknown option 'typ'", function()
        a:get(kad.key("a"), { typ = "value" })
      end)
      assert_blames_caller("unknown option 'quorum'", function()
        a:put(kad.key("a"), "1", { quorum = 1 })
      end)
      assert_blames_caller("value must be a string, not number", function()
        a:put(kad.key("a"), 1)
      end)
      assert_blames_caller("option 'alpha' must be in 1 to 32", function()
        a:get(kad.key("a"), { alpha = 0 })
      end)
      assert_blames_caller("option 'secret' must have 64 bytes, not 1",
        function()
          a:put(kad.key("a"), "1", { secret = "x" })
        end)
      assert_blames_caller("key must have 20 bytes, not 1", function()
        a:put("a", "1")
      end)
    end))
  end)

  describe("announce and get_peers", function()
    it("announce a port", with_pair(function(a, b)
      assert(a:announce(kad.key("torrent"), 7000))

      assert.same({ "127.0.0.1:7000" }, b:get_peers(kad.key("torrent")))
    end))

    it("announce the node's own port", with_pair(function(a, b)
      assert(a:announce(kad.key("torrent")))

      assert.same(a:addresses(), b:get_peers(kad.key("torrent")))
    end))

    it("scrape seeds and other peers (BEP 33)", with_pair(function(a, b)
      assert(a:announce(kad.key("torrent"), 7000, { seed = true }))

      local peers, info = b:get_peers(kad.key("torrent"), { scrape = true })
      assert.same({ "127.0.0.1:7000" }, peers)
      assert.same({ 1, 0 }, { info.scrape.seeds, info.scrape.peers })
      assert.equal(256, #info.scrape.seed_filter)
      assert.equal(("\0"):rep(256), info.scrape.peer_filter)
      assert.is_nil(select(2, b:get_peers(kad.key("torrent"))).scrape)
      local none, _, code = b:get_peers(kad.key("torrent"), { noseed = true })
      assert.same({ nil, "KAD_ENOTFOUND" }, { none, code })
    end))

    it("sample the info hashes of a node (BEP 51)", with_pair(function(a, b)
      assert(a:announce(kad.key("torrent"), 7000))

      local samples, info = a:sample(b:addresses()[1])
      assert.same({ kad.key("torrent") }, samples)
      assert.equal(1, info.num)
      assert.is_true(info.interval >= 0 and info.interval <= 21600)
      assert.equal("table", type(info.contacts))
      local of_contact = a:sample({ id = b:id(), address = b:addresses()[1] },
        kad.key("near"))
      assert.same(samples, of_contact)
      assert_blames_caller("target must have 20 bytes, not 1", function()
        a:sample(b:addresses()[1], "x")
      end)
    end))

    it("name the neighbours of one node", with_sim({ nodes = 30, seed = 1 },
      function(net)
        local asked, target = net.nodes[9], net.nodes[20]:id()
        net:perform(function()
          local contacts, info = net.nodes[3]:neighbours(
            { id = asked:id(), address = asked:addresses()[1] }, target)
          assert.equal(1, info.messages)
          assert.equal(8, #contacts)
          assert.equal(asked:id(), info.from.id)
          assert.equal(target, contacts[1].id)
          local nothing, _, code = net.nodes[3]:neighbours("9.9.9.9:9")
          assert.same({ nil, "KAD_ETIMEOUT" }, { nothing, code })
        end)
      end))

    it("raise for a port out of range", with_pair(function(a)
      assert_blames_caller("port must be an integer in 0 to 65535", function()
        a:announce(kad.key("torrent"), 65536)
      end)
    end))
  end)

  describe("call", function()
    it("returns the error that the other node sent", with_pair(function(a, b)
      local reply, message, code, details =
        b:call(a:addresses()[1], "unheard", { text = "hi" })

      assert.is_nil(reply)
      assert.matches("204", message)
      assert.equal("KAD_EREMOTE", code)
      assert.equal(204, details.krpc)
    end))

    -- Runs `fn` with a node that answers the query hello, and another node.
    local function with_greeter(fn)
      local policy = {
        name = "greeter",
        rpc = {
          hello = function(request)
            return { text = "hi " .. request.args.name, list = { 1, { 2 } } }
          end,
        },
      }
      return spec(function()
        kad.run(function()
          local a = assert(kad.node(local_node({ policies = { policy } })))
          fn(a, assert(kad.node(local_node())))
        end, { timeout = 20 })
      end)
    end

    it("returns the reply of the other node", with_greeter(function(a, b)
      local reply, info = b:call(a:addresses()[1], "hello", { name = "b" })

      assert.equal("hi b", reply.text)
      assert.same({ 1, { 2 } }, reply.list)
      assert.equal(a:id(), reply.id)
      assert.equal(a:id(), info.from.id)
    end))

    it("checks the id of a contact", with_greeter(function(a, b)
      local address, args = a:addresses()[1], { name = "b" }
      local right = { id = a:id(), address = address }
      local wrong = { id = kad.key("other"), address = address }

      assert.is_table(b:call(right, "hello", args))
      assert.is_nil((b:call(wrong, "hello", args)))
    end))

    it("raises for the core's own queries", with_pair(function(a, b)
      assert_blames_caller("'ping' is a query of the node's own", function()
        b:call(a:addresses()[1], "ping")
      end)
    end))

    it("names the argument that bencode cannot encode", with_pair(function(a, b)
      assert.error_matches(function()
        b:call(a:addresses()[1], "hello", { list = { 1, 2, 0.5 } })
      end, "args.list%[3%]")
    end))
  end)

  describe("outside of a task", function()
    it("operations take a callback", spec(function(t)
      local network = kad.loop.network()
      local a = assert(kad.node(local_node()))
      local b = assert(kad.node(local_node({ listen = "127.0.0.2:0" })))

      local got = t.expect(1, function(value)
        assert.equal("1", value)
        network:stop()
      end)
      local put = t.expect(1, function(info)
        assert.is_table(info)
        b:get(kad.key("a"), got)
      end)
      b:bootstrap(a:addresses(), t.expect(1, function(info)
        assert.is_table(info)
        a:put(kad.key("a"), "1", put)
      end))
      network:run(20000)
      kad.loop.close()
    end))

    it("an operation without a callback raises", spec(function()
      local node = assert(kad.node(local_node()))

      assert.error_matches(function()
        node:get(kad.key("a"))
      end, "only a task can wait")
      kad.loop.close()
    end))

    for name, begin in pairs({
      find_node = function(node, callback)
        node:find_node(kad.key("a"), callback)
      end,
      bootstrap = function(node, callback)
        node:bootstrap(callback)
      end,
    }) do
      it("an error in the callback of " .. name .. " is raised by the loop",
        spec(function()
          local network = kad.loop.network()
          begin(assert(kad.node(local_node())), function()
            error("broken")
          end)

          assert.error_matches(function()
            network:run(20000)
          end, "broken")
          kad.loop.close()
        end))
    end
  end)

  it("does not wait for another simulation, which stands", spec(function()
    local here <close> = kad.sim({ nodes = 2 })
    local there <close> = kad.sim({ nodes = 2 })
    local node = there.nodes[1]
    local to = there.nodes[2]:addresses()[1]
    local BLAME <const> = "cannot wait for a node of another simulation"

    here:perform(function()
      for _, operation in ipairs({
        function() return node:get(kad.key("a")) end,
        function() return node:put(kad.key("a"), "b") end,
        function() return node:ping(to) end,
        function() return node:bootstrap({ to }) end,
        coroutine.wrap(function() return node:get(kad.key("a")) end),
      }) do
        assert.error_matches(operation, BLAME)
      end
      assert(there:perform(node.put, node, kad.key("a"), "b"))
      node:get(kad.key("a"), function() end)
    end)

    kad.run(function()
      assert.error_matches(function() node:ping(to) end, BLAME)
    end)
  end))

  it("keeps nothing of finished operations", spec(function()
    local net <close> = kad.sim({ nodes = 2, seed = 1 })
    local a, b = net.nodes[1], net.nodes[2]
    local to = b:addresses()[1]
    local function ask(count)
      for _ = 1, count / 2 do
        assert(a:ping(to))
        assert.is_nil((a:get(kad.key("nothing"))))
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage("count")
    end

    net:perform(function()
      local before = ask(200)
      local after = ask(10000)

      assert.is_true(after - before < 16, after - before .. " KiB more")
    end)
  end))
end)
