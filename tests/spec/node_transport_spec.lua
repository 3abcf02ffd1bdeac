-- Nodes with a transport of the program instead of sockets.

local kad = require("kadenza")
local support = require("tests.spec.support")

local spec = support.spec
local assert_blames_caller = support.assert_blames_caller

-- A transport that passes a datagram to the node with its address, or drops all
-- if `wire.cut`.
local function new_wire()
  local wire = { nodes = {}, sent = 0 }

  -- Returns the options of a node at `address`.
  function wire.options(address, more)
    local options = {
      listen = address,
      transport = {
        send = function(bytes, to)
          wire.sent = wire.sent + 1
          local node = wire.nodes[to]
          if node and node:is_open() and not wire.cut then
            node:receive(bytes, address)
          end
        end,
      },
    }
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    return options
  end

  -- Opens `count` nodes with `open`, each of which joins the first.
  function wire.grow(open, count, more)
    for i = 1, count do
      local address = "10.0.0." .. i .. ":1"
      local node = assert(open(wire.options(address, more)))
      wire.nodes[address] = node
      wire[i] = node
      if i > 1 then
        assert(node:bootstrap({ "10.0.0.1:1" }))
      end
    end
  end

  return wire
end

-- Runs `fn(wire, net)` as a task with `count` nodes on a wire in virtual time.
local function on_wire(count, fn, more)
  return spec(function(t)
    local net <close> = kad.sim({ join = false, seed = 2 })
    local wire = new_wire()
    net:perform(function()
      wire.grow(function(options)
        return net:open(options)
      end, count, more)
      fn(wire, net, t)
    end)
  end)
end

