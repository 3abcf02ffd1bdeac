-- Hooks that compute for long are preempted: they share the turns of the loop
-- with all other work and lose nothing. A turn of virtual time runs 200,000
-- instructions.
--
-- Tests bindings/policy, scripts/kadenza/scheduler.lua.

local kad = require("kadenza")
local policies = require("tests.spec.support.policy")

local rpc = policies.rpc

local function call(world, args)
  return world.other:call(world.node:addresses()[1], "run", args)
end

local function hook(world)
  return world.hooks()["policy: rpc.run"]
end

local function it_does(what, text, check)
  it(what, function()
    local before = policies.INSTRUCTIONS
    policies.INSTRUCTIONS = 4000000
    local fine, problem = pcall(policies.with(text, check))
    policies.INSTRUCTIONS = before
    assert(fine, problem)
  end)
end

local SUM <const> = [[
  local sum = 0
  for i = 1, 200000 do sum = sum + i end
]]

describe("a hook that computes for long", function()
  it_does("is preempted and answers", rpc(SUM .. "return { sum = sum }"),
    function(world)
      assert.equal(20000100000, call(world).sum)
      local counted = hook(world)
      assert.equal(1, counted.preempted)
      assert.equal(0, counted.yields)
      assert.equal(0, counted.errors)
    end)

  it_does("goes on unharmed inside pcalls, metamethods and iterators", rpc([[
    local sum = 0
    local adder = setmetatable({}, {
      __index = function(_, i) return i end,
      __add = function(_, i) sum = sum + i return sum end,
      __call = function(_, _, i) if i < 40000 then return i + 1 end end,
    })
    local fine, message = pcall(function()
      for i in adder, nil, 0 do
        local _ = adder + adder[i]
      end
      error("at the end", 0)
    end)
    return { sum = sum, message = message }
  ]]), function(world)
    local reply = call(world)
    assert.same({ 800020000, "at the end" }, { reply.sum, reply.message })
    assert.equal(1, hook(world).preempted)
  end)

  it_does("goes on inside of what cannot be preempted", rpc([[
    local list, calls = {}, 0
    for i = 1, 3000 do list[i] = (i * 7919) % 3001 end
    table.sort(list, function(a, b) calls = calls + 1 return a < b end)
    for i = 2, #list do assert(list[i - 1] < list[i]) end
    return { many = calls > 10000 and 1 or 0 }
  ]]), function(world)
    assert.equal(1, call(world).many)
  end)

  it_does("lets others go on meanwhile", rpc([[
    local sum = 0
    for i = 1, request.args.count do sum = sum + i end
    return { at = kad.now() * 1000 // 1 | 0 }
  ]]), function(world)
    local short, long
    local both = kad.spawn(function()
      long = call(world, { count = 500000 }).at
    end)
    short = call(world, { count = 1 }).at
    both:await()
    assert.is_true(short < long)
  end)

  it_does("shares its time with its like", rpc([[
    local tasks, begun = {}, kad.now()
    for i = 1, 4 do
      tasks[i] = kad.spawn(function()
        for _ = 1, 1000000 do end
        return kad.now() - begun
      end)
    end
    local ends = {}
    for i, task in ipairs(tasks) do
      ends[i] = math.floor(task:await() * 1000)
    end
    return { ends = ends }
  ]]), function(world)
    local ends = call(world).ends
    -- Without preemption they would end at 5, 10, 15 and 20 ms.
    assert.is_true(ends[1] >= 10)
    assert.is_true(ends[4] - ends[1] <= 8)
  end)

  it_does("has one budget for all its turns", rpc("while true do end"),
    function(world)
      local _, _, _, info = call(world)
      assert.equal(202, info.krpc)
      local counted = hook(world)
      assert.equal(1, counted.overruns)
      assert.equal(1, counted.preempted)
      world.after = function()
        assert.matches("over its budget",
          policies.failures(world.events)[1])
      end
    end)

  it_does("has a new budget after it waited", rpc([[
    for _ = 1, 3 do
      for _ = 1, 1500000 do end
      kad.sleep(0)
    end
    return { done = 1 }
  ]]), function(world)
    assert.equal(1, call(world).done)
  end)

  it_does("is cancelled at its deadline like one that waits", [[
    local kad = require("kadenza")
    return {
      deadline = 0.001,
      rpc = {
        run = function()
          local _ <close> = setmetatable({}, { __close = function()
            kad.log.info("closed")
          end })
          for _ = 1, 1500000 do end
        end,
      },
    }
  ]], function(world)
    local _, _, _, info = call(world)
    assert.equal(202, info.krpc)
    world.after = function()
      local closed = 0
      for _, event in ipairs(world.events) do
        closed = closed + (event.message == "closed" and 1 or 0)
      end
      assert.equal(1, closed)
      assert.matches("did not answer before its deadline",
        policies.failures(world.events)[1])
    end
  end)

  it_does("sees its request and context to the end", rpc(SUM .. [[
    return { text = request.args.text }
  ]]), function(world)
    assert.equal("hello", call(world, { text = "hello" }).text)
  end)

  it_does("has its time in a histogram", rpc(SUM .. "return {}"),
    function(world)
      call(world)
      local counted = hook(world)
      local calls = 0
      for _, count in ipairs(counted.time) do
        calls = calls + count
      end
      assert.equal(1, calls)
      assert.is_true(counted.seconds > 0)
      assert.is_true(counted.slowest > 0)
    end)
end)

describe("tasks that compute for long", function()
  it_does("share the turns, too", [[
    local kad = require("kadenza")
    return { on_start = function()
      for i = 1, 3 do
        kad.spawn(function()
          for _ = 1, 500000 do end
          kad.log.info("task " .. i .. " ended")
        end)
      end
    end }
  ]], function(world)
    kad.sleep(1)
    world.after = function()
      local ended = 0
      for _, event in ipairs(world.events) do
        ended = ended + (event.message:find("^task %d ended") and 1 or 0)
      end
      assert.equal(3, ended)
    end
  end)
end)
