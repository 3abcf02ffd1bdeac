local kad = require("kadenza")
local support = require("tests.spec.support")

local uv = require("luv")

local spec, local_node = support.spec, support.local_node

describe("kadenza.run", function()
  it("returns the results of the main task", spec(function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(kad.run(function()
      kad.sleep(0)
      return 1, nil, 3
    end)))
  end))

  it("raises the error of the main task unchanged", spec(function()
    local problem = {}
    local passed, err = pcall(kad.run, function()
      kad.sleep(0)
      error(problem)
    end)

    assert.is_false(passed)
    assert.equal(problem, err)
  end))

  it("closes all that is left open", spec(function(t)
    local node, waiting
    local closed = t.expect(1)
    kad.run(function()
      node = assert(kad.node(local_node()))
      waiting = kad.spawn(function()
        local _ <close> = setmetatable({}, { __close = closed })
        kad.sleep(1000)
      end)
      kad.sleep(0)
    end)

    assert.is_false(node:is_open())
    assert.equal("canceled", waiting:status())
  end))

  it("closes all that is left open after an error", spec(function()
    local node
    pcall(kad.run, function()
      node = assert(kad.node(local_node()))
      error("broken")
    end)

    assert.is_false(node:is_open())
  end))

  it("raises the error of a task that was not awaited", spec(function()
    support.logged(function()
      assert.error_matches(function()
        kad.run(function()
          kad.spawn(error, "lost")
          kad.sleep(0)
        end)
      end, "lost")
    end)
  end))

  it("raises the error of the main task rather than another",
    spec(function()
      local events = support.logged(function()
        assert.error_matches(function()
          kad.run(function()
            kad.spawn(error, "lost")
            kad.sleep(0)
            error("main")
          end)
        end, "main")
      end)

      assert.matches("lost", events[1].fields.error)
    end))

  it("ends after its timeout", spec(function()
    local result, message, code = kad.run(function()
      kad.sleep(1000)
    end, { timeout = 0.001 })

    assert.is_nil(result)
    assert.equal("timeout", message)
    assert.equal("KAD_ETIMEOUT", code)
  end))

  it("may be called again", spec(function()
    for i = 1, 3 do
      assert.equal(i, kad.run(function()
        assert(kad.node(local_node()))
        return i
      end))
    end
  end))

  it("may not be called inside a task", spec(function()
    kad.run(function()
      assert.error_matches(function()
        kad.run(print)
      end, "inside a task")
    end)
  end))

  it("may run a simulation inside", spec(function()
    kad.run(function()
      local net <close> = kad.sim({ nodes = 5, seed = 1 })
      net:perform(function()
        assert(net.nodes[1]:put(kad.key("a"), "1"))
        kad.sleep(1000)
      end)
    end)
  end))

  for _, name in ipairs({ "SIGINT", "SIGTERM" }) do
    it("closes everything and raises after " .. name, spec(function(t)
      local node
      local closed = t.expect(1)
      assert.error_matches(function()
        kad.run(function()
          node = assert(kad.node(local_node()))
          local _ <close> = setmetatable({}, { __close = closed })
          uv.kill(uv.os_getpid(), name:lower())
          kad.sleep(1000)
        end)
      end, "ended by " .. name)

      assert.is_false(node:is_open())
    end))
  end

  it("leaves a signal to a function of the main task", spec(function()
    assert.equal("mine", kad.run(function()
      return kad.wait(function(resume)
        kad.loop.network():on_signal("SIGTERM", function()
          resume("mine")
        end)
        uv.kill(uv.os_getpid(), "sigterm")
      end)
    end))
  end))

  it("names an unknown option", spec(function()
    support.assert_blames_caller("unknown option 'colour'", function()
      kad.run(print, { colour = 1 })
    end)
  end))
end)
