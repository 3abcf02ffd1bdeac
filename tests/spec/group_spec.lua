local group = require("kadenza.group")
local support = require("tests.spec.support")
local task = require("kadenza.task")

local spec, in_virtual_time = support.spec, support.in_virtual_time
local timed, sleeper, never = support.timed, support.sleeper, support.never

describe("kadenza.group", function()
  describe("all", function()
    it("returns the first results in order", timed(function(network)
      local results = group.all({
        task.spawn(network, sleeper(3, "a", "x")),
        sleeper(1, nil),
        sleeper(2, "c"),
      })

      assert.same({ "a", nil, "c", n = 3 }, results)
    end))

    it("waits no longer than its slowest task", spec(function()
      assert.equal(3, in_virtual_time(function(network)
        local before = network:now()
        group.all({ sleeper(3), sleeper(1), sleeper(2) })
        return network:now() - before
      end))
    end))

    it("returns at once for an empty list", timed(function()
      assert.same({ n = 0 }, group.all({}))
    end))

    it("accepts tasks that have ended", timed(function(network)
      local ended = task.spawn(network, sleeper(1, "a"))
      task.sleep(2)

      assert.same({ "a", "b", n = 2 }, group.all({ ended, sleeper(1, "b") }))
    end))

    it("raises the first error and cancels the others", timed(function(network)
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
    end))

    it("cancels what it spawned when it is canceled", timed(function(network, t)
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
    end))

    it("names an item that is not a task", timed(function()
      assert.error_matches(function()
        group.all({ never, 5 })
      end, "item 2 is neither a task nor a function")
    end))
  end)

  describe("race", function()
    it("returns the results of the first and cancels the others",
      timed(function(network)
        local slow = task.spawn(network, never)

        assert.same({ "b", "x", n = 2 },
          table.pack(group.race({ slow, sleeper(1, "b", "x") })))
        assert.equal("canceled", slow:status())
      end))

    it("raises the error of the first", timed(function()
      assert.error_matches(function()
        group.race({
          sleeper(2),
          function()
            error("broken")
          end,
        })
      end, "broken")
    end))

    it("needs a task", timed(function()
      assert.error_matches(function()
        group.race({})
      end, "a race needs a task")
    end))
  end)

  describe("timeout", function()
    it("returns the results of a task that is in time", timed(function()
      assert.same({ "a", "b", n = 2 },
        table.pack(group.timeout(2, sleeper(1, "a", "b"))))
    end))

    it("cancels a task that is late", timed(function(network)
      local late = task.spawn(network, sleeper(3))
      local before = network:now()

      assert.same({ nil, "timeout", "KAD_ETIMEOUT", n = 3 },
        table.pack(group.timeout(2, late)))
      assert.equal(2, network:now() - before)
      assert.equal("canceled", late:status())
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
