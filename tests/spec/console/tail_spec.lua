-- Tests scripts/kadenza/console/tail.lua, scripts/kadenza/cli/tail.lua,
-- bindings/lua/tap.c.

local cli = require("kadenza.cli.tail")
local consoles = require("tests.spec.support.console")
local core = require("kadenza.core")
local dkjson = require("dkjson")
local kad = require("kadenza")
local process = require("tests.spec.support.process")
local server = require("kadenza.console.server")
local support = require("tests.spec.support")
local tail = require("kadenza.console.tail")
local task = require("kadenza.task")

describe("the tail of a node's datagrams", function()
  local folder, remove, path

  before_each(function()
    folder, remove = support.temporary_folder()
    path = folder .. "/console"
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  -- Calls `body(node, other, follow)`; `follow(request)` opens a console that
  -- follows the node and returns a function that returns the next event.
  local function with_node(body)
    return function()
      kad.run(function()
        local node = assert(kad.node({ listen = "127.0.0.1:0",
          allow_local = true }))
        local other = assert(kad.node({ listen = "127.0.0.1:0",
          allow_local = true }))
        -- The node, with a list of what becomes of its tap.
        local taps, core_of_node = {}, node.core
        local watched = setmetatable({ core = {
          tap = function(_, fn)
            taps[#taps + 1] = fn and "on" or "off"
            core_of_node:tap(fn)
          end,
          id_bits = function()
            return core_of_node:id_bits()
          end,
          is_open = function()
            return core_of_node:is_open()
          end,
        } }, { __index = node })
        local tails, own = tail.new(watched), assert(server.open(path))
        own:start(task.network(), { tail = function(request, console)
          return tails:follow(request, console)
        end })
        body(node, other, function(request)
          local peer = consoles.connect(path)
          request.command, request.id = "tail", 1
          peer:send(require("kadenza.json").encode(request) .. "\n")
          local function read()
            local reply = dkjson.decode(assert(peer:line()))
            return reply.event or reply, peer
          end
          return read, read()
        end, taps)
        own:close()
      end, { timeout = 30 })
    end
  end

  it("says what a message is", function()
    local id = ("\1"):rep(20)
    local function summary(message)
      return tail.summary(core.encode(message), 20)
    end
    assert.same({ kind = "query", query = "find_node", id = ("01"):rep(20),
      target = ("02"):rep(20) }, summary({ y = "q", q = "find_node", t = "a",
      a = { id = id, target = ("\2"):rep(20) } }))
    assert.same({ kind = "reply", id = ("01"):rep(20), nodes = 2, values = 1 },
      summary({ y = "r", t = "a", r = { id = id, nodes = ("x"):rep(52),
        values = { "v" } } }))
    assert.same({ kind = "error", error = "203 wrong" },
      summary({ y = "e", t = "a", e = { 203, "wrong" } }))
    for _, bytes in ipairs({ "", "x", "le", "d1:y1:qe", "i7e",
      "d1:ai7e1:q1:x1:y1:qe", ("d1:a"):rep(300), "\255\0" }) do
      assert.is_string(tail.summary(bytes, 20).kind)
    end
  end)

  it("shows what comes in and goes out", with_node(function(node, other, follow)
    local read, started = follow({})
    assert.equal(100, started.rate)
    assert(other:ping(node:addresses()[1]))
    local event = read()
    assert.equal("in", event.event)
    assert.equal("query", event.kind)
    assert.equal("ping", event.query)
    assert.equal(other:addresses()[1], event.peer)
    assert.equal(kad.hex(other:id()), event.id)
    assert.is_true(event.size > 50)
    event = read()
    assert.equal("out", event.event)
    assert.equal("reply", event.kind)
  end))

  it("shows only what is asked for", with_node(function(node, other, follow)
    local pings = follow({ event = "in", kind = "ping" })
    local drops = follow({ reason = "malformed" })
    local others = follow({ peer = "192.0.2.1" })
    local queries = follow({ peer = other:addresses()[1], kind = "find_node" })
    assert(other:ping(node:addresses()[1]))
    assert(other:bootstrap(node:addresses()))
    local socket = require("luv").new_udp()
    local port = math.tointeger(node:addresses()[1]:match("%d+$"))
    socket:try_send("no message", "127.0.0.1", port)
    local event = drops()
    socket:close()
    require("luv").run("nowait")
    assert.equal("drop", event.event)
    assert.equal("malformed", event.reason)
    assert.equal("other", event.kind)
    assert.equal(10, event.size)
    assert.equal("ping", pings().query)
    assert.equal("find_node", queries().query)
    local _ = others
  end))

  it("shows so many a second, and counts the others",
    with_node(function(node, other, follow)
      local read = follow({ rate = 2, kind = "ping", event = "in" })
      local function ping()
        assert(other:ping(node:addresses()[1]))
      end
      for _ = 1, 6 do
        ping()
      end
      assert.is_nil(read().left_out)
      assert.is_nil(read().left_out)
      kad.sleep(1.05)
      ping()
      assert.equal(4, read().left_out)
    end))

  it("costs nothing more when no console follows",
    with_node(function(node, other, follow, taps)
      local _, _, peer = follow({})
      local _, _, second = follow({})
      assert.same({ "on" }, taps)
      peer:close()
      second:close()
      for _ = 1, 1000 do
        if #taps == 2 then
          break
        end
        kad.sleep(0.005)
      end
      assert.same({ "on", "off" }, taps)
      assert(other:ping(node:addresses()[1]))
    end))

  it("refuses a wrong filter", with_node(function(_, _, follow)
    for _, request in ipairs({ { event = "x" }, { kind = 7 }, { rate = 0 },
      { rate = 1001 }, { rate = "a" }, { peer = {} } }) do
      local _, reply = follow(request)
      assert.equal("KAD_EINVAL", reply.error.code)
    end
  end))

  it("is a line for people", function()
    assert.equal("00:00:01 in   192.0.2.1:6881        query find_node target "
      .. "0202020202 95 bytes\n", cli.line({ time = 1, event = "in",
      peer = "192.0.2.1:6881", kind = "query", query = "find_node",
      target = ("02"):rep(20), size = 95 }))
    assert.equal("(3 left out)\n00:00:01 drop 192.0.2.1:6881        (limited) "
      .. "query a\\x1b 95 bytes\n", cli.line({ time = 1, event = "drop",
      peer = "192.0.2.1:6881", kind = "query", query = "a\27", size = 95,
      reason = "limited", left_out = 3 }))
    assert.equal("00:00:01 out  192.0.2.1:6881        reply nodes=8 values=1 "
      .. "400 bytes\n", cli.line({ time = 1, event = "out",
      peer = "192.0.2.1:6881", kind = "reply", nodes = 8, values = 1,
      size = 400 }))
  end)

  it("is printed by kadenza tail until Ctrl-C", function()
    local node = process.start_node({ "--console", path })
    local function follow(...)
      return process.start({ "tail", "--console", path, ... })
    end
    local all, one = follow(), follow("--count", "1", "--json", "--kind",
      "reply")
    repeat
      process.run({ "ping", node.address, "--allow-local" })
    until all.stdout:find("query ping") and one.status
    assert.equal(0, one.status)
    assert.equal("reply", dkjson.decode(one.stdout).kind)
    all:kill("sigint")
    assert.equal(0, all:wait())
    assert.equal("", all.stderr)
    local wrong = process.run({ "tail", "--console", path, "--event", "x" })
    assert.equal(2, wrong.status)
    assert.matches("%-%-event must be in, out or drop", wrong.stderr)
  end)
end)
