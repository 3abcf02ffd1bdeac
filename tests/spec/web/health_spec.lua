local kad = require("kadenza")
local health = require("kadenza.web.health")
local support = require("tests.spec.support")

local spec = support.spec

-- Runs `body(overlay, watched, node)` with the health of the last node of an
-- overlay in virtual time.
local function with_overlay(options, body)
  return spec(function()
    options.seed = options.seed or 1
    local overlay = kad.sim(options)
    local node = overlay.nodes[options.nodes]
    local watched = health.new(node)
    body(overlay, watched, node)
    watched:close()
    overlay:close()
  end)
end

-- Returns the seconds after which the readiness of a node is `wanted`.
local function seconds_until(overlay, watched, wanted, most)
  for second = 0, most do
    if watched:report().ready == wanted then
      return second
    end
    overlay:run(1)
  end
  return nil
end

-- Tells whether a node is ready at each of some seconds.
local function stays_ready(overlay, watched, seconds)
  for _ = 1, seconds do
    overlay:run(1)
    if not watched:report().ready then
      return false
    end
  end
  return true
end

describe("kadenza.web.health", function()
  it("has a node that waits for others not ready", with_overlay(
    { nodes = 1, join = false }, function(overlay, watched)
      overlay:run(600)
      local report = watched:report()

      assert.is_false(report.ready)
      assert.equal("new", report.state)
      assert.equal(0, report.contacts)
      assert.equal("no other node is known yet", report.reason)
    end))

  it("has the first node ready when another has joined", with_overlay(
    { nodes = 2, join = false }, function(overlay, watched, second)
      local first = overlay.nodes[1]
      local other = health.new(first)
      overlay:run(10)
      assert.is_false(other:report().ready)

      overlay:spawn(function()
        assert(second:bootstrap(first:addresses()))
      end)
      assert.is_truthy(seconds_until(overlay, watched, true, 10))
      assert.is_truthy(seconds_until(overlay, other, true, 10))
      other:close()
    end))

  it("has a node that cannot join not ready", with_overlay(
    { nodes = 2, join = false }, function(overlay, watched, node)
      overlay:spawn(function()
        node:bootstrap({ "203.0.113.1:6881" })
      end)
      overlay:run(120)

      local report = watched:report()
      assert.is_false(report.ready)
      assert.is_nil(report.silent)
    end))

  for _, count in ipairs({ 2, 3, 8, 40 }) do
    it(("fails within 30 s of isolation, among %d nodes"):format(count),
      with_overlay({ nodes = count }, function(overlay, watched, node)
        for _ = 1, 4 do
          overlay:run(math.random(300, 600))
          assert.is_true(watched:report().ready)
          overlay:partition({ node })

          local seconds = seconds_until(overlay, watched, false, 60)
          assert.is_true(seconds ~= nil and seconds <= 30,
            "after " .. tostring(seconds))
          assert.matches("no contact has answered for %d+ s",
            watched:report().reason)
          overlay:run(20)
          assert.is_false(watched:report().ready)

          overlay:heal()
          assert.is_truthy(seconds_until(overlay, watched, true, 300))
        end
      end))
  end

  it("fails within 30 s when all others crash", with_overlay({ nodes = 20 },
    function(overlay, watched, node)
      overlay:run(300)
      local others = {}
      for _, other in ipairs(overlay.nodes) do
        others[#others + 1] = other ~= node and other or nil
      end
      overlay:kill(others)

      local seconds = seconds_until(overlay, watched, false, 60)
      assert.is_true(seconds ~= nil and seconds <= 30)
      overlay:run(3600)
      assert.is_false(watched:report().ready)
    end))

  it("stays ready while most of a table has left", with_overlay({ nodes = 40 },
    function(overlay, watched, node)
      overlay:run(300)
      local others = {}
      for i = 2, 38 do
        others[#others + 1] = overlay.nodes[i] ~= node and overlay.nodes[i]
          or nil
      end
      overlay:kill(others)

      assert.is_true(stays_ready(overlay, watched, 900))
    end))

  for _, count in ipairs({ 2, 30 }) do
    it(("does not flap in a quiet overlay of %d nodes that loses datagrams")
      :format(count), with_overlay({ nodes = count, loss = 0.15, seed = 4 },
      function(overlay, watched)
        overlay:run(60)
        assert.is_true(stays_ready(overlay, watched, 3600))
      end))
  end

  it("has a read-only node ready", with_overlay({ nodes = 5 },
    function(overlay)
      local node = overlay:open({ read_only = "on" })
      local watched = health.new(node)
      overlay:perform(function()
        assert(node:bootstrap(overlay.nodes[1]:addresses()))
      end)

      assert.is_true(stays_ready(overlay, watched, 300))
      watched:close()
    end))

  it("has a node that is about to stop, or closed, not ready", with_overlay(
    { nodes = 5 }, function(overlay, watched, node)
      overlay:run(60)
      assert.is_true(watched:report().ready)
      watched:leave()
      assert.equal("the node is about to stop", watched:report().reason)

      overlay:perform(function()
        node:close()
      end)
      assert.equal("the node is closed", watched:report().reason)
      overlay:run(60)
    end))

  it("sends no pings while the node hears from others anyway", with_overlay(
    { nodes = 2 }, function(overlay, _, node)
      overlay:run(60)
      overlay:spawn(function()
        for _ = 1, 60 do
          kad.sleep(5)
          node:ping(overlay.nodes[1]:addresses()[1])
        end
      end)
      local before = overlay:statistics().sent
      overlay:run(300)
      local with = overlay:statistics().sent - before

      assert.is_true(with < 2 * 60 * 2, "datagrams: " .. with)
    end))
end)
