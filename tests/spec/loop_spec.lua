local kad = require("kadenza")
local support = require("tests.spec.support")

local uv = require("luv")

local spec, local_node = support.spec, support.local_node

-- Runs luv's loop with kadenza's until `is_over` returns true. Another event
-- loop needs no more than this.
local function drive_from_luv(is_over)
  local poll = assert(uv.new_poll(kad.loop.fd()))
  local timer = assert(uv.new_timer())
  local guard = assert(uv.new_timer())

  local function plan()
    timer:stop()
    local seconds = kad.loop.timeout()
    if seconds then
      timer:start(math.ceil(seconds * 1000), 0, function()
        kad.loop.step()
        plan()
      end)
    end
    if is_over() then
      uv.stop()
    end
  end

  poll:start("r", function()
    kad.loop.step()
    plan()
  end)
  guard:start(20000, 0, uv.stop)
  plan()
  uv.run()
  for _, handle in ipairs({ poll, timer, guard }) do
    handle:close()
  end
  uv.run()
end

describe("kadenza.loop", function()
  it("is run by another event loop", spec(function(t)
    local over = false
    local finish = t.expect(1, function()
      over = true
    end)
    kad.spawn(function()
      local a = assert(kad.node(local_node()))
      local b = assert(kad.node(local_node({ listen = "127.0.0.2:0" })))
      assert(b:bootstrap(a:addresses()))
      assert(a:put(kad.key("a"), "1"))
      assert.equal("1", b:get(kad.key("a")))
      kad.sleep(0.01)
      finish()
    end)

    drive_from_luv(function()
      return over
    end)
    kad.loop.close()
  end))

  it("has an example that ends, with its timers", function()
    local file <close> = assert(io.open("scripts/kadenza/loop.lua"))
    local head = file:read("a"):match("^(.-)\n\n")
    local path = os.tmpname()
    local program <close> = assert(io.open(path, "w"))
    program:write('local kad = require("kadenza")\n')
    for line in head:gmatch("%-%-     ([^\n]*)") do
      program:write(line, "\n")
    end
    program:flush()
    local output <close> = assert(io.popen("timeout 20 "
      .. (os.getenv("LUA") or "lua5.4") .. " " .. path .. " 2>&1"))

    local text = output:read("a")
    os.remove(path)
    assert.equal("slept\n", text)
  end)

  it("has work at once for a timer that is due", spec(function(t)
    local network = kad.loop.network()
    network:start_timer(0, t.expect(1))

    assert.equal(0, kad.loop.timeout())
    kad.loop.step()
    kad.loop.close()
  end))

  it("has no timeout without timers", spec(function()
    kad.loop.step()

    assert.is_nil(kad.loop.timeout())
    kad.loop.close()
  end))

  it("counts the timeout in seconds", spec(function()
    kad.loop.network():start_timer(60000, function() end)
    kad.loop.step()

    local seconds = kad.loop.timeout()

    assert.is_true(seconds > 50 and seconds <= 60)
    kad.loop.close()
  end))

  it("raises an error of a callback from step", spec(function()
    kad.loop.network():start_timer(0, function()
      error("broken")
    end)

    assert.error_matches(kad.loop.step, "broken")
    kad.loop.step()
    kad.loop.close()
  end))

  it("runs until it is stopped", spec(function(t)
    kad.loop.network():start_timer(0, t.expect(1, kad.loop.stop))
    kad.loop.run()
    kad.loop.close()
  end))

  it("opens a new network after the default one was closed", spec(function()
    local first = kad.loop.network()
    assert.equal(first, kad.loop.network())
    kad.loop.close()
    assert.is_false(first:is_open())
    assert.is_true(kad.loop.network():is_open())
    kad.loop.close()
  end))
end)