describe("A transport", function()
  it("carries an overlay in virtual time", on_wire(20, function(wire)
    assert(wire[3]:put(kad.key("a"), "by hand"))
    assert.equal("by hand", wire[17]:get(kad.key("a")))
    assert.same({ "10.0.0.3:1" }, wire[3]:addresses())
    assert.equal("healthy", wire[3]:state())
    local out = 0
    for i = 1, 20 do
      out = out + wire[i]:stats().datagrams_out
    end
    assert.equal(out, wire.sent)
  end))

  it("carries an overlay on the default loop", spec(function()
    local wire = new_wire()
    kad.run(function()
      wire.grow(kad.node, 5)
      assert(wire[2]:put(kad.key("a"), "b"))
      assert.equal("b", wire[5]:get(kad.key("a")))
    end, { timeout = 20 })
  end))

  it("has addresses of its own", on_wire(2,
    function(wire)
      assert.equal("10.0.0.1:1", wire[2]:contacts()[1].address)
      assert.equal("10.0.0.2:1", assert(wire[1]:ping("10.0.0.2:1")).address)
    end))

  it("may lose datagrams", on_wire(2, function(wire)
    wire.cut = true
    local contact, message = wire[1]:ping("10.0.0.2:1")
    assert.is_nil(contact)
    assert.equal("no answer in time", message)
  end))

  it("works in a simulation, repeatably", spec(function()
    local function run()
      local net <close> = kad.sim({ join = false, seed = 5 })
      local wire = new_wire()
      local seen = {}
      net:perform(function()
        wire.grow(function(options)
          local send = options.transport.send
          options.transport.send = function(bytes, to)
            seen[#seen + 1] = to .. bytes
            send(bytes, to)
          end
          return net:open(options)
        end, 6)
        wire[2]:put(kad.key("a"), "b")
      end)
      return table.concat(seen)
    end
    assert.equal(run(), run())
  end))

  it("works with a codec and other policies", on_wire(4, function(wire)
    assert.equal("la", wire[3]:call("10.0.0.2:1", "sing").song)
  end, { policies = { {
    rpc = { sing = function() return { song = "la" } end },
  } } }))

  it("may close its node", on_wire(2, function(wire, net)
    local node
    node = assert(net:open(wire.options("10.0.0.9:1", {
      transport = {
        send = function()
          node:close()
        end,
      },
    })))
    local contact, _, code = node:ping("10.0.0.1:1")
    assert.is_nil(contact)
    assert.equal("KAD_ECLOSED", code)
    assert.is_false(node:is_open())
  end))

  it("may start operations", on_wire(2, function(wire, net, t)
    local node
    local finish = t.expect(1)
    local begun = false
    node = assert(net:open(wire.options("10.0.0.9:1", {
      transport = {
        send = function()
          if not begun then
            begun = true
            node:ping("10.0.0.1:1", finish)
          end
        end,
      },
    })))
    assert.is_nil((node:ping("10.0.0.2:1")))
    kad.sleep(5)
  end))

  it("raises its errors from the loop", spec(function()
    local net <close> = kad.sim({ join = false })
    local node = assert(net:open({
      transport = {
        send = function()
          error("the wire is cut")
        end,
      },
    }))
    node:ping("10.0.0.2:1", function() end)
    assert.error_matches(function()
      net:run(1)
    end, "the wire is cut")
  end))

  it("has the address 10.0.0.1:1 by default",
    spec(function()
      local net <close> = kad.sim({ join = false })
      local node = assert(net:open({ transport = { send = function() end } }))
      assert.is_string(node:addresses()[1])
      kad.run(function()
        local other = assert(kad.node({ transport = { send = print } }))
        assert.same({ "10.0.0.1:1" }, other:addresses())
      end)
    end))

  local mistakes = {
    { { transport = 1 }, "option 'transport' must be a table, not number" },
    { { transport = {} }, "option 'transport' needs a function send" },
    { { transport = { send = 1 } }, "option 'send' must be a function" },
    { { transport = { send = print, recieve = print } },
      "unknown option 'recieve'" },
    { { transport = { send = print }, listen = "10.0.0.1:0" },
      "option 'listen': with a transport a port is needed" },
  }
  for _, case in ipairs(mistakes) do
    it("raises: " .. case[2], spec(function()
      kad.run(function()
        assert_blames_caller(case[2], function()
          kad.node(case[1])
        end)
      end)
    end))
  end
end)

describe("node:receive", function()
  it("counts malformed datagrams", on_wire(1, function(wire)
    assert.is_true(wire[1]:receive("nonsense", "10.0.0.7:1"))
    kad.sleep(0.1)
    assert.equal(1, wire[1]:stats().dropped_malformed)
  end))

  it("drops datagrams that are too many or too large", on_wire(1, function(wire)
    local taken, message, code =
      wire[1]:receive(("x"):rep(1501), "10.0.0.7:1")
    assert.is_nil(taken)
    assert.equal("too large", message)
    assert.equal("KAD_ETOOBIG", code)
    kad.sleep(0.1) -- the rest runs in a callback of the network
    local lost = 0
    for _ = 1, 300 do
      local fine, _, kind = wire[1]:receive("x", "10.0.0.7:1")
      lost = lost + (fine and 0 or 1)
      assert.is_true(fine or kind == "KAD_EFULL")
    end
    assert.equal(300 - 256, lost)
  end))

  it("blames its caller for mistakes", on_wire(1, function(wire, net)
    local plain = assert(net:open({}))
    for _, case in ipairs({
      { wire[1], 7, "10.0.0.7:1", "bytes must be a string, not number" },
      { wire[1], "x", 7, "address must be a string, not number" },
      { wire[1], "x", "nothing", "'nothing' is not an address such as" },
      { plain, "x", "10.0.0.7:1", "this node has sockets" },
    }) do
      assert_blames_caller(case[4], function()
        case[1]:receive(case[2], case[3])
      end)
    end
    wire[1]:close()
    assert_blames_caller("closed node", function()
      wire[1]:receive("x", "10.0.0.7:1")
    end)
  end))
end)
