-- A reload migrates the state that policies save.
--
-- Tests scripts/kadenza/policy/host.lua, bindings/lua/plain.c.

local kad = require("kadenza")
local policy = require("kadenza.policy")
local spec = require("tests.spec.support").spec
local support = require("tests.spec.support.policy")

local failures = support.failures
local call, counting, with = support.call, support.counting, support.with
local HUNGRY <const> = support.HUNGRY

-- Saves `expression` and returns the restored value, as the policy logs it.
local function carried(expression)
  local shown
  with("return { name = 'a', save = function() return " .. expression
    .. " end }", function(world)
    world.files:write([[
      local kad = require("kadenza")
      local function show(value)
        if type(value) ~= "table" then
          return type(value) == "string" and string.format("%q", value)
            or tostring(value)
        end
        local parts = {}
        for key, item in pairs(value) do
          parts[#parts + 1] = "[" .. show(key) .. "]=" .. show(item)
        end
        table.sort(parts)
        return "{" .. table.concat(parts, ",") .. "}"
      end
      return { name = "a", restore = function(state)
        kad.log.info("restored", { state = show(state) })
      end }
    ]])
    assert(world.node:reload())
    world.after = function()
      for _, event in ipairs(world.events) do
        if event.message == "restored" then
          shown = event.fields.state
        end
      end
      shown = shown or failures(world.events)[1]
      for _, event in ipairs(world.events) do
        if event.message == "a policy failed: its state is lost" then
          shown = event.fields.error
        end
      end
    end
  end)()
  return shown
end

describe("state that policies save", function()
  local memory = policy.MEMORY

  before_each(function()
    policy.MEMORY = 3300000
  end)

  after_each(function()
    policy.MEMORY = memory
  end)

  describe("the result of save", function()
    before_each(function()
      policy.MEMORY = 6000000 -- some hold a string of a mebibyte three times
    end)

    it("is passed to restore of the next version", with(counting(),
      function(world)
        assert.equal(1, call(world).calls)
        assert.equal(2, call(world).calls)

        assert(world.node:reload())

        assert.equal(3, call(world).calls)
      end))

    it("is passed with the version that saved it", with(counting(nil, 7),
      function(world)
        world.files:write(counting([[
          restore = function(state, version)
            calls = state.calls + 100 * version
          end,
        ]], 8))
        call(world)

        assert(world.node:reload())

        assert.equal(702, call(world).calls)
      end))

    it("is restored before on_start", with(counting(), function(world)
      call(world)
      world.files:write(counting([[
        restore = function(state) calls = state.calls end,
        on_start = function() calls = calls * 10 end,
      ]]))

      assert(world.node:reload())

      assert.equal(11, call(world).calls)
    end))

    it("is passed only to the policy of the same name", with(counting(),
      function(world)
        call(world)
        world.files:write((counting():gsub('"count"', '"other"')))

        assert(world.node:reload())

        assert.equal(1, call(world).calls)
        world.after = function()
          assert.equal("a policy's state is lost: no policy of that name "
            .. "restores it", world.events[1].message)
          assert.equal("count", world.events[1].fields.policy)
        end
      end))

    it("may be nil: then restore is not called", with(
      counting("save = function() end,"), function(world)
        world.files:write(counting([[restore = function()
          error("called") end,]]))

        assert.is_true(world.node:reload())
      end))

    it("is not restored when a node opens", with(
      counting("restore = function() error('called') end,"), function(world)
        assert.equal(1, call(world).calls)
      end))

    it("is migrated for policies that are tables", spec(function()
      local saved, got = { list = { 1, 2 } }, nil
      local mine = {
        save = function()
          return saved
        end,
        restore = function(state)
          got = state
        end,
      }
      local net <close> = kad.sim({ join = false })
      local node = assert(net:open({ policies = { mine } }))

      assert(node:reload())

      assert.same(saved, got)
      assert.not_equal(saved, got) -- a copy, and none of its tables shared
      assert.not_equal(saved.list, got.list)
    end))

    local values = {
      ["true"] = "true",
      ["false"] = "false",
      ["7"] = "7",
      ["math.mininteger"] = tostring(math.mininteger),
      ["1.0"] = "1.0",
      ["-1 / 0"] = "-inf",
      ["0 / 0"] = "nan",
      ["''"] = '""',
      ["'a\\0b'"] = '"a\\0b"',
      ["{}"] = "{}",
      ["{ 1, { 2, {} }, x = 'y' }"] = '{["x"]="y",[1]=1,[2]={[1]=2,[2]={}}}',
      ["{ [1.5] = 1, [true] = 2, [false] = 3 }"] =
        "{[1.5]=1,[false]=3,[true]=2}",
      ["string.rep('x', 1000):len()"] = "1000",
    }
    for expression, expected in pairs(values) do
      it("may be " .. expression, spec(function()
        assert.equal(expected, (carried(expression):gsub("^%-nan", "nan")))
      end))
    end

    local refused = {
      ["print"] = "undefined global 'print'",
      ["{ a = { [3] = function() end } }"] =
        "the state%.a%[3%] is a function: nil, booleans",
      ["setmetatable({}, {})"] = "the state has a metatable",
      ["{ { [{}] = 1 } }"] = "the state%[1%]%[a table%] is a key that is not",
      ["(function() local t = {} t.t = t return t end)()"] =
        "%.t%.t%.t is nested too deep, or contains itself",
      ["string.rep('x', 1048576)"] = "the state is too large: over a mebibyte",
      ["{ string.rep('x', 600000), string.rep('y', 600000) }"] =
        "the state%[2%] is too large",
    }
    for expression, pattern in pairs(refused) do
      it("may not be " .. expression, spec(function()
        assert.matches(pattern, carried(expression))
      end))
    end

    it("may be nested at most 32 deep", spec(function()
      local function nested(depth)
        return "(function() local t = 1 for _ = 1, " .. depth
          .. " do t = { t } end return t end)()"
      end

      assert.matches("^{+%[1%]", carried(nested(32)))
      assert.matches("nested too deep", carried(nested(33)))
    end))
  end)

  describe("when save fails", function()
    local failing = {
      ["raises"] = { "error('no')", "policy%.lua:%d+: no" },
      ["runs too long"] = { "while true do end",
        "policy%.lua:%d+: ran too long" },
      ["waits"] = { "kad.sleep(1)", "only a task can wait" },
      ["takes too much memory"] = {
        HUNGRY, "memory" },
    }
    for what, case in pairs(failing) do
      it("because it " .. what .. ", the policy runs without its state",
        with(counting("save = function() " .. case[1] .. " end,"),
          function(world)
            call(world)
            world.files:write(counting())

            assert.is_true(world.node:reload())

            assert.equal(1, call(world).calls)
            world.after = function()
              local seen
              for _, event in ipairs(world.events) do
                if event.message == "a policy failed: its state is lost" then
                  seen = event.fields
                end
              end
              assert.equal("count: save", seen.hook)
              assert.matches(case[2], seen.error)
            end
          end))
    end
  end)

  describe("when restore fails", function()
    local failing = {
      ["raises"] = { "\nerror('cannot')",
        "policy%.lua: restore: .*:%d+: cannot" },
      ["refuses"] = { "return nil, 'too old'", "restore: too old" },
      ["runs too long"] = { "while true do end", "restore: .*ran too long" },
      ["waits"] = { "require('kadenza').sleep(1)",
        "restore: .*only a task can wait" },
      ["takes too much memory"] = {
        HUNGRY, "memory" },
    }
    for what, case in pairs(failing) do
      it("because it " .. what .. ", the old policies stay with their state",
        with(counting(), function(world)
          call(world)
          world.files:write(counting(
            "restore = function(state) " .. case[1] .. " end,"))

          local reloaded, message, code = world.node:reload()

          assert.is_nil(reloaded)
          assert.matches(case[2], message)
          assert.equal("KAD_EINVAL", code)
          assert.equal(2, call(world).calls)
        end))
    end
  end)

  it("loses no update between save and restore", spec(function()
    -- A hook of the old policy that runs after its state was saved fails:
    -- otherwise its changes would be lost.
    local asked, generation, outcome, node = {}, 0, nil, nil
    local function make()
      generation = generation + 1
      local mine = generation
      return {
        name = "made",
        types = { note = { validate = function()
          asked[#asked + 1] = mine
          return true
        end } },
        save = function()
          return 1
        end,
        restore = function()
          node:put(kad.key("k"), "late", { type = "note" }, function(...)
            outcome = table.pack(...)
          end)
        end,
      }
    end
    local net <close> = kad.sim({ join = false, seed = 3 })
    node = assert(net:open({ policies = { make } }))

    assert(node:reload())

    net:run(5)
    for _, made in ipairs(asked) do
      assert.equal(2, made)
    end
    assert.is_not_nil(outcome)
  end))
end)
