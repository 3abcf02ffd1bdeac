local bootstrap = require("kadenza.bootstrap")
local kad = require("kadenza")
local support = require("tests.spec.support")

local spec, local_node = support.spec, support.local_node

-- Runs `fn` with a node and returns the message and the code of a join.
local function join(options, names)
  local message, code
  kad.run(function()
    local node = assert(kad.node(options))
    local info
    info, message, code = node:bootstrap(names)
    assert.is_nil(info)
    assert.equal(0, node:stats().datagrams_out)
  end)
  return message, code
end

describe("kadenza.bootstrap", function()
  it("bounds how many addresses a node joins through", spec(function()
    local net <close> = kad.sim({ seed = 1 })
    local node = assert(net:open())
    local known = {}
    for i = 1, 4096 do
      known[i] = "192.0.2." .. i % 256 .. ":" .. i
    end
    node.saved_contacts = { "198.51.100.1:1" }
    net:perform(function()
      local info, message = node:bootstrap(known)
      assert.is_nil(info)
      assert.is_nil(message:find("bad argument", 1, true), message)
    end)
    known[4097] = "192.0.2.1:9"
    assert.error_matches(function()
      node:bootstrap(known)
    end, "known has more than 4096 addresses")
  end))

  it("accepts addresses and names with a port", function()
    for _, text in ipairs({ "192.0.2.1:1", "[::1]:1", "a:65535",
      "a-b_c.example.:1", "xn--bcher-kva.example:6881" }) do
      assert.is_true(bootstrap.check(text))
    end
  end)

  it("refuses other texts and says why", function()
    for text, problem in pairs({
      ["a..b:1"] = "empty part",
      [".a:1"] = "empty part",
      ["b\xc3\xbccher.example:1"] = "is not ASCII",
      [("a"):rep(64) .. ":1"] = "more than 63 bytes",
      [("a"):rep(300) .. ":1"] = "more than 253 bytes",
      ["a:0"] = "from 1 to 65535",
      ["a:65536"] = "from 1 to 65535",
      ["a:123456789012345678901"] = "from 1 to 65535",
    }) do
      local valid, why = bootstrap.check(text)
      assert.is_false(valid)
      assert.matches(problem, why, 1, true)
    end
    for _, text in ipairs({ "", "a", ":1", "a:", "1.2.3:4", "::1", "a b:1",
      "[::1]", "a:1\n" }) do
      assert.is_false(bootstrap.check(text))
    end
  end)

  it("takes no other address for a local one", function()
    for _, text in ipairs({ "127.0.0.1:0", "[::1]:65535", "100.127.255.255:1",
      "[fdff::]:1" }) do
      assert.is_true(bootstrap.is_local(text), text)
    end
    for _, text in ipairs({ "", "localhost", "8.8.8.8:1", "100.128.0.1:1",
      "192.0.2.1:1", "172.32.0.1:1", "[2606::1]:1", "0.0.0.0:0", "[::]:0",
      "localhost.example:1", "mylocalhost:1", "10.example.org:1" }) do
      assert.is_false(bootstrap.is_local(text), text)
    end
  end)

  it("knows the addresses of reserved blocks", function()
    for _, text in ipairs({ "192.0.2.1:1", "198.51.100.7:0", "203.0.113.9:6881",
      "240.0.0.1:1", "255.255.255.255:1", "224.0.0.1:1", "0.0.0.1:1",
      "192.0.0.8:1", "[2001:db8::1]:1", "[ff02::1]:1", "[3fff::1]:1" }) do
      assert.is_true(bootstrap.is_reserved(text), text)
    end
    for _, text in ipairs({ "", "localhost:1", "127.0.0.1:1", "10.0.0.1:1",
      "198.18.0.1:1", "100.64.0.1:1", "8.8.8.8:1", "0.0.0.0:0", "[::]:0",
      "[2606::1]:1" }) do
      assert.is_false(bootstrap.is_reserved(text), text)
    end
  end)

  it("says that a local address needs allow_local", spec(function()
    local message, code = join({ listen = "127.0.0.1:0" }, "10.0.0.1:1")
    assert.equal("10.0.0.1:1 is a local address, which needs allow_local",
      message)
    assert.equal("KAD_EMARTIAN", code)
  end))

  it("says the same of a name that leads to one", spec(function()
    local message, code = join({ listen = "127.0.0.1:0" }, "localhost:1")
    assert.matches("^localhost:1 leads to %S+:1, a local address, which needs "
      .. "allow_local$", message)
    assert.equal("KAD_EMARTIAN", code)
  end))

  it("says that no socket serves a family", spec(function()
    local message, code = join(local_node(), "[2001:db8::1]:1")
    assert.equal("[2001:db8::1]:1 is an IPv6 address, and no socket of this "
      .. "node serves IPv6 (listen on [::]:0, too)", message)
    assert.equal("KAD_EFAMILY", code)
  end))

  it("says that an address is the node's own", spec(function()
    kad.run(function()
      local node = assert(kad.node(local_node()))
      local own = node:addresses()[1]

      local info, message, code = node:bootstrap(own)

      assert.is_nil(info)
      assert.equal(own .. " is an address of this node", message)
      assert.equal("KAD_ENOCONTACTS", code)
      assert.equal("new", (node:state()))
    end)
  end))

  it("says why saved contacts are of no use", function()
    support.with_folder(function(folder)
      local contacts = {}
      for i = 1, 10 do
        contacts[i] = ("[2001:db8::%d]:1"):format(i)
      end
      local file <close> = assert(io.open(folder .. "/node.state", "wb"))
      file:write(require("kadenza.saved").write_node(("i"):rep(20), contacts))
      file:close()
      kad.run(function()
        local node = assert(kad.node(local_node({ state = folder })))
        local _, message, code = node:bootstrap()
        assert.equal("[2001:db8::1]:1 is an IPv6 address, and no socket of "
          .. "this node serves IPv6 (listen on [::]:0, too); the same holds "
          .. "for " .. table.concat(contacts, ", ", 2, 9) .. " and 1 more",
          message)
        assert.equal("KAD_EFAMILY", code)
        node:close()
      end)
    end)()
  end)

  it("lists some of many that do not reply", spec(function()
    local known = {}
    for i = 1, 10 do
      known[i] = "127.0.0.1:" .. i
    end
    local node <close> = assert(kad.node(local_node()))
    local message = require("kadenza.bootstrap").explain(node.core, known,
      "no contacts", "KAD_ENOCONTACTS")
    assert.matches("^no reply from 127.0.0.1:1, .*127.0.0.1:8 and 2 more$",
      message)
  end))

  it("leaves out malformed texts if there are others", spec(function()
    local events = support.logged(function()
      kad.run(function()
        local a = assert(kad.node(local_node()))
        local b = assert(kad.node(local_node()))

        assert(b:bootstrap({ "nonsense", a:addresses()[1] }))
      end)
    end)
    assert.equal("a bootstrap name is left out", events[1].message)
    assert.matches("^nonsense: no address such as", events[1].fields.error)
  end))

  it("tells what became of names", spec(function()
    kad.run(function()
      local a = assert(kad.node(local_node()))
      local b = assert(kad.node(local_node()))
      local name = "localhost:" .. a:addresses()[1]:match("%d+$")
      assert.same({}, b:names())

      b:bootstrap(name)

      local info = b:names()[1]
      assert.equal(name, info.name)
      assert.equal("resolved", info.state)
      assert.is_true(#info.addresses >= 1)
      assert.equal(1, b:stats().names)
    end)
  end))
end)
