-- Reloads replace the policies of a running node.
--
-- Tests scripts/kadenza/policy.lua, scripts/kadenza/policy/host.lua,
-- bindings/policy.

local kad = require("kadenza")
local policy = require("kadenza.policy")
local spec = require("tests.spec.support").spec
local support = require("tests.spec.support.policy")

local call, counting, with = support.call, support.counting, support.with
local rpc = support.rpc
local HUNGRY <const> = support.HUNGRY

describe("reloading policies", function()
  local memory = policy.MEMORY

  before_each(function()
    policy.MEMORY = 3000000
  end)

  after_each(function()
    policy.MEMORY = memory
  end)

  it("keeps the old policy if the new one has an error", with(
    rpc('return { text = "old" }'), function(world)
      world.files:write("return { rpc = {")
      local reloaded, message, code = world.node:reload()

      assert.is_nil(reloaded)
      assert.matches("policy%.lua:1:", message)
      assert.equal("KAD_EINVAL", code)
      assert.equal("old", call(world).text)
    end))

  it("replaces the old policy by the new one", with(
    rpc('return { text = "old" }'), function(world)
      world.files:write(rpc('return { text = "new" }'))

      assert.is_true(world.node:reload())

      assert.equal("new", call(world).text)
    end))

  it("completes hook calls in the policy that began them", with(
    rpc('kad.sleep(1) return { text = "old" }'), function(world)
      local reply = kad.spawn(function()
        return call(world)
      end)
      kad.sleep(0.5)
      world.files:write(rpc('return { text = "new" }'))
      assert.is_true(world.node:reload())

      assert.equal("new", call(world).text)
      assert.equal("old", reply:await().text)
    end))

  it("stops the old policy's timers at a reload", with([[
    local kad = require("kadenza")
    return { every = { { seconds = 10, run = function()
      kad.log.info("tick")
    end } } } ]], function(world)
      world.files:write("return {}")
      assert.is_true(world.node:reload())
      kad.sleep(100)
      world.after = function()
        for _, event in ipairs(world.events) do
          assert.not_equal("tick", event.message)
        end
      end
    end))

  it("completes preempted hooks in the policy that began them", spec(function()
    local function computing(name, rounds)
      return ([[
        local calls = 0
        return {
          name = "computes",
          rpc = { run = function()
            calls = calls + 1
            for i = 1, %d do end
            return { by = "%s", calls = calls }
          end },
          save = function() return calls end,
          restore = function(count) calls = count end,
        } ]]):format(rounds, name)
    end
    local before = support.INSTRUCTIONS
    support.INSTRUCTIONS = 20000000
    local fine, err = pcall(with(computing("old", 4000000), function(world)
      local reply = kad.spawn(function()
        return call(world)
      end)
      for _ = 1, 100 do
        kad.sleep(0.01)
        if world.node:stats().pending_hooks > 0 then
          break
        end
      end
      assert.equal(1, world.node:stats().pending_hooks) -- preempted
      world.files:write(computing("new", 1))

      assert.is_true(world.node:reload())

      local new, old = call(world), reply:await()
      assert.same({ "new", 2 }, { new.by, new.calls })
      assert.same({ "old", 1 }, { old.by, old.calls })
    end))
    support.INSTRUCTIONS = before
    assert(fine, err)
  end))

  it("cancels the tasks of the old policy after its hooks ended", with([[
    local kad = require("kadenza")
    local function linger(name)
      local _ <close> = setmetatable({}, { __close = function()
        kad.log.info("closed " .. name)
      end })
      while true do
        kad.sleep(1)
        kad.log.info("alive " .. name)
      end
    end
    return {
      on_start = function() kad.spawn(linger, "spawned") linger("started") end,
      every = { { seconds = 1, run = function() linger("repeated") end } },
      rpc = { run = function()
        local helper = kad.spawn(function() kad.sleep(1) return "helped" end)
        return { text = helper:await() }
      end },
    } ]], function(world)
      local reply = kad.spawn(function()
        return call(world)
      end)
      kad.sleep(0.5)
      world.files:write("return {}")
      assert.is_true(world.node:reload())
      assert.equal("helped", reply:await().text)
      kad.sleep(0.5)
      kad.log.info("mark")
      kad.sleep(5)
      world.after = function()
        local closed, marked = {}, false
        for _, event in ipairs(world.events) do
          closed[#closed + 1] = event.message:match("^closed (.*)")
          marked = marked or event.message == "mark"
          assert.is_false(marked and event.message:find("^alive") ~= nil)
        end
        table.sort(closed)
        assert.same({ "repeated", "spawned", "started" }, closed)
        assert.is_true(marked)
      end
    end))

  it("does not wait for tasks that take long to end", with([[
    local kad = require("kadenza")
    return { on_start = function()
      for i = 1, 900 do
        kad.spawn(function()
          local _ <close> = setmetatable({}, { __close = function()
            while true do end
          end })
          kad.sleep(1e6)
        end)
      end
    end } ]], function(world)
      world.files:write("return {}")
      local begun = os.clock()
      assert.is_true(world.node:reload())
      -- Each may use one budget to end, but not one after another.
      assert.is_true(os.clock() - begun < 0.3)
      assert(world.other:ping(world.node:addresses()[1]))
      kad.sleep(1)
      assert(world.other:ping(world.node:addresses()[1]))
    end))

  it("rejects a reload within a reload", spec(function()
    local inner
    local mine = {
      save = function(node)
        inner = table.pack(node:reload())
        return 1
      end,
    }
    local net <close> = kad.sim({ join = false })
    local node = assert(net:open({ policies = { mine } }))

    assert.is_true(node:reload())

    assert.is_nil(inner[1])
    assert.equal("KAD_EBUSY", inner[3])
    assert.is_true(node:reload())
  end))

  it("rejects a reload by on_stop or on_start", spec(function()
    local made, answers = 0, {}
    local node
    local function reload()
      answers[#answers + 1] = table.pack(node:reload())
    end
    local function make()
      made = made + 1
      return { on_stop = reload, on_start = made > 1 and reload or nil }
    end
    local net <close> = kad.sim({ join = false })
    node = assert(net:open({ policies = { make } }))

    assert.is_true(node:reload())
    net:run(1)

    assert.equal(2, made)
    assert.equal(2, #answers)
    for _, answer in ipairs(answers) do
      assert.is_nil(answer[1])
      assert.equal("KAD_EBUSY", answer[3])
    end

    node:close()

    assert.equal(2, made)
    assert.equal("KAD_ECLOSED", answers[3][3])
  end))

  it("may be requested by a log sink of the old policies",
    spec(function()
      local files <close> = support.files()
      local path = files:write([[
        local kad = require("kadenza")
        return { every = { { seconds = 1, run = function()
          kad.log.info("before")
          kad.log.info("after")
        end } } } ]])
      local net <close> = kad.sim({ join = false })
      local node = assert(net:open({ policies = { path } }))
      local heard, reloaded = {}, nil
      local before = kad.log.configure({ level = "info", sink = function(event)
        heard[#heard + 1] = event.message
        if not reloaded then
          files:write("return {}")
          reloaded = table.pack(node:reload())
        end
      end })
      net:run(10)
      kad.log.restore(before)

      assert.is_true(reloaded[1])
      assert.equal("before", heard[1])
      -- The Lua state is closed when the function that logged has ended.
      assert.is_true(#heard <= 2)
    end))

  it("starts nothing if on_stop closes the node", spec(function()
    local made, started = 0, 0
    local node
    local function make()
      made = made + 1
      return {
        on_stop = function()
          node:close()
        end,
        on_start = function()
          started = started + 1
        end,
      }
    end
    local net <close> = kad.sim({ join = false })
    node = assert(net:open({ policies = { make } }))

    node:reload()
    net:run(1)

    assert.equal(2, made)
    assert.equal(1, started)
  end))

  it("survives a restore that closes the node", spec(function()
    local node
    local mine = {
      save = function()
        return 1
      end,
      restore = function()
        node:close()
      end,
    }
    local net <close> = kad.sim({ join = false })
    node = assert(net:open({ policies = { mine } }))

    local reloaded, _, code = node:reload()

    assert.is_nil(reloaded)
    assert.equal("KAD_ECLOSED", code)
    net:run(1)
  end))

  local broken = {
    ["is gone"] = { nil, "policy%.lua: open: No such file" },
    ["has a syntax error"] = { "return {\n}}", "policy%.lua:2: .*expected" },
    ["raises"] = { "\nerror('x')", "policy%.lua:2: x" },
    ["never ends"] = { "\nwhile true do end", "policy%.lua:2: ran too long" },
    ["takes too much memory"] = {
      HUNGRY, "policy%.lua: out of memory" },
    ["has a misspelt hook"] = { "return { on_strat = 1 }",
      "policy%.lua: unknown key 'on_strat'" },
    ["names a type wrongly"] = { "return { types = { A = {} } }",
      "policy%.lua: 'A' is not a name" },
  }
  for what, case in pairs(broken) do
    it("keeps the old policy if the file " .. what, with(counting(),
      function(world)
        call(world)
        if case[1] then
          world.files:write(case[1])
        else
          os.remove(world.path)
        end

        local reloaded, message = world.node:reload()

        assert.is_nil(reloaded)
        assert.matches(case[2], message)
        assert.equal(2, call(world).calls)
      end))
  end
end)