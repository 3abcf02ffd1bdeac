local sandbox = require("kadenza.sandbox")
local support = require("tests.spec.support.policy")

local with, load_policy = support.with, support.load

-- Loads a policy that runs `code` first; returns the message of its failure.
local function problem(code)
  local _, message = load_policy(code .. "\nreturn {}")
  return message
end

describe("the libraries for policies", function()
  for _, name in ipairs(sandbox.LIBRARIES) do
    describe("kadenza." .. name, function()
      it("loads in a program", function()
        assert.is_table(require("kadenza." .. name))
      end)

      it("loads in the sandbox, once", function()
        assert.is_nil(problem(([[
          local library = require("kadenza.%s")
          assert(type(library) == "table")
          assert(library == require("kadenza.%s"))
        ]]):format(name, name)))
      end)

      it("uses only globals that a policy has", function()
        local settings = {}
        assert(loadfile(".luacheckrc", "t", setmetatable(settings, {
          __index = function(_, key)
            settings[key] = {}
            return settings[key]
          end,
        })))()

        local path = "scripts/kadenza/" .. name:gsub("%.", "/") .. ".lua"
        local rules = settings.files[path]

        assert.same({ std = "kadenza_policy" }, rules)
      end)
    end)
  end

  it("are named in the error for another module", function()
    assert.matches("policy%.lua:1: policies have no module 'kadenza.limits', "
      .. "but kadenza%.[a-z, .]*limit", problem('require("kadenza.limits")'))
    assert.matches("policy%.lua:1: policies have no module 'kadenza.'",
      problem('require("kadenza.")'))
    assert.matches("policies have no module 'kadenza.a.limit'",
      problem('require("kadenza.a.limit")'))
  end)

  it("raise a policy's mistakes at its line", function()
    assert.matches("policy%.lua:2: option 'rate' is missing",
      problem('local limit = require("kadenza.limit")\n'
        .. 'limit.new({ per = "address" })'))
  end)

  it("work in trusted files, too", function()
    local files <close> = support.files()
    local path = files:write([[
      assert(os and io)
      assert(require("kadenza.crdt").gcounter)
      assert(require("kadenza.limit").new({ per = "address", rate = 1 }))
      return {}
    ]])

    assert.is_true(require("kadenza.policy").check({
      { file = path, trusted = true },
    }))
  end)

  it("are loaded once for each policy, which do not share tables", function()
    local files <close> = support.files()
    local one = files:write([[
      local limit = require("kadenza.limit")
      limit.changed = true
      return {}
    ]], "one.lua")
    local two = files:write([[
      assert(require("kadenza.limit").changed == nil)
      return {}
    ]], "two.lua")

    assert.is_true(require("kadenza.policy").check({ one, two }))
  end)

  -- The meter never stops kadenza's own code; it stops a library.
  it("are stopped when a policy makes them run without end", with([[
    local limit = require("kadenza.limit")
    return {
      rpc = {
        run = function()
          while true do
            pcall(limit.new, { per = "address", rate = 1 })
          end
        end,
      },
    }
  ]], function(world)
    local reply, _, code, info =
      world.other:call(world.node:addresses()[1], "run")

    assert.is_nil(reply)
    assert.equal("KAD_EREMOTE", code)
    assert.equal(202, info.krpc)
    assert.equal(1, world.hooks()["policy: rpc.run"].overruns)
  end))
end)
