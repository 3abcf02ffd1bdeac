local kad = require("kadenza")
local shared = require("tests.spec.support.testing")
local support = require("tests.spec.support")
local testing = require("kadenza.testing")

local message_of = shared.message_of
local spec = support.spec
local with_overlay = shared.with_overlay

describe("kadenza.testing.overlay", function()
  it("adds its seed to the error of a task", spec(function()
    local overlay <close> = testing.overlay({ nodes = 2, seed = 77 })
    assert.is_truthy(message_of(function()
      overlay:perform(function()
        error("wrong")
      end)
    end):find("wrong\n(seed 77; KADENZA_SEED=77 repeats it)", 1, true))
  end))

  it("gives the same trace for the same seed", spec(function()
    local function hash(seed)
      local overlay <close> = testing.overlay({ nodes = 5, seed = seed })
      overlay:run(100)
      return overlay.net:trace_hash()
    end
    assert.equal(hash(5), hash(5))
    assert.is_not.equal(hash(5), hash(6))
  end))

  it("rejects unknown options and files", spec(function()
    support.assert_blames_caller("unknown option 'node'", function()
      testing.overlay({ node = 2 })
    end)
    support.assert_blames_caller("nowhere.lua", function()
      testing.overlay({ nodes = 1, policies = { "nowhere.lua" } })
    end)
  end))

  it("lists holders", with_overlay({ nodes = 20 }, function(overlay)
    local key = kad.key("book")
    assert(overlay.nodes[1]:put(key, "hello", { type = "line" }))

    local holders = overlay:holders(key, "line")

    assert.equal(8, #holders)
    assert.equal("hello", holders[1].records[1].value)
    assert.equal("hello (publisher none, seq none)", holders[1].values)
    assert.same({}, overlay:holders(key))
    assert.holders(8, overlay, key, "line")
    assert.converged(overlay, key, "line")
  end))

  it("kills, closes, joins and partitions nodes",
    spec(function()
      local stopped = 0
      local overlay <close> = testing.overlay({ nodes = 6, seed = 31,
        churn = { median = 1e6 }, policies = { { on_stop = function()
          stopped = stopped + 1
        end } } })
      overlay:kill(1)
      assert.equal(0, stopped)
      overlay:leave(overlay.nodes[1])
      assert.equal(1, stopped)
      assert.equal(4, #overlay.nodes)
      local message = message_of(function()
        overlay:perform(function()
          assert.equal("healthy", overlay:join():state())
          overlay:partition({ overlay.nodes[1] })
          assert.is_nil((overlay.nodes[2]:ping(
            overlay.nodes[1]:addresses()[1])))
          overlay:heal()
          assert(overlay.nodes[2]:ping(overlay.nodes[1]:addresses()[1]))
          error("all is well")
        end)
      end)
      assert.is_truthy(message:find("all is well", 1, true))
      assert.is_truthy(message:find("(seed 31; KADENZA_SEED=31 repeats it)", 1,
        true))
    end))

  it("kills nodes, which do not answer any more", with_overlay({ nodes = 6 },
    function(overlay)
      local second, address =
        overlay.nodes[2], overlay.nodes[2]:addresses()[1]
      overlay:kill(2)
      assert.is_false(second:is_open())
      assert.equal(5, #overlay.nodes)
      local contact, _, code = overlay.nodes[1]:ping(address)
      assert.is_nil(contact)
      assert.equal("KAD_ETIMEOUT", code)
      support.assert_blames_caller("not a node of this overlay", function()
        overlay:kill(second)
      end)
    end))

  it("has nodes that do not answer, or answer with errors",
    with_overlay({ nodes = 4 }, function(overlay)
      local silent = overlay:bad_node("silent")
      local errors = overlay:bad_node("errors")
      local first = overlay.nodes[1]
      local _, _, code = first:call(silent:addresses()[1], "greet", {})
      assert.equal("KAD_ETIMEOUT", code)
      local _, _, kind, info = first:call(errors:addresses()[1], "greet", {})
      assert.equal("KAD_EREMOTE", kind)
      assert.equal(202, info.krpc)
      support.assert_blames_caller("the kind of a bad node must be", function()
        overlay:bad_node("lazy")
      end)
    end))

  it("has nodes that hold and answer garbage", with_overlay({ nodes = 4 },
    function(overlay)
      local garbage = overlay:bad_node("garbage")
      local reply =
        assert(overlay.nodes[1]:call(garbage:addresses()[1], "greet", {}))
      assert.is_table(reply.text)
      local key = kad.key("book")
      garbage:put(key, "spam", { type = "line" })
      assert.holders(1, overlay, key, "line")
      assert.is_nil((overlay.nodes[1]:get(key, { type = "line" })))
      assert(overlay.nodes[1]:put(key, "fine", { type = "line" }))
      assert.is_not.converged(overlay, key, "line")
    end))
end)
