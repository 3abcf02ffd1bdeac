local core = require("kadenza.core")
local group = require("kadenza.group")
local lua = require("kadenza.coroutine")
local support = require("tests.spec.support")
local task = require("kadenza.task")

local spec, in_virtual_time = support.spec, support.in_virtual_time
local timed, sleeper, never = support.timed, support.sleeper, support.never

describe("kadenza.task", function()
  describe("a mistake of the caller", function()
    it("is blamed on the caller, and named", timed(function()
      for _, value in ipairs({ 1, "text", {}, true }) do
        support.assert_blames_caller("the start of a wait must be a function, "
          .. "not " .. type(value), function()
            local _ = task.wait(value)
          end)
        support.assert_blames_caller("a watcher must be a function, not "
          .. type(value), function()
            local _ = task.current():on_end(value)
          end)
      end
    end))

    it("is to wait when a network was closed", spec(function()
      local network = assert(core.sim({ seed = 1 }))
      task.spawn(network, function()
        network:close()
        support.assert_blames_caller("closed network", function()
          local _ = task.sleep(1)
        end)
      end)
    end))

    it("is not in a timeout whose network is closed inside", spec(function()
      local network = assert(core.sim({ seed = 1 }))
      local result
      task.spawn(network, function()
        result = group.timeout(9, function()
          network:close()
          return "closed"
        end)
      end)
      assert.equal("closed", result)
    end))
  end)

  it("has the error of a task that has failed, and of no other",
    timed(function(network)
      local running = task.spawn(network, never)
      assert.is_nil(running:failure())
      running:cancel()
      assert.is_nil(running:failure())
      local failed = task.spawn(network, error, "broken")
      pcall(failed.await, failed)
      assert.is_truthy(failed:failure():find("broken", 1, true))
    end))

  describe("wait", function()
    it("returns the arguments of resume", spec(function()
      local results = table.pack(in_virtual_time(function()
        return task.wait(function(resume)
          resume(1, nil, 3, nil)
        end)
      end))

      assert.same({ 1, nil, 3, nil, n = 4 }, results)
    end))

    it("uses the first of several calls of resume", spec(function()
      assert.equal("first", in_virtual_time(function(network)
        return task.wait(function(resume)
          network:start_timer(5, function()
            resume("first")
            resume("second")
          end)
        end)
      end))
    end))

    it("raises outside of a task", spec(function()
      assert.error_matches(function()
        task.wait(function() end)
      end, "only a task can wait")
    end))

    it("raises in a coroutine that is not a task", timed(function()
      local other = coroutine.create(function()
        task.sleep(1)
      end)

      local resumed, message = lua.resume(other)

      assert.is_false(resumed)
      assert.matches("only a task can wait", message)
    end))

    it("continues after another coroutine yielded the task", spec(function()
      -- yields nothing, as a count hook does
      assert.equal("on", in_virtual_time(function()
        coroutine.yield()
        return "on"
      end))
    end))

    it("keeps a resume that comes while the task is preempted", spec(function()
      assert.equal("woken", in_virtual_time(function()
        return task.wait(function(resume)
          coroutine.yield()
          resume("woken")
        end)
      end))
    end))
  end)

  describe("sleep", function()
    it("sleeps on the clock of the network", spec(function()
      assert.equal(3600.5, in_virtual_time(function(network)
        local before = network:now()
        task.sleep(3600.5)
        return network:now() - before
      end))
    end))

    for _, seconds in ipairs({ -1, 0 / 0, 1e300, "1" }) do
      it("refuses to sleep for " .. tostring(seconds), timed(function()
        assert.error_matches(function()
          task.sleep(seconds)
        end, "seconds must be")
      end))
    end
  end)

  describe("spawn", function()
    it("passes arguments to the function", spec(function()
      assert.same({ 1, 2 }, in_virtual_time(function(network)
        return { task.spawn(network, function(...)
          return { ... }
        end, 1, 2):await() }
      end)[1])
    end))

    it("starts a task when the one that spawns it waits", spec(function()
      assert.same({ "spawned", "started", "awaited" },
        in_virtual_time(function(network)
          local order = {}
          local other = task.spawn(network, function()
            order[#order + 1] = "started"
          end)
          order[#order + 1] = "spawned"
          other:await()
          order[#order + 1] = "awaited"
          return order
        end))
    end))

    it("does not nest resumes", spec(function()
      -- each task wakes the next: nested, the C stack would end at about 200
      assert.equal(1000, in_virtual_time(function(network)
        local first, wake_first
        local previous = task.spawn(network, function()
          first = task.wait(function(resume)
            wake_first = resume
          end)
          return first
        end)
        for _ = 1, 999 do
          local before = previous
          previous = task.spawn(network, function()
            return before:await() + 1
          end)
        end
        task.sleep(1)
        wake_first(1)
        return previous:await()
      end))
    end))
  end)

  describe("await", function()
    it("returns the results, also again and later", timed(function(network)
      local other = task.spawn(network, sleeper(1, "a", nil, "c"))

      assert.same({ "a", nil, "c", n = 3 }, table.pack(other:await()))
      assert.same({ "a", nil, "c", n = 3 }, table.pack(other:await()))
    end))

    it("raises the error of the task unchanged", timed(function(network)
      local problem = { "a table" }
      local other = task.spawn(network, function()
        task.sleep(1)
        error(problem)
      end)

      local passed, err = pcall(other.await, other)

      assert.is_false(passed)
      assert.equal(problem, err)
    end))

    it("refuses to await itself", timed(function()
      local own = task.current()
      assert.error_matches(function()
        own:await()
      end, "cannot await itself")
    end))
  end)

  describe("cancel", function()
    it("makes await return nil, canceled, KAD_ECANCELED",
      timed(function(network)
        local other = task.spawn(network, never)
        task.sleep(1)

        assert.is_true(other:cancel())
        assert.same({ nil, "canceled", "KAD_ECANCELED", n = 3 },
          table.pack(other:await()))
        assert.equal("canceled", other:status())
      end))

    it("cancels what the task waits for", timed(function(network, t)
      local withdraw = t.expect(1)
      local other = task.spawn(network, function()
        task.wait(function()
          return withdraw
        end)
      end)
      task.sleep(1)
      other:cancel()
      assert.is_false(other:cancel())
    end))

    it("closes the variables of the task", timed(function(network, t)
      local closed = t.expect(1)
      local other = task.spawn(network, function()
        local _ <close> = setmetatable({}, { __close = closed })
        never()
      end)
      task.sleep(1)
      other:cancel()
    end))

    it("does not let a closing task wait", timed(function(network)
      local other = task.spawn(network, function()
        local _ <close> = setmetatable({}, {
          __close = function()
            task.sleep(1)
          end,
        })
        never()
      end)
      task.sleep(1)
      other:cancel()

      assert.error_matches(function()
        other:await()
      end, "a canceled task cannot wait")
    end))

    it("ends the task that cancels itself at once", timed(function(network)
      local after = false
      local other = task.spawn(network, function()
        task.current():cancel()
        after = true
      end)
      task.sleep(1)

      assert.is_false(after)
      assert.equal("canceled", other:status())
    end))

    it("ends a task that has not begun", timed(function(network)
      local begun = false
      local other = task.spawn(network, function()
        begun = true
      end)
      other:cancel()
      task.sleep(1)

      assert.is_false(begun)
    end))

    it("does not resume a preempted task", timed(function(network)
      local after = false
      local other = task.spawn(network, function()
        coroutine.yield()
        after = true
      end)
      task.wait(function(resume)
        network:start_timer(0, resume)
      end)
      other:cancel()
      task.sleep(1)

      assert.is_false(after and other:status() == "canceled")
    end))

    it("is canceled itself when the waiting task is canceled",
      timed(function(network)
        local inner = task.spawn(network, sleeper(10, "inner"))
        local outer = task.spawn(network, function()
          return inner:await()
        end)
        task.sleep(1)
        outer:cancel()

        assert.equal("inner", inner:await())
      end))
  end)

  describe("adopt", function()
    -- Resumes `fn` as a host does; returns its task and the values it yielded.
    local function resume_as_host(network, fn)
      local thread = coroutine.create(fn)
      local adopted = task.adopt(network, thread)
      return adopted, select(2, lua.resume(thread))
    end

    it("lets a coroutine of a host wait", timed(function(network, t)
      local adopted, first, second = resume_as_host(network, function()
        assert.is_true(task.is(task.current()))
        task.sleep(1)
        return "done", nil, 3
      end)
      task.take_over(adopted, t.expect(1, function(_, state, _, ...)
        assert.equal("done", state)
        assert.same({ "done", nil, 3, n = 3 }, table.pack(...))
      end), first, second)

      assert.same({ "done", nil, 3, n = 3 }, table.pack(adopted:await()))
    end))

    it("takes over a coroutine that was preempted", timed(function(network, t)
      local adopted = resume_as_host(network, function()
        coroutine.yield()
        return "done"
      end)
      task.take_over(adopted, t.expect(1))

      assert.equal("done", adopted:await())
    end))

    it("returns its error with a traceback", timed(function(network, t)
      local adopted, first, second = resume_as_host(network, function()
        task.sleep(1)
        error("broken")
      end)
      task.take_over(adopted, t.expect(1, function(_, state, _, text)
        assert.equal("failed", state)
        assert.matches("task_spec.lua:%d+: broken", text)
      end), first, second)
      task.sleep(2)
    end))

    it("cancels it like any other", timed(function(network, t)
      local closed = t.expect(1)
      local adopted, first, second = resume_as_host(network, function()
        local _ <close> = setmetatable({}, { __close = closed })
        never()
      end)
      task.take_over(adopted, t.expect(1, function(_, state)
        assert.equal("canceled", state)
      end), first, second)

      assert.is_true(adopted:cancel())
    end))
  end)

  describe("abandon", function()
    it("cancels what the task waits for, and runs no code of it",
      timed(function(network, t)
        local closed, withdrawn = t.expect(0), t.expect(1)
        local other = task.spawn(network, function()
          local _ <close> = setmetatable({}, { __close = closed })
          task.wait(function()
            return withdrawn
          end)
        end)
        task.sleep(1)

        assert.is_true(other:abandon())
        assert.is_false(other:abandon())
        assert.equal("canceled", other:status())
      end))
  end)

  it("never resumes a task that was abandoned while it ran",
    timed(function(network)
      local after = false
      local other = task.spawn(network, function()
        task.current():abandon()
        coroutine.yield() -- as a count hook does
        after = true
      end)
      task.sleep(1)

      assert.is_false(after)
      assert.equal("canceled", other:status())
    end))

  describe("an error that is not awaited", function()
    it("is logged in the next turn with a traceback", spec(function()
      local events = support.logged(function()
        in_virtual_time(function(network)
          task.spawn(network, function()
            error("broken")
          end)
          task.sleep(1)
        end)
      end)

      assert.equal(1, #events)
      assert.equal("error", events[1].level)
      assert.matches("broken", events[1].fields.error)
      assert.matches("task_spec.lua", events[1].fields.error)
    end))

    it("is not logged when it is awaited in time", spec(function()
      local events = support.logged(function()
        in_virtual_time(function(network)
          local other = task.spawn(network, error, "broken")
          pcall(other.await, other)
          task.sleep(1)
        end)
      end)

      assert.same({}, events)
    end))

    it("is kept for the end, the first of many", spec(function()
      support.logged(function()
        local network = require("kadenza.core").sim({ seed = 1 })
        for i = 1, 50 do
          task.spawn(network, error, i)
          network:run(1)
        end
        task.spawn(network, error, "fresh")
        local failures = task.take_failures(network)

        assert.equal(2, #failures)
        assert.equal(1, failures[1].value)
        assert.equal("fresh", failures[2].value)
        network:close()
      end)
    end))

    it("is kept for the end", spec(function()
      support.logged(function()
        local network = require("kadenza.core").sim({ seed = 1 })
        task.spawn(network, error, "broken")
        network:run(1)
        local failures = task.take_failures(network)

        assert.equal("broken", failures[1].value)
        assert.same({}, task.take_failures(network))
        network:close()
      end)
    end))
  end)

  it("calls all functions of at_end, and raises the first error",
    spec(function(t)
      local network = require("kadenza.core").sim({ seed = 1 })
      task.at_end(network, t.expect(1))
      task.at_end(network, function()
        error("broken", 0)
      end)

      assert.has_error(function()
        task.finish(network)
      end, "broken")
      network:close()
    end))

  it("gives tasks that always wake each other equal shares of a turn",
    timed(function(network)
      local on, rounds, waiting = true, 0, nil
      local function play()
        while on do
          rounds = rounds + 1
          task.wait(function(resume)
            local other = waiting
            waiting = resume
            if other then
              other()
            end
          end)
        end
      end
      task.spawn(network, play)
      task.spawn(network, play)
      for _ = 1, 20 do
        task.spawn(network, task.sleep, 0)
      end
      task.sleep(0)
      task.sleep(0)
      local before = rounds
      task.sleep(0)
      on = false

      assert.is_true(rounds > before)
      assert.is_true(rounds - before <= 5000, rounds - before)
      waiting()
    end))

  it("cancels the tasks left at the end in the order of their start",
    spec(function()
      local network = require("kadenza.core").sim({ seed = 1 })
      local order = {}
      for i = 1, 20 do
        task.spawn(network, function()
          local _ <close> = setmetatable({}, {
            __close = function()
              order[i] = #order + 1
            end,
          })
          never()
        end)
      end
      network:run(1)
      task.finish(network)
      network:close()

      for i = 1, 20 do
        assert.equal(i, order[i])
      end
    end))
end)
