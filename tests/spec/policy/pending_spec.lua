-- Hook calls that wait.
--
-- Tests bindings/policy, scripts/kadenza/policy/host.lua.

local kad = require("kadenza")
local support = require("tests.spec.support.policy")

local with, failures = support.with, support.failures
local call, note, rpc = support.call, support.note, support.rpc

local KEY <const> = kad.key("somewhere")
local NOTE <const> = { type = "note" }

describe("a hook that waits", function()
  it("replies later", with(rpc('kad.sleep(1) return { text = "late" }'),
    function(world)
      assert.equal("late", call(world).text)
    end))

  it("has a deadline, and its <close> variables are closed", with([[
    local kad = require("kadenza")
    return { deadline = 0.5, rpc = { run = function()
      local on_end <close> = setmetatable({}, { __close = function()
        kad.log.info("closed")
      end })
      kad.sleep(1000)
    end } } ]], function(world)
      local begun = kad.now()
      local reply, _, _, info = call(world)

      assert.is_nil(reply)
      assert.equal(202, info.krpc)
      assert.is_true(kad.now() - begun < 1)
      local hook = world.hooks()["policy: rpc.run"]
      assert.equal(1, hook.errors)
      assert.equal(1, hook.overruns)
      assert.equal(1, hook.yields)
      world.after = function()
        assert.matches("^did not answer before its deadline\nstack traceback:"
          .. ".*policy%.lua:6: in function", failures(world.events)[1])
        assert.equal("closed", world.events[1].message)
      end
    end))

  it("has the default verdict if it never returns", with(note([[
    select = function(records) kad.sleep(1e6) end,
    expire = function() kad.sleep(1e6) end ]]), function(world)
      assert(world.node:put(KEY, "x", NOTE))
      assert.equal("x", world.node:get(KEY, NOTE))
    end))

  it("may call the source of its query", with([[
    local kad = require("kadenza")
    return { types = { note = { validate = function(record, ctx)
      if record.value == "x" then return true end
      return ctx.node:get(record.key, { type = "note" }) == "x"
    end } } } ]], function(world)
      assert(world.node:put(KEY, "x", NOTE))
      assert(world.node:put(KEY, "y", NOTE))
    end))

  it("counts against max_pending_hooks", with(rpc("kad.sleep(1) return {}"),
    function(world)
      local done, refused = 0, 0
      for _ = 1, 6 do
        kad.spawn(function()
          local reply, _, _, info = call(world)
          if reply then
            done = done + 1
          elseif info.krpc == 202 then
            refused = refused + 1
          end
        end)
      end
      kad.sleep(5)

      assert.equal(4, done)
      assert.equal(2, refused)
      world.after = function()
        assert.matches("^too many hooks are pending\n",
          failures(world.events)[1])
      end
    end, { max_pending_hooks = 4 }))

  it("ends with its node", with([[
    local kad = require("kadenza")
    return { rpc = { run = function()
      local on_end <close> = setmetatable({}, { __close = function()
        kad.log.info("closed")
      end })
      kad.sleep(1)
    end } } ]], function(world)
      local task = kad.spawn(function()
        return call(world)
      end)
      kad.sleep(0.5)
      world.node:close()
      task:await()
      world.after = function()
        assert.equal("closed", world.events[1].message)
        assert.same({}, failures(world.events))
      end
    end))

  it("loses no record when merges overlap", with(note([[
    max_values = 16,
    merge = function(held, record)
      kad.sleep(0.2)
      held[#held + 1] = record
      return held
    end ]]), function(world)
      local tasks = {}
      for i = 1, 8 do
        tasks[i] = function()
          return assert(world.node:put(KEY, "v" .. i, NOTE))
        end
      end
      kad.all(tasks)

      local records = world.node:get(KEY, { type = "note", all = true })
      local values = {}
      for i, record in ipairs(records) do
        values[i] = record.value
      end
      table.sort(values)
      assert.same({ "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8" }, values)
    end))

  it("uses less than 2,600 bytes of the policies' memory", with(rpc([[
    kad.sleep(1e4)
    return { waited = request.args.n, since = ctx.now }
  ]]), function(world)
    local function memory()
      return require("kadenza.policy").stats(world.node).memory
    end
    local before, count = memory(), 1000
    for i = 1, count do
      world.other:call(world.node:addresses()[1], "run", { n = i },
        function() end)
    end
    kad.sleep(1)

    assert.equal(count, world.node:stats().pending_hooks)
    local each = (memory() - before) / count
    assert.is_true(each < 2600, each)
  end, { max_pending_hooks = 2000, limits = false }))

  -- Specs of a hook call that runs out of memory when it is suspended.
  local function is_failed_once(what, wait, expected)
    it(what, function()
      local task = require("kadenza.task")
      local suspended = task.take_over
      local _ <close> = setmetatable({}, { __close = function()
        task.take_over = suspended
      end })
      local ran = 0
      with({ rpc = { run = function()
        wait()
        ran = ran + 1
        return {}
      end } }, function(world)
        task.take_over = function(...)
          suspended(...)
          error("not enough memory", 0)
        end
        local reply, message = call(world)
        task.take_over = suspended
        kad.sleep(2)
        assert.equal(expected, not reply and message or nil)
        assert.equal(1, ran)
        assert.equal(0, world.node:stats().pending_hooks)
        assert.truthy(call(world))
      end)()
    end)
  end

  is_failed_once("fails once if memory is exhausted when it begins to wait",
    function()
      kad.sleep(1)
    end, "the other node answered with an error: 202 the policy failed")

  is_failed_once("replies once if its wait ended at once", function()
    require("kadenza.task").wait(function(resume)
      kad.spawn(resume)
    end)
  end)
end)
