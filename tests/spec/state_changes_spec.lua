-- Tests scripts/kadenza/cli/report.lua: how often it logs changes of a state.

local kad = require("kadenza")
local report = require("kadenza.cli.report")
local support = require("tests.spec.support")

-- Returns a node like `node` whose state is what `state_at` returns for the
-- seconds since it was asked first.
local function with_state(node, state_at)
  local started
  local function state()
    started = started or kad.now()
    return state_at(kad.now() - started)
  end
  return setmetatable({ state = state }, { __index = node })
end

-- Watches for `seconds`. Returns the events that log a state.
local function watch(net, node, seconds)
  local heard = {}
  local before = kad.log.configure({ level = "info", sink = function(event)
    if event.message == "state" then
      heard[#heard + 1] = event
    end
  end })
  net:spawn(report.watch, node, false)
  net:run(seconds)
  kad.log.restore(before)
  return heard
end

describe("changes of the state", function()
  it("are logged at most once a minute", support.spec(function()
    local net <close> = kad.sim({ nodes = 3, seed = 1 })
    local heard = watch(net, with_state(net.nodes[1], function(at)
      return at // 3 % 2 < 1 and "healthy" or "degraded"
    end), 1800)

    assert.is_true(#heard >= 20 and #heard <= 4 + 30)
  end))

  it("are logged at once if they are rare", support.spec(function()
    local net <close> = kad.sim({ nodes = 3, seed = 1 })
    local heard = watch(net, with_state(net.nodes[1], function(at)
      return at < 600 and "healthy" or at < 1200 and "isolated" or "healthy"
    end), 1800)

    local states = {}
    for _, event in ipairs(heard) do
      if event.fields.state ~= states[#states] then
        states[#states + 1] = event.fields.state
      end
    end
    assert.same({ "healthy", "isolated", "healthy" }, states)
  end))

  it("end with the latest state", support.spec(function()
    local net <close> = kad.sim({ nodes = 3, seed = 1 })
    local heard = watch(net, with_state(net.nodes[1], function(at)
      return at > 60 and "healthy" or at // 1 % 2 < 1 and "healthy"
        or "degraded"
    end), 300)

    assert.equal("healthy", heard[#heard].fields.state)
  end))
end)
