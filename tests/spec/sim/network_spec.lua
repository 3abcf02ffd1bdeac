local kad = require("kadenza")
local support = require("tests.spec.support")

local spec = support.spec

local function with_sim(options, fn)
  return spec(function(t)
    local net <close> = kad.sim(options)
    return fn(net, t)
  end)
end

-- Returns whether one node answers another.
local function reaches(net, from, to)
  return (net:perform(function()
    return from:ping(to:addresses()[1])
  end)) ~= nil
end

describe("a simulated network", function()
  it("lets a thousand nodes join one overlay", spec(function()
    local net <close> = kad.sim({ nodes = 1000, seed = 3 })
    assert.is_true(net:now() < 60)
    net:run(60)
    for i = 1, 1000, 50 do
      assert.is_true(#net.nodes[i]:contacts() > 20)
    end
    net:perform(function()
      assert(net.nodes[1]:put(kad.key("a"), "1"))
      for i = 100, 1000, 100 do
        assert.equal("1", (net.nodes[i]:get(kad.key("a"))))
      end
    end)
  end))

  it("gives each node a subnet of its own", with_sim({ nodes = 300,
    join = false }, function(net)
    local subnets = {}
    for _, node in ipairs(net.nodes) do
      local subnet = node:addresses()[1]:match("^%d+%.%d+%.%d+")
      assert.is_nil(subnets[subnet])
      subnets[subnet] = true
    end
  end))

  it("does at a time what is planned for it", with_sim({}, function(net)
    local began, called = net:now(), nil
    net:at(began + 10, function(given)
      called = given:now()
      kad.sleep(1)
    end)
    local canceled = net:at(began + 5, function()
      error("was canceled")
    end)
    canceled:cancel()
    net:run(9.9)
    assert.is_nil(called)
    net:run(1)
    assert.equal(began + 10, called)
    support.assert_blames_caller("time must not be before now", function()
      net:at(began, function() end)
    end)
    support.assert_blames_caller("a function is needed", function()
      net:at(began + 100)
    end)
  end))

  it("does again and again what is to be done so", with_sim({}, function(net)
    local began, times = net:now(), {}
    local task = net:every(10, function()
      times[#times + 1] = net:now() - began
      if #times == 2 then
        kad.sleep(25) -- two turns are missed
      end
    end)
    net:run(65)
    assert.same({ 10, 20, 50, 60 }, times)
    task:cancel()
    net:run(60)
    assert.equal(4, #times)

    local count = 0
    net:every(1, function()
      count = count + 1
      return count < 3
    end)
    net:run(10)
    assert.equal(3, count)
    support.assert_blames_caller("seconds must be at least", function()
      net:every(0, function() end)
    end)
  end))

  it("chooses live nodes, the same ones for the same seed", spec(function()
    local function draw(seed)
      local net <close> = kad.sim({ nodes = 20, seed = seed, join = false })
      local chosen, seen = net:choose(5), {}
      for i, node in ipairs(chosen) do
        assert.is_nil(seen[node])
        seen[node] = true
        chosen[i] = node:addresses()[1]
      end
      assert.equal(10, #net:choose(0.5))
      assert.equal(20, #net:choose(100))
      assert.equal(1, #net:choose())
      net.nodes[1]:close()
      assert.equal(19, #net:choose(20))
      assert.equal(19, net:alive())
      return table.concat(chosen, " ")
    end
    assert.equal(draw(1), draw(1))
    assert.not_equal(draw(1), draw(2))
  end))

  it("refuses to choose what is no node of its own", with_sim({ nodes = 2 },
    function(net)
      local other <close> = kad.sim({ nodes = 1 })
      for _, case in ipairs({
        { -1, "neither a number of nodes nor a share" },
        { 1.5, "neither a number of nodes nor a share" },
        { "a", "a node is needed, not string" },
        { { 5 }, "a node is needed, not number" },
        { other.nodes[1], "the node is of another network" },
      }) do
        for _, method in ipairs({ "choose", "kill", "leave", "suspend" }) do
          assert.error_matches(function()
            net[method](net, case[1])
          end, case[2], 1, true)
        end
      end
      assert.equal(2, net:alive())
    end))

  it("blames whoever chose, named options, or had it do so",
    with_sim({ nodes = 2 }, function(net)
      support.assert_blames_caller("a node is needed", function()
        net:choose("a")
      end)
      support.assert_blames_caller("a node is needed", function()
        net:kill("a")
      end)
      support.assert_blames_caller("options must be a table", function()
        net:hostile(1, "liar", 5)
      end)
      support.assert_blames_caller("options must be a table", function()
        net:join("a")
      end)
      support.assert_blames_caller("unknown option 'kk'", function()
        kad.sim({ nodes = 1, config = { kk = 1 } })
      end)
    end))

  it("kills nodes without a word", spec(function()
    local stopped, closed = 0, 0
    local net <close> = kad.sim({ nodes = 10, seed = 1, policies = { {
      on_stop = function()
        stopped = stopped + 1
      end,
      every = { { seconds = 1, run = function(node)
        assert(node:is_open())
      end } },
    } } })
    local third = net.nodes[3]
    third:on_close(function()
      closed = closed + 1
    end)
    assert.same({ third }, net:kill(third))
    assert.is_false(third:is_open())
    assert.equal(9, #net.nodes)
    assert.is_nil(net:place_of(third))
    assert.same({}, net:kill(third))
    net:run(10)
    assert.equal(0, stopped + closed)
    assert.equal(1, net:statistics().crashed)
  end))

  it("ends what a killed node was about", with_sim({ nodes = 5, loss = 1,
    join = false }, function(net)
    local results
    net:spawn(function()
      results =
        table.pack(net.nodes[1]:bootstrap(net.nodes[2]:addresses()))
    end)
    net:kill(net.nodes[1])
    net:run(1)
    assert.equal("KAD_ECLOSED", results[3])
  end))

  it("lets nodes leave as they close", spec(function()
    local stopped = 0
    local net <close> = kad.sim({ nodes = 10, seed = 1, policies = { {
      on_stop = function()
        stopped = stopped + 1
      end,
    } } })
    net:leave(0.3)
    assert.equal(3, stopped)
    assert.equal(7, net:alive())
    assert.equal(3, net:statistics().left)
  end))

  it("lets nodes join, inside of a task and outside", with_sim({ nodes = 10 },
    function(net)
      local one = net:join()
      assert.equal("healthy", one:state())
      local three = net:join(3, { read_only = true })
      assert.equal(3, #three)
      net:perform(function()
        assert.equal("healthy", net:join({ id = ("a"):rep(40) }):state())
      end)
      assert.equal(15, net:alive())
      support.assert_blames_caller("unknown option 'colour'", function()
        net:join({ colour = 1 })
      end)
      support.assert_blames_caller("the number of nodes", function()
        net:join(1.5)
      end)
    end))

  it("has a first node that nobody waits for", with_sim({}, function(net)
    net:join()
    assert.equal("healthy", net:join():state())
  end))

  it("parts nodes from all others, and heals", with_sim({ nodes = 20,
    seed = 1 }, function(net)
    local away = net:partition({ net.nodes[1], net.nodes[2] })[1]
    assert.equal(2, #away)
    assert.is_true(reaches(net, net.nodes[1], net.nodes[2]))
    assert.is_false(reaches(net, net.nodes[1], net.nodes[3]))
    assert.is_true(reaches(net, net.nodes[3], net.nodes[4]))
    net:heal()
    assert.is_true(reaches(net, net.nodes[1], net.nodes[3]))
    assert.equal(10, #net:partition(0.5)[1])
    assert.is_true(net:statistics().partitioned > 0)
  end))

  it("parts several groups", with_sim({ nodes = 9 }, function(net)
    local nodes = net.nodes
    net:partition({ { nodes[1], nodes[2] }, { nodes[3], nodes[4] } })
    assert.is_true(reaches(net, nodes[3], nodes[4]))
    assert.is_false(reaches(net, nodes[1], nodes[3]))
    assert.is_false(reaches(net, nodes[3], nodes[5]))
  end))

  it("lets newcomers join on one side", with_sim({ nodes = 20, seed = 4 },
    function(net)
      local sides = net:partition(net:choose(20))
      assert.equal(20, #sides[1])
      local late = net:join()
      assert.is_true(reaches(net, late, net.nodes[1]))
    end))

  it("restarts nodes as who they were", with_sim({ nodes = 12, seed = 1 },
    function(net)
      local before, id = net.nodes[4], net.nodes[4]:id()
      local address = before:addresses()[1]
      net:perform(function()
        assert(before:put(kad.key("a"), "1"))
      end)
      local began = net:now()
      local after = net:restart(before, 60)[1]
      assert.is_true(net:now() - began >= 60)
      assert.is_false(before:is_open())
      assert.equal(id, after:id())
      assert.equal(address, after:addresses()[1])
      assert.equal("healthy", after:state())
      assert.equal(12, net:alive())
      assert.same({}, after:held(kad.key("a")))
    end))

  it("restarts all nodes together", with_sim({ nodes = 12, seed = 1 },
    function(net)
      assert.equal(12, #net:restart(net.nodes))
      assert.equal(12, net:alive())
      for _, node in ipairs(net.nodes) do
        assert.is_true(#node:contacts() > 0)
      end
    end))

  it("lets nodes sleep and wakes them", with_sim({ nodes = 5 }, function(net)
    local sleeper = net.nodes[2]
    net:suspend(sleeper, 100)
    assert.is_false(reaches(net, net.nodes[1], sleeper))
    net:run(100)
    assert.is_true(reaches(net, net.nodes[1], sleeper))
    net:suspend(sleeper)
    net:wake()
    assert.is_true(reaches(net, net.nodes[1], sleeper))
  end))

  it("moves nodes to other addresses", with_sim({ nodes = 5 }, function(net)
    local before = net.nodes[2]:addresses()[1]
    net:move(net.nodes[2])
    local after = net.nodes[2]:addresses()[1]
    assert.not_equal(before, after)
    local first = net.nodes[1]
    net:perform(function()
      assert.is_truthy(first:ping(after))
      assert.is_nil(first:ping(before))
    end)
  end))

  it("lets clocks be wrong", with_sim({ nodes = 2 }, function(net)
    net:skew(1, { drift = 1000, ahead = -3600 })
    support.assert_blames_caller("'drift' must be in", function()
      net:skew(1, { drift = 1000000 })
    end)
    support.assert_blames_caller("'ahead' must be a hundred years", function()
      net:skew(1, { ahead = 1 << 40 })
    end)
    support.assert_blames_caller("unknown option 'late'", function()
      net:skew(1, { late = 1 })
    end)
  end))

  it("lets nodes break the rules", with_sim({ nodes = 20, seed = 1 },
    function(net)
      local bad = net:hostile(5, "silent")
      assert.equal(5, #bad)
      net:perform(function()
        local node = net:draw_joined()
        assert.is_truthy(node:ping(bad[1]:addresses()[1]))
        assert.is_nil((node:call(bad[1]:addresses()[1], "hello")))
      end)
      for _ = 1, 50 do
        assert.is_nil(net.hostiles[net:draw_joined()])
      end
      net:hostile(bad, "honest")
      assert.is_nil(next(net.hostiles))
      net:hostile(bad[1], "flooder", { rate = 50 })
      local before = net:statistics().sent
      net:run(10)
      assert.is_true(net:statistics().sent - before >= 200)
    end))

  it("gathers sybils around a key, closer than anybody else",
    with_sim({ nodes = 30, seed = 1 }, function(net)
      local key = kad.key("a")
      local sybils = net:sybils(10, key)
      assert.equal(10, #sybils)
      assert.equal(40, net:alive())
      for _, node in ipairs(sybils) do
        assert.equal(key:sub(1, 4), node:id():sub(1, 4))
        assert.equal("sybil", net.hostiles[node].kind)
      end
      net:perform(function()
        local found = {}
        for _, contact in ipairs(net.nodes[1]:find_node(key)) do
          found[contact.id] = true
        end
        local count = 0
        for _, node in ipairs(sybils) do
          count = count + (found[node:id()] and 1 or 0)
        end
        assert.is_true(count > 0)
      end)
    end))

  it("says what is wrong with hostile nodes", with_sim({ nodes = 2 },
    function(net)
      for _, case in ipairs({
        { "rude", nil, "the kind must be silent, liar, sybil" },
        { "sybil", nil, "option 'key' is needed" },
        { "sybil", { key = "short" }, "option 'key' must have 20 bytes" },
        { "flooder", { rate = 0 }, "option 'rate' must be in 1 to 1000" },
        { "flooder", { speed = 1 }, "unknown option 'speed'" },
      }) do
        support.assert_blames_caller(case[3], function()
          net:hostile(1, case[1], case[2])
        end)
      end
      support.assert_blames_caller("must be a positive integer", function()
        net:sybils(0, kad.key("a"))
      end)
    end))

  it("puts nodes behind NATs", with_sim({ nodes = 100, seed = 1, nat = {
    symmetric = 0.2, port_restricted = 0.3 } }, function(net)
    local counts = { open = 0 }
    for _, node in ipairs(net.nodes) do
      local kind = net.nats[node] or "open"
      counts[kind] = (counts[kind] or 0) + 1
    end
    assert.is_nil(net.nats[net.nodes[1]])
    assert.is_true(math.abs(counts.symmetric - 20) <= 16, counts.symmetric)
    assert.is_true(math.abs(counts.port_restricted - 30) <= 18)
    assert.is_true(counts.open > 20)

    local inside = net:join()
    net:run(600) -- who it joined by is forgotten
    net:nat(inside, "port_restricted", { idle = 5 })
    local outside = net.nodes[1]
    assert.is_false(reaches(net, outside, inside))
    assert.is_true(reaches(net, inside, outside))
    assert.is_true(reaches(net, outside, inside))
    local again = net:restart(inside)[1]
    assert.equal("port_restricted", net.nats[again])
    net:nat(again, "open")
    assert.is_true(reaches(net, net.nodes[2], again))
    assert.is_nil(net.nats[again])
  end))

  it("says what is wrong with NATs", spec(function()
    for _, case in ipairs({
      { { open = 0.5 }, "unknown option 'open'" },
      { { symmetric = 2 }, "option 'symmetric' must be in 0 to 1" },
      { { symmetric = 0.6, restricted = 0.6 }, "shares is more than 1" },
      { { idle = 0 }, "option 'idle' must be in 1 to 86400" },
    }) do
      support.assert_blames_caller(case[2], function()
        kad.sim({ nat = case[1] })
      end)
    end
    local net <close> = kad.sim({ nodes = 2 })
    support.assert_blames_caller("the kind must be one of open, full_cone",
      function()
        net:nat(1, "strict")
      end)
    support.assert_blames_caller("option 'idle' must be in", function()
      net:nat(1, "symmetric", { idle = 100000 })
    end)
  end))

  it("tells of every datagram", with_sim({ nodes = 10, loss = 0.2, seed = 2 },
    function(net)
      local counts = { delivered = 0, lost = 0 }
      local before = net:statistics()
      net:trace(function(fate, from, to, bytes)
        counts[fate] = counts[fate] + 1
        assert.matches("^%d+%.%d+%.%d+%.%d+:6881$", from)
        assert.matches("^%d+%.%d+%.%d+%.%d+:6881$", to)
        assert.is_true(#bytes > 20)
      end)
      net:perform(function()
        net.nodes[1]:find_node(net.nodes[1]:id())
        kad.sleep(10)
      end)
      net:trace()
      local after = net:statistics()
      assert.is_true(counts.delivered > 10 and counts.lost > 0)
      assert.equal(after.delivered - before.delivered, counts.delivered)
      assert.equal(after.lost - before.lost, counts.lost)
      net:run(1000)
      assert.equal(after.lost - before.lost, counts.lost)
    end))

  it("writes a trace to a file", with_sim({ nodes = 5 }, function(net)
    local path = os.tmpname()
    assert(net:trace(path))
    net:perform(function()
      net.nodes[1]:ping(net.nodes[2]:addresses()[1])
    end)
    net:trace()
    local file <close> = assert(io.open(path))
    local text = "\n" .. file:read("a")
    os.remove(path)
    assert.matches("\n%d+%.%d%d%d delivered 20%.0%.1%.1:6881 20%.0%.2%.1:6881 "
      .. "%d+ ping\n", text)
    assert.matches(" delivered 20%.0%.2%.1:6881 20%.0%.1%.1:6881 %d+ reply\n",
      text)
    local traced, message, code = net:trace("/nonexistent/trace")
    assert.is_nil(traced)
    assert.matches("/nonexistent/trace", message)
    assert.equal("KAD_ESYSTEM", code)
  end))

  it("says when a trace cannot be written whole", with_sim({ nodes = 5 },
    function(net)
      local device = io.open("/dev/full", "wb")
      if not device then
        return -- not every system has one
      end
      device:close()
      assert(net:trace("/dev/full"))
      net:perform(function()
        net.nodes[1]:ping(net.nodes[2]:addresses()[1])
      end)
      local ended, message, code = net:trace()
      assert.is_nil(ended)
      assert.equal("string", type(message))
      assert.equal("KAD_ESYSTEM", code)
      assert.is_true(net:trace())
    end))

  it("shows who watches how far it is, and is the same run", spec(function()
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

  it("ends when who watches raises an error", spec(function()
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

  for name, case in pairs({
    nodes = { -1, "option 'nodes' must be in 0 to 1000000" },
    jitter = { -1, "option 'jitter'" },
    duplicate = { 2, "option 'duplicate' must be a number in 0 to 1" },
    reorder = { "a", "option 'reorder' must be a number in 0 to 1" },
    bandwidth = { "a", "option 'bandwidth'" },
    latency = { "fast", "jimenez2011" },
    churn = { {}, "option 'median' is needed" },
    watch = { 1, "option 'watch' must be a function" },
  }) do
    it("raises for a wrong " .. name, spec(function()
      support.assert_blames_caller(case[2], function()
        kad.sim({ [name] = case[1] })
      end)
    end))
  end
end)