describe("a network", function()
  it("does not call a timer that was stopped", spec(function(t)
    local network = kad.loop.network()
    local timer = network:start_timer(0, t.expect(0))

    assert.is_true(network:stop_timer(timer))
    assert.is_false(network:stop_timer(timer))
    network:step()
    kad.loop.close()
  end))

  it("returns that a timer has fired", spec(function(t)
    local network = kad.loop.network()
    local timer = network:start_timer(0, t.expect(1))
    network:step()

    assert.is_false(network:stop_timer(timer))
    kad.loop.close()
  end))

  it("keeps the functions of its timers from the collector", spec(function(t)
    local network = kad.loop.network()
    local called = t.expect(1)
    network:start_timer(0, function()
      called()
    end)
    collectgarbage()
    network:step()
    kad.loop.close()
  end))

  it("frees the functions of its timers", spec(function()
    local network = kad.loop.network()
    local held = setmetatable({}, { __mode = "k" })
    local function hold()
      local part = {}
      held[part] = true
      return function()
        return part
      end
    end
    network:start_timer(0, hold())
    network:stop_timer(network:start_timer(0, hold()))
    network:step()
    collectgarbage()
    collectgarbage()

    assert.is_nil(next(held))
    kad.loop.close()
  end))

  it("is closed by the collector", spec(function()
    local core = require("kadenza.core")
    do
      local network = core.udp()
      network:start_timer(1000, function()
        return network
      end)
      network:open_node({ allow_local = true }, { "127.0.0.1:0" })
    end
    collectgarbage()
    collectgarbage()
  end))

  it("cannot be closed or run by its own callback", spec(function(t)
    local network = kad.loop.network()
    network:start_timer(0, t.expect(1, function()
      assert.error_matches(function()
        network:close()
      end, "the network is being run")
      assert.error_matches(function()
        network:run()
      end, "the network is being run")
    end))
    network:step()
    kad.loop.close()
  end))

  it("raises once it is closed", spec(function()
    local network = kad.loop.network()
    network:close()
    network:close()

    for _, method in ipairs({
      "now", "random", "start_timer", "resolve", "on_signal", "run", "step",
      "stop", "fd", "timeout", "open_node",
    }) do
      assert.error_matches(function()
        network[method](network, 1, 2)
      end, "closed network")
    end
    assert.is_false(network:stop_timer(1)) -- its timers have ended
  end))

  it("checks ranges before it narrows numbers", spec(function()
    local network = kad.loop.network()
    for _, ms in ipairs({ -1, math.maxinteger, math.mininteger }) do
      assert.error_matches(function()
        network:start_timer(ms, print)
      end, "must be in 0 to")
    end
    assert.error_matches(function()
      network:start_timer(0.5, print)
    end, "no integer representation")
    kad.loop.close()
  end))

  it("returns random bytes", spec(function()
    local network = kad.loop.network()

    assert.equal(32, #network:random(32))
    assert.not_equal(network:random(32), network:random(32))
    assert.equal("", network:random(0))
    kad.loop.close()
  end))

  it("calls back for a signal", spec(function(t)
    local network = kad.loop.network()
    assert(network:on_signal("SIGUSR1", t.expect(2, function()
      network:stop()
    end)))
    for _ = 1, 2 do
      uv.kill(uv.os_getpid(), "sigusr1")
      network:run(20000)
    end
    kad.loop.close()
  end))

  it("ends tasks and nodes when it closes", spec(function(t)
    local node = assert(kad.node(support.local_node()))
    node:on_close(t.expect(1))
    local waiting = kad.spawn(function()
      local _ <close> = setmetatable({}, { __close = t.expect(1) })
      kad.sleep(1000)
    end)
    kad.loop.run(0)
    kad.loop.close()

    assert.equal("canceled", waiting:status())
    assert.is_false(node:is_open())
    kad.loop.close()
  end))

  it("cannot be run or closed by one of its tasks", spec(function()
    kad.run(function()
      for _, method in ipairs({ "run", "close" }) do
        support.assert_blames_caller("a task cannot run or close the network",
          function()
            kad.loop[method]()
          end)
      end
    end)
  end))

  it("survives the end of a Lua state inside a callback", function()
    local status = table.pack(os.execute("exec lua5.4 -e '"
      .. 'package.path = "' .. package.path .. '" '
      .. 'package.cpath = "' .. package.cpath .. '" '
      .. 'local kad = require("kadenza") kad.run(function() '
      .. 'kad.sleep(0) os.exit(3, true) end)' .. "' 2>&1"))

    assert.same({ nil, "exit", 3, n = 3 }, status)
  end)
end)
