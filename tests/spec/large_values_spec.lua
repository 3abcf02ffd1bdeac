-- Tests core/rpc/record_size.c, core/net/udp/udp_incoming.c: values of 8 KiB in
-- an overlay whose nodes agree on larger datagrams.

local commands = require("tests.spec.support.commands")
local kad = require("kadenza")
local network_key = require("kadenza.network_key")
local policy = require("kadenza.policy")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

local spec = support.spec

local SIZE <const> = 8192
local MAX_REPLY <const> = 8972
local BIG <const> = { types = { big = { max_size = SIZE } } }
local VALUE <const> = ("0123456789abcdef"):rep(SIZE // 16)

-- Opens an overlay in virtual time. `nodes` have datagrams of MAX_REPLY bytes.
local function overlay(nodes, options)
  local config = { max_reply = MAX_REPLY, limits = true }
  for name, value in pairs(options or {}) do
    config[name] = value
  end
  return kad.sim({ nodes = nodes, seed = 7, policies = { BIG },
    config = config })
end

-- Stores values of many sizes at one node and reads them at another.
local function check_values(net, options)
  net:perform(function()
    local writer, reader = net.nodes[1], net.nodes[#net.nodes]
    for _, size in ipairs({ 1, 1000, 1001, 1500, 4096, SIZE - 1, SIZE }) do
      local key = kad.key("value " .. size)
      local value = VALUE:sub(1, size)
      assert(writer:put(key, value, options))
      assert.is_true(value == reader:get(key, { type = "big" }))
    end
    local stored, message, code = writer:put(kad.key("larger"), VALUE .. "x",
      options)
    assert.is_nil(stored)
    assert.equal("KAD_ETOOBIG", code)
    assert.equal("too large: the value has 8193 bytes, and can have 8192, or "
      .. "the max_size of its type if that is less", message)
  end)
end

describe("values of 8 KiB", function()
  after_each(process.end_all)

  it("are stored and read", function()
    local net <close> = overlay(12)
    check_values(net, { type = "big" })
  end)

  it("may be signed, with a salt", function()
    local net <close> = overlay(6)
    check_values(net, { type = "big", seq = 5, salt = ("s"):rep(64),
      secret = kad.keypair().secret })
  end)

  it("are sealed", function()
    local net <close> = overlay(6, { network_key = network_key.generate() })
    check_values(net, { type = "big" })
  end)

  it("are read with many others under one key", function()
    local net <close> = overlay(6)
    net:perform(function()
      local key, expected = kad.key("many"), {}
      for i = 1, 20 do
        local start = VALUE:sub(1, i % 2 == 0 and SIZE - 2 or 50)
        local value = start .. ("%02d"):format(i)
        expected[value] = true
        assert(net.nodes[1]:put(key, value, { type = "big" }))
      end
      local records = assert(net.nodes[6]:get(key,
        { type = "big", all = true }))
      assert.equal(20, #records)
      for _, record in ipairs(records) do
        assert.is_true(expected[record.value])
      end
    end)
  end)

  it("are kept alive by republishes", function()
    local net <close> = overlay(8)
    net:perform(function()
      local key = kad.key("kept")
      assert(net.nodes[1]:put(key, VALUE, { type = "big" }))
      kad.sleep(3 * 3600)
      local reader = net.nodes[8]
      net:kill(net.nodes[1])
      assert.is_true(VALUE == reader:get(key, { type = "big" }))
    end)
  end)

  it("need a policy that fits the node", function()
    local net <close> = kad.sim({ nodes = 1, seed = 1 })
    local attached, message, code = policy.attach(net.nodes[1], { BIG })
    assert.is_nil(attached)
    assert.equal("KAD_ETOOBIG", code)
    assert.equal("type 'big': max_size is 8192, which needs a max_reply of "
      .. "8644: the node has 1452", message)
  end)

  it("go over sockets, where a node with a usual max_reply still joins", spec(
    function()
      kad.run(function()
        local function open(options)
          options.listen, options.allow_local = "127.0.0.1:0", true
          return assert(kad.node(options))
        end
        local a <close> = open({ policies = { BIG }, max_reply = MAX_REPLY })
        local b <close> = open({ policies = { BIG }, max_reply = MAX_REPLY,
          bootstrap = a:addresses() })
        local usual <close> = open({ bootstrap = a:addresses() })
        assert(b:bootstrap())
        assert(usual:bootstrap())
        local key, small = kad.key("on sockets"), kad.key("small")
        assert(b:put(key, VALUE, { type = "big" }))
        assert.is_true(VALUE == a:get(key, { type = "big" }))

        assert(usual:put(small, "a value"))
        assert.equal("a value", a:get(small))
      end)
    end))

  it("are stored by the commands", function()
    local folder, remove = support.temporary_folder()
    local path = folder .. "/big.lua"
    local file = assert(io.open(path, "w"))
    file:write("return { types = { big = { max_size = 8192 } } }")
    file:close()
    local node = process.start_node({ "--max-reply", "8972", "--policy", path })
    local run, output = commands.of(function()
      return node
    end)
    local function with(...)
      local args = { ... }
      return table.move({ "--type", "big", "--policy", path, "--max-reply",
        "8972" }, 1, 6, #args + 1, args)
    end
    assert.equal("stored at 1 of 1 nodes\n",
      output(with("put", "page", VALUE)))
    assert.is_true(VALUE == output(with("get", "page")))

    local usual = run({ "get", "page", "--type", "big", "--policy", path })
    assert.equal(2, usual.status)
    assert.equal("kadenza: type 'big': max_size is 8192, which needs a "
      .. "max_reply of 8644: the node has 1452\n", usual.stderr)
    remove()
  end)
end)
