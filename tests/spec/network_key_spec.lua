-- Tests scripts/kadenza/network_key.lua, scripts/kadenza/sealing.lua and
-- bindings/lua/network_key.c.

local core = require("kadenza.core")
local kad = require("kadenza")
local network_key = require("kadenza.network_key")
local support = require("tests.spec.support")

local OLD <const>, NEW <const> = ("o"):rep(32), ("n"):rep(32)

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  return path
end

-- Messages in reverse.
local DIALECT <const> = [[
local kad = require("kadenza")
local FLAGS <const> = { "want4", "want6", "read_only" }
return { codec = {
  encode = function(message)
    for _, name in ipairs(FLAGS) do
      message[name] = message[name] and 1
    end
    return kad.bencode.encode(message):reverse()
  end,
  decode = function(bytes)
    local message = kad.bencode.decode(bytes:reverse())
    for _, name in ipairs(FLAGS) do
      message[name] = message[name] == 1 or nil
    end
    return message
  end,
} }
]]

-- Calls `fn` with a simulated network whose nodes have `config`.
local function with_sim(count, config, fn, policies)
  return function()
    local net <close> = kad.sim({ seed = 7, nodes = count, config = config,
      policies = policies })
    net:perform(function()
      fn(net)
    end)
  end
end

describe("a network key", function()
  it("is read from a file", support.with_folder(function(folder)
    local path, hex = folder .. "/key", core.hex(OLD)
    for _, text in ipairs({ hex, hex .. "\n", hex:upper() .. "\r\n",
      "kadenza network key 1\nkey " .. hex .. "\n",
      "\u{FEFF}kadenza network key 1\r\nkey " .. hex .. "\r\n" }) do
      assert.equal(OLD, assert(network_key.read(write(path, text))):bytes())
    end
  end))

  it("is not read from another file", support.with_folder(function(folder)
    local path, hex = folder .. "/key", core.hex(OLD)
    for _, text in ipairs({ "", "\n", hex:sub(2), hex .. "0", hex .. " x",
      "kadenza network key 1\n" .. hex, "kadenza network key 2\nkey " .. hex,
      "kadenza secret key 1\n", "secret " .. hex, ("x"):rep(5000) }) do
      local key, message, code = network_key.read(write(path, text))
      assert.is_nil(key)
      assert.equal("KAD_EINVAL", code)
      assert.equal(path .. ": not a network key file of "
        .. "`kadenza keygen --network`", message)
    end
    assert.equal("KAD_EACCESS", (select(3, network_key.read(write(path,
      "kadenza network key 1\nargon2id 1 8 00\nsealed 00 00\n")))))
    assert.equal("KAD_ENOTFOUND",
      (select(3, network_key.read(folder .. "/none"))))
    assert.is_nil((network_key.read(folder)))
    assert.error_matches(function() network_key.read("") end, "must name")
    assert.error_matches(function() network_key.read() end, "path must be")
  end))

  it("does not show itself", function()
    local key = core.network_key(OLD)
    assert.equal(16, #key:fingerprint())
    assert.not_equal(key:fingerprint(), core.network_key(NEW):fingerprint())
    assert.equal("network key " .. key:fingerprint(), tostring(key))
    assert.not_equal(network_key.generate():bytes(),
      network_key.generate():bytes())
  end)

  it("cannot be used once it is closed", function()
    local key = core.network_key(OLD)
    key:close()
    key:close()
    assert.equal("network key (closed)", tostring(key))
    assert.error_matches(function() key:bytes() end, "a closed network key")
    assert.error_matches(function() kad.node({ network_key = key }) end,
      "option 'network_key' must be a network key")
  end)

  it("is one of 32 bytes or 64 digits, or a list of two", function()
    assert.equal(OLD, network_key.list(OLD)[1]:bytes())
    assert.equal(OLD, network_key.list(core.hex(OLD))[1]:bytes())
    local two = network_key.list({ network_key.generate(), NEW })
    assert.equal(NEW, two[2]:bytes())
    for _, wrong in ipairs({ "", "short", ("x"):rep(64), ("x"):rep(33), 1,
      true, {}, { OLD, NEW, OLD }, { 1 }, { OLD, 1 }, io.stdout }) do
      assert.is_nil(network_key.list(wrong))
      assert.error_matches(function() kad.node({ network_key = wrong }) end,
        "option 'network_key' must be a network key, or a list of one or two")
    end
    for _, wrong in ipairs({ "x", 1, {} }) do
      assert.is_false(core.is_network_key(wrong))
    end
    assert.error_matches(function() core.network_key("x") end, "32 bytes")
  end)
end)

describe("a sealed overlay", function()
  it("stores and finds values", with_sim(12, { network_key = OLD },
    function(net)
      local key = kad.key("visits")
      assert(net.nodes[1]:put(key, "1"))
      assert.equal("1", net.nodes[12]:get(key))
      local stats = net.nodes[1]:stats()
      assert.is_true(stats.datagrams_in > 10)
      assert.equal(0, stats.dropped_unsealed + stats.dropped_stale
        + stats.dropped_replayed + stats.dropped_malformed)
    end))

  it("is silent to strangers, who are noticed", with_sim(2, {},
    function(net)
      local member = assert(net:open({ network_key = OLD }))
      local address, last = member:addresses()[1], 0
      for i, key in ipairs({ false, NEW }) do
        local stranger = assert(net:open({ network_key = key or nil }))
        local reply, _, code = stranger:ping(address)
        assert.is_nil(reply)
        assert.equal("KAD_ETIMEOUT", code)
        local notices
        notices, last = member:seal_notices(last)
        assert.same({ { problem = "key", address = stranger:addresses()[1],
          ahead = 0 } }, notices)
        assert.equal(i, member:stats().dropped_unsealed)
      end
      assert.equal(0, member:stats().datagrams_out)
      assert.same({}, (member:seal_notices(last)))
    end))

  it("changes its key without a loss", with_sim(8, { network_key = OLD },
    function(net)
      local key = kad.key("visits")
      assert(net.nodes[1]:put(key, "1"))
      for _, keys in ipairs({ { OLD, NEW }, { NEW, OLD }, { NEW } }) do
        for i, node in ipairs(net.nodes) do
          assert(node:set_network_key(keys))
          assert.equal("1", net.nodes[i % 8 + 1]:get(key))
        end
        kad.sleep(1800)
        assert.equal("healthy", net.nodes[1]:state())
      end
      for _, node in ipairs(net.nodes) do
        assert.equal(0, node:stats().dropped_unsealed)
      end
      local late = assert(net:open({ network_key = NEW }))
      assert(late:bootstrap(net.nodes[1]:addresses()))
      assert.equal("1", late:get(key))
    end))

  it("reaches transports sealed", function()
    local net <close> = kad.sim({ seed = 7 })
    net:perform(function()
      local sent, nodes = {}, {}
      for i = 1, 2 do
        nodes[i] = assert(net:open({ network_key = OLD,
          listen = "10.0.0." .. i .. ":1", transport = {
            send = function(bytes)
              sent[#sent + 1] = bytes
              nodes[3 - i]:receive(bytes, "10.0.0." .. i .. ":1")
            end } }))
      end
      assert.is_not_nil(nodes[1]:ping("10.0.0.2:1"))
      assert.is_true(#sent >= 2)
      for _, bytes in ipairs(sent) do
        assert.is_nil(bytes:find("1:q", 1, true))
        assert.is_nil(bytes:find("1:r", 1, true))
      end
    end)
  end)

  it("leaves out a node whose clock is wrong, and takes it back", with_sim(8,
    { network_key = OLD }, function(net)
      local late = net.nodes[8]
      local address = net.nodes[1]:addresses()[1]
      net:skew(late, { ahead = -3600 })
      local reply, _, code = late:ping(address)
      assert.is_nil(reply)
      assert.equal("KAD_ETIMEOUT", code)
      assert.same({ { problem = "clock", address = late:addresses()[1],
        ahead = -3600 } }, (net.nodes[1]:seal_notices()))
      net:skew(late, { ahead = 290 })
      assert.is_not_nil(late:ping(address))
      net:skew(late, { ahead = 0 })
      assert.is_not_nil(late:ping(address))
    end))

  it("keeps its keys when other options change", with_sim(2,
    { network_key = OLD }, function(net)
      assert(net.nodes[1]:configure({ alpha = 5 }))
      assert(net.nodes[1]:set_network_key({ NEW, OLD }))
      assert(net.nodes[1]:configure({ alpha = 4 }))
      assert.is_nil((net.nodes[2]:ping(net.nodes[1]:addresses()[1])))
      assert.error_matches(function()
        net.nodes[1]:configure({ network_key = NEW })
      end, "option 'network_key' cannot change")
    end))

  it("works with an encoding of a policy", support.with_folder(
    function(folder)
      local path = write(folder .. "/dialect.lua", DIALECT)
      with_sim(6, { network_key = OLD }, function(net)
        local key = kad.key("visits")
        assert(net.nodes[1]:put(key, "1"))
        assert.equal("1", net.nodes[6]:get(key))
        assert.is_true(net.nodes[6]:stats().policies
          .hooks["dialect: codec.decode"].calls > 0)
      end, { path })()
    end))

  it("takes values of up to 1,000 bytes", with_sim(6, { network_key = OLD },
    function(net)
      local key, value = kad.key("large"), ("v"):rep(1000)
      assert(net.nodes[1]:put(key, value))
      assert.equal(value, net.nodes[6]:get(key))
      assert(net.nodes[1]:put_immutable(("i"):rep(990)))
    end))
end)

describe("a node that is not sealed", function()
  it("takes no keys and has no notices", with_sim(2, {}, function(net)
    local node = net.nodes[1]
    assert.error_matches(function() node:set_network_key(OLD) end,
      "this node is not sealed")
    assert.same({}, (node:seal_notices()))
    for _, wrong in ipairs({ -1, 1.5, "1" }) do
      assert.error_matches(function() node:seal_notices(wrong) end,
        "after must be an integer from 0")
    end
    assert.error_matches(function() node:set_network_key("x") end,
      "keys must be a network key")
  end))
end)
