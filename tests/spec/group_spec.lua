local group = require("kadenza.group")
local support = require("tests.spec.support")
local task = require("kadenza.task")

local spec, in_virtual_time = support.spec, support.in_virtual_time

-- Returns the function of a task that sleeps and then returns `...`.
local function sleeper(seconds, ...)
  local results = table.pack(...)
  return function()
    task.sleep(seconds)
    return table.unpack(results, 1, results.n)
  end
end

local function never()
  task.wait(function() end)
end

describe("kadenza.group", function()
  describe("all", function()
    it("returns the first results in order", spec(function()
      in_virtual_time(function(network)
        local results = group.all({
          task.spawn(network, sleeper(3, "a", "x")),
          sleeper(1, nil),
          sleeper(2, "c"),
        })

        assert.same({ "a", nil, "c", n = 3 }, results)
      end)
    end))

    it("waits no longer than its slowest task", spec(function()
      assert.equal(3, in_virtual_time(function(network)
        local before = network:now()
        group.all({ sleeper(3), sleeper(1), sleeper(2) })
        return network:now() - before
      end))
    end))

    it("returns at once for an empty list", spec(function()
      in_virtual_time(function()
        assert.same({ n = 0 }, group.all({}))
      end)
    end))

    it("accepts tasks that have ended", spec(function()
      in_virtual_time(function(network)
        local ended = task.spawn(network, sleeper(1, "a"))
        task.sleep(2)

        assert.same({ "a", "b", n = 2 }, group.all({ ended, sleeper(1, "b") }))
      end)
    end))

    it("raises the first error and cancels the others", spec(function()
      in_virtual_time(function(network)
        local slow = task.spawn(network, never)

        assert.error_matches(function()
          group.all({
            slow,
            function()
              task.sleep(1)
              error("broken")
            end,
          })
        end, "broken")
        assert.equal("canceled", slow:status())
      end)
    end))

    it("cancels what it spawned when it is canceled", spec(function(t)
      in_virtual_time(function(network)
        local closed = t.expect(1)
        local outer = task.spawn(network, function()
          group.all({
            function()
              local _ <close> = setmetatable({}, { __close = closed })
              never()
            end,
          })
        end)
        task.sleep(1)
        outer:cancel()
      end)
    end))

    it("names an item that is not a task", spec(function()
      in_virtual_time(function()
        assert.error_matches(function()
          group.all({ never, 5 })
        end, "item 2 is neither a task nor a function")
      end)
    end))
  end)

  describe("race", function()
    it("returns the results of the first and cancels the others",
      spec(function()
        in_virtual_time(function(network)
          local slow = task.spawn(network, never)

          assert.same({ "b", "x", n = 2 },
            table.pack(group.race({ slow, sleeper(1, "b", "x") })))
          assert.equal("canceled", slow:status())
        end)
      end))

    it("raises the error of the first", spec(function()
      in_virtual_time(function()
        assert.error_matches(function()
          group.race({
            sleeper(2),
            function()
              error("broken")
            end,
          })
        end, "broken")
      end)
    end))

    it("needs a task", spec(function()
      in_virtual_time(function()
        assert.error_matches(function()
          group.race({})
        end, "a race needs a task")
      end)
    end))
  end)

  describe("timeout", function()
    it("returns the results of a task that is in time", spec(function()
      in_virtual_time(function()
        assert.same({ "a", "b", n = 2 },
          table.pack(group.timeout(2, sleeper(1, "a", "b"))))
      end)
    end))

    it("cancels a task that is late", spec(function()
      in_virtual_time(function(network)
        local late = task.spawn(network, sleeper(3))
        local before = network:now()

        assert.same({ nil, "timeout", "KAD_ETIMEOUT", n = 3 },
          table.pack(group.timeout(2, late)))
        assert.equal(2, network:now() - before)
        assert.equal("canceled", late:status())
      end)
    end))

    it("leaves no timer behind", spec(function()
      local network = require("kadenza.core").sim({ seed = 1 })
      task.spawn(network, function()
        group.timeout(1000, sleeper(1))
      end)
      network:run() -- until no event is left

      assert.is_true(network:now() < 1000)
      network:close()
    end))
  end)
end)
