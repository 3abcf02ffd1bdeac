-- Coroutines that policies create.
--
-- Tests bindings/policy.

local policies = require("tests.spec.support.policy")

local call, rpc = policies.call, policies.rpc

local function it_gives(what, body, expected)
  local text = rpc("local function give() " .. body .. " end "
    .. "return { given = give() }")
  it(what, policies.with(text, function(world)
    local reply, message = call(world)
    assert(reply, message)
    assert.same(expected, reply.given)
  end))
end

describe("coroutines of policies", function()
  it_gives("yield and are resumed with values", [[
    local co = coroutine.create(function(a, b)
      local c = coroutine.yield(a + b)
      local d, e = coroutine.yield(c * 2)
      return d + e
    end)
    local _, first = coroutine.resume(co, 1, 2)
    local _, second = coroutine.resume(co, 10)
    local _, third = coroutine.resume(co, 3, 4)
    local fine, message = coroutine.resume(co)
    return { first, second, third, tostring(fine), message,
      coroutine.status(co) }
  ]], { 3, 20, 7, "false", "cannot resume dead coroutine", "dead" })

  it_gives("are iterators when they are wrapped", [[
    local function range(n)
      return coroutine.wrap(function()
        for i = 1, n do coroutine.yield(i) end
      end)
    end
    local sum = 0
    for i in range(10) do sum = sum + i end
    return { sum = sum }
  ]], { sum = 55 })

  it_gives("give their errors, and raise them when they are wrapped", [[
    local co = coroutine.create(function() error({ code = 7 }) end)
    local _, problem = coroutine.resume(co)
    local fine, text = pcall(coroutine.wrap(function() error("no", 0) end))
    return { problem.code, tostring(fine), text }
  ]], { 7, "false", "no" })

  it_gives("know their status", [[
    local outer, seen
    outer = coroutine.create(function()
      local inner = coroutine.create(function()
        seen = coroutine.status(outer)
        return coroutine.isyieldable() and "yes" or "no"
      end)
      local _, yieldable = coroutine.resume(inner)
      local own, is_main = coroutine.running()
      return yieldable, own == outer and "own" or "other", tostring(is_main)
    end)
    local before = coroutine.status(outer)
    local _, yieldable, own, is_main = coroutine.resume(outer)
    return { before, seen, yieldable, own, is_main,
      tostring(coroutine.isyieldable()), select("#", coroutine.running()) }
  ]], { "suspended", "normal", "yes", "own", "false", "false", 2 })

  it_gives("are closed with their variables", [[
    local closed = 0
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function()
        closed = closed + 1
      end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)
    return { closed, coroutine.status(co) }
  ]], { 1, "dead" })

  it_gives("may wait: their task waits with them", [[
    local begun = kad.now()
    local values = {}
    for value in coroutine.wrap(function()
      for i = 1, 3 do
        kad.sleep(0.2)
        coroutine.yield(i)
      end
    end) do
      values[#values + 1] = value
    end
    return { values = values, ms = math.floor((kad.now() - begun) * 1000 + 0.5) }
  ]], { values = { 1, 2, 3 }, ms = 600 })

  it_gives("may wait inside one another and inside of pcall", [[
    local outer = coroutine.wrap(function()
      local inner = coroutine.wrap(function()
        local fine, value = pcall(function()
          kad.sleep(0.1)
          return kad.spawn(function() kad.sleep(0.1) return "task" end):await()
        end)
        coroutine.yield(value)
        coroutine.yield(tostring(fine))
      end)
      coroutine.yield(inner())
      coroutine.yield(inner())
    end)
    return { outer(), outer() }
  ]], { "task", "true" })

  it_gives("that are resumed where no task can wait say so", [[
    local co = coroutine.create(function() kad.sleep(1) end)
    local resumed, message
    pcall(table.sort, { 2, 1 }, function()
      resumed, message = coroutine.resume(co)
    end)
    return { tostring(resumed),
      (message:match("a task cannot.*"):gsub("table%.", "")) }
  ]], { "false", "a task cannot wait inside of 'sort': "
    .. "Lua cannot suspend it; wait before or after that call" })

  it_gives("are not the hook's own", [[
    local fine, message = pcall(coroutine.yield, 1)
    local other, problem = pcall(coroutine.resume, "no coroutine")
    return { tostring(fine), message, tostring(other),
      problem:find("coroutine expected", 1, true) and 1 }
  ]], { "false", "attempt to yield from outside a coroutine", "false", 1 })

  it("are preempted with the hook that resumed them", function()
    local before = policies.INSTRUCTIONS
    policies.INSTRUCTIONS = 4000000
    local fine, problem = pcall(policies.with(rpc([[
      local sum = 0
      for i in coroutine.wrap(function()
        for i = 1, 40000 do coroutine.yield(i) end
        for _ = 1, 500000 do end
      end) do sum = sum + i end
      return { sum = sum }
    ]]), function(world)
      assert.equal(800020000, call(world).sum)
      local hook = world.hooks()["policy: rpc.run"]
      assert.equal(1, hook.preempted)
      assert.equal(0, hook.errors)
    end))
    policies.INSTRUCTIONS = before
    assert(fine, problem)
  end)

  for what, body in pairs({
    ["that never end"] = "coroutine.wrap(function() while true do end end)()",
    ["in pcall that never end"] = "coroutine.wrap(function() while true do "
      .. "pcall(function() while true do end end) end end)()",
    ["that never end, resumed without end"] = "while true do coroutine.resume("
      .. "coroutine.create(function() while true do end end)) end",
    ["made without end"] = "while true do coroutine.wrap(function() end)() end",
    ["created by one another without end"] = "local function f() "
      .. "coroutine.wrap(f)() end while true do pcall(f) end",
    ["that yield without end"] = "local f = coroutine.wrap(function() "
      .. "while true do coroutine.yield() end end) while true do f() end",
    ["whose end never ends"] = [[
      local co = coroutine.create(function()
        local _ <close> = setmetatable({}, { __close = function()
          while true do end
        end })
        coroutine.yield()
      end)
      coroutine.resume(co)
      coroutine.close(co)
      while true do end ]],
  }) do
    it(what .. " fail the hook", policies.with(rpc(body),
      function(world)
        local reply, _, _, info = call(world)
        assert.is_nil(reply)
        assert.equal(202, info.krpc)
        assert.equal(1, world.hooks()["policy: rpc.run"].overruns)
        assert.truthy(world.other:ping(world.node:addresses()[1]))
      end))
  end

  it("are not resumed by later calls after they were stopped",
    policies.with([[
      local kept = coroutine.create(function()
        for _ = 1, 1e6 do end
        return "outlived"
      end)
      return { rpc = { run = function()
        local _, message = coroutine.resume(kept)
        return { message = message }
      end } }
    ]], function(world)
      assert.is_nil(call(world))
      local reply = assert(call(world))
      assert.equal("cannot resume a coroutine that was stopped", reply.message)
    end))

  it("do not outlive the coroutine that they resumed", policies.with([[
    local outer
    return { rpc = { run = function()
      outer = coroutine.create(function()
        coroutine.resume(coroutine.create(function()
          for i = 1, 1e9 do end
        end))
        return "outlived"
      end)
      coroutine.resume(outer)
      return {}
    end, again = function()
      local _, message = coroutine.resume(outer)
      return { message = message }
    end } }
  ]], function(world)
    assert.is_nil(call(world))
    local reply = assert(world.other:call(world.node:addresses()[1], "again"))
    assert.truthy(reply.message:find("^cannot resume a coroutine that"))
  end))

  it_gives("are closed with the task that waits through them", [[
    local closed = {}
    local function note(name)
      return setmetatable({}, { __close = function()
        closed[#closed + 1] = name
      end })
    end
    local work = kad.spawn(function()
      local _ <close> = note("task")
      for _ in coroutine.wrap(function()
        local _ <close> = note("outer")
        coroutine.wrap(function()
          local _ <close> = note("inner")
          kad.sleep(100)
        end)()
      end) do end
    end)
    kad.sleep(0.1)
    work:cancel()
    return { table.concat(closed, " ") }
  ]], { "inner outer task" })
end)
