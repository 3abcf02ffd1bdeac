local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local spec = support.spec
local with_sim = sim_support.with_sim

describe("kadenza.sim", function()
  it("makes an overlay whose nodes find each other's values",
    with_sim({ nodes = 30, seed = 1 }, function(net)
      net:perform(function()
        local info = assert(net.nodes[3]:put(kad.key("a"), "1"))
        assert.is_true(info.stored >= 8)
        for i = 1, 30 do
          assert.equal("1", net.nodes[i]:get(kad.key("a")))
        end
      end)
    end))

  it("advances its clock",
    with_sim({ nodes = 2, seed = 1 }, function(net)
      local before = net:now()
      net:run(7200)

      assert.equal(7200, net:now() - before)
    end))

  it("has a wall clock that begins with the year 2020",
    with_sim({ nodes = 1, seed = 1 }, function(net)
      net:perform(function()
        local before = kad.time()
        assert.equal("2020", os.date("!%Y", before))
        kad.sleep(86400)

        assert.equal(before + 86400, kad.time())
        assert.equal("integer", math.type(kad.time()))
      end)
    end))

  it("lets tasks sleep on its clock", with_sim({ seed = 1 }, function(net)
    local before, woken = net:now(), nil
    net:spawn(function()
      kad.sleep(100)
      woken = kad.now()
    end)
    net:run(99)
    assert.is_nil(woken)
    net:run(2)
    assert.equal(100, woken - before)
  end))

  it("gives the same run for the same seed", spec(function()
    local function run(seed)
      local net <close> = kad.sim({ nodes = 10, seed = seed, loss = 0.1 })
      net:perform(function()
        net.nodes[1]:put(kad.key("a"), "1")
        net.nodes[2]:get(kad.key("a"))
      end)
      return net:trace_hash()
    end

    local first = run(1)
    assert.equal(first, run(1))
    assert.not_equal(first, run(2))
    assert.matches("^%x+$", first)
  end))

  it("delays datagrams by its latency",
    with_sim({ nodes = 2, seed = 1, latency = { 250, 250 } }, function(net)
      local _, info = net:perform(function()
        return net.nodes[1]:ping(net.nodes[2]:addresses()[1])
      end)

      assert.equal(0.5, info.took)
    end))

  it("loses datagrams",
    with_sim({ nodes = 2, seed = 1, loss = 1, join = false }, function(net)
      local contact, message, code = net:perform(function()
        return net.nodes[1]:ping(net.nodes[2]:addresses()[1])
      end)

      assert.is_nil(contact)
      assert.equal("no answer in time", message)
      assert.equal("KAD_ETIMEOUT", code)
    end))

  it("joins all nodes although datagrams are lost",
    with_sim({ nodes = 50, seed = 1, loss = 0.2 }, function(net)
      for _, node in ipairs(net.nodes) do
        assert.is_true(#node:contacts() > 0)
      end
    end))

  it("logs how many nodes could not join", spec(function()
    local events = support.logged(function()
      kad.sim({ nodes = 3, seed = 1, loss = 1 }):close()
    end)

    assert.equal("not every node could join", events[1].message)
    assert.equal(2, events[1].fields.left)
  end))

  it("opens more nodes", with_sim({ nodes = 3, seed = 1 }, function(net)
    local late = assert(net:open())
    net:perform(function()
      assert(late:bootstrap(net.nodes[1]:addresses()))
    end)

    assert.equal(late, net.nodes[4])
    assert.equal(3, #late:contacts())
  end))

  it("gives nodes a configuration",
    with_sim({ nodes = 2, seed = 1, config = { id_bits = 256 } }, function(net)
      assert.equal(32, #net.nodes[1]:id())
    end))

  it("runs on after an error in a callback ended perform",
    with_sim({ seed = 1 }, function(net)
      assert.error_matches(function()
        net:perform(function()
          net.network:start_timer(1, function()
            error("broken")
          end)
          kad.sleep(10)
        end)
      end, "broken")
      local before = net:now()
      net:run(100)

      assert.equal(100, net:now() - before)
    end))

  it("raises when one of its tasks runs or closes it",
    with_sim({ seed = 1 }, function(net)
      net:perform(function()
        for _, method in ipairs({ "run", "perform", "close" }) do
          support.assert_blames_caller("a task cannot run or close",
            function()
              net[method](net, 1)
            end)
        end
      end)
    end))

  it("closes its nodes when a node cannot be opened", spec(function()
    local path = os.tmpname()
    support.assert_blames_caller("unknown option 'colour'", function()
      kad.sim({ nodes = 3, config = { colour = 1 } })
    end)
    support.assert_blames_caller(path, function()
      local file = assert(io.open(path, "w"))
      file:write("return {")
      file:close()
      kad.sim({ nodes = 3, policies = { path } })
    end)
    os.remove(path)
  end))

  it("raises the error of a task that no task awaited",
    with_sim({ seed = 1 }, function(net)
      support.logged(function()
        net:spawn(function()
          kad.sleep(1)
          error("broken")
        end)
        assert.error_matches(function()
          net:run(2)
        end, "broken")
        net:run(1) -- once is enough
      end)
    end))

  it("raises when a task can never end",
    with_sim({ seed = 1 }, function(net)
      assert.error_matches(function()
        net:perform(function()
          kad.wait(function() end)
        end)
      end, "the task still waits")
    end))

  it("ends tasks and nodes when it closes", spec(function()
    local net = kad.sim({ nodes = 2, seed = 1 })
    local node = net.nodes[1]
    local waiting = net:spawn(function()
      kad.sleep(1000)
    end)
    net:close()
    net:close()

    assert.is_false(node:is_open())
    assert.equal("canceled", waiting:status())
  end))

  it("calls `watch` and stays the same run", spec(function()
    local function run(watch)
      local net <close> = kad.sim({ nodes = 50, seed = 1, watch = watch })
      net:run(3600)
      net:perform(function()
        kad.sleep(5.5)
      end)
      return net:trace_hash() .. " " .. net:now()
    end
    local seen = 0
    local watched = run(function(net)
      assert.is_true(net:alive() > 0)
      seen = seen + 1
    end)
    assert.is_true(seen > 2)
    assert.equal(run(), watched)
  end))

  it("ends when `watch` raises an error", spec(function()
    assert.error_matches(function()
      kad.sim({ nodes = 50, watch = function()
        error("enough", 0)
      end })
    end, "^enough$")
    local net <close> = kad.sim({ nodes = 5 })
    net.watch = function()
      error("enough", 0)
    end
    assert.error_matches(function()
      net:run(1e6)
    end, "^enough$")
  end))

  for _, case in ipairs({
    { "colour", 1, "unknown option 'colour'" },
    { "nodes", 1.5, "option 'nodes' must be an integer" },
    { "nodes", -1, "option 'nodes' must be in 0 to 1000000" },
    { "loss", 1.5, "option 'loss' must be a number in 0 to 1" },
    { "latency", { 5 }, "option 'latency' must hold two integers" },
    { "latency", "fast", "jimenez2011" },
    { "seed", "1", "option 'seed' must be an integer" },
    { "jitter", -1, "option 'jitter'" },
    { "duplicate", 2, "option 'duplicate' must be a number in 0 to 1" },
    { "reorder", "a", "option 'reorder' must be a number in 0 to 1" },
    { "bandwidth", "a", "option 'bandwidth'" },
    { "churn", {}, "option 'median' is needed" },
    { "watch", 1, "option 'watch' must be a function" },
  }) do
    local name, value, message = table.unpack(case)
    it(("raises for %s = %s"):format(name, value), spec(function()
      support.assert_blames_caller(message, function()
        kad.sim({ [name] = value })
      end)
    end))
  end

  it("blames the caller for what is done when it is closed", spec(function()
    local net = kad.sim({ nodes = 1, seed = 1 })
    net:close()
    for name, method in pairs(getmetatable(net)) do
      if type(method) == "function" and name:sub(1, 2) ~= "__"
        and name ~= "close" and name ~= "alive"
      then
        support.assert_blames_caller("closed network", function()
          local _ = method(net)
        end)
      end
    end
    assert.equal(0, net:alive())
  end))

  it("blames the caller for a call without a colon",
    with_sim({ nodes = 1, seed = 1 }, function(net)
      support.assert_blames_caller("call 'now' with a colon", function()
        local _ = net.now()
      end)
    end))

  it("blames the caller for a task that is no function",
    with_sim({ nodes = 1, seed = 1 }, function(net)
      support.assert_blames_caller("a task needs a function, not string",
        function()
          local _ = net:perform("text")
        end)
    end))

  it("reads lists and options without metamethods",
    with_sim({ nodes = 2, seed = 1 }, function(net)
      local list = setmetatable({ net.nodes[1] }, { __len = tostring })
      assert.same({ net.nodes[1] }, net:choose(list))
      local options = setmetatable({ listen = "192.0.2.9:1" },
        { __pairs = function() end })
      local node = assert(net:open(options))
      assert.equal("192.0.2.9:1", node:addresses()[1])
    end))

  it("blames the caller for seconds and keys that are out of range",
    with_sim({ nodes = 2, seed = 1 }, function(net)
      for _, name in ipairs({ "suspend", "restart" }) do
        for _, seconds in ipairs({ -1, 1e300, 0 / 0 }) do
          support.assert_blames_caller("seconds must be a number from 0",
            function()
              local _ = net[name](net, 1, seconds)
            end)
        end
      end
      for _, key in ipairs({ "", "x", ("k"):rep(32) }) do
        support.assert_blames_caller("the key must have 20 bytes", function()
          local _ = net:sybils(1, key)
        end)
      end
    end))

  it("blames the caller for a restart of a closed node",
    with_sim({ nodes = 2, seed = 1 }, function(net)
      local node = net.nodes[1]
      node:close()
      support.assert_blames_caller("closed node", function()
        local _ = net:restart(node)
      end)
    end))
end)
