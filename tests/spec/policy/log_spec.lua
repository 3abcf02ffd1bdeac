-- What a policy file logs, and what reaches the log of its node.
--
-- Tests bindings/policy/vm.c, scripts/kadenza/policy/host.lua.

local log = require("kadenza.log")
local support = require("tests.spec.support.policy")

-- Runs a file that calls `statement`; returns the event that it logs.
local function logged(statement)
  local events
  support.with(([[
    local kad = require("kadenza")
    return {
      on_start = function()
        %s
      end,
    }]]):format(statement), function(world)
    world.after = function()
      events = world.events
    end
  end)()
  return assert(events[1])
end

describe("the log of a policy file", function()
  it("keeps numbers and booleans", function()
    local event = logged([[kad.log.warn("types", { integer = 2, float = 0.5,
      most = math.maxinteger, yes = true, no = false, text = "7",
      [1] = "one", ["1"] = "text", [true] = "yes" })]])

    assert.same({ integer = 2, float = 0.5, most = math.maxinteger, yes = true,
      no = false, text = "7", [1] = "one", ["1"] = "text", [true] = "yes" },
      event.fields)
    assert.equal("integer", math.type(event.fields.integer))
    assert.equal("warn", event.level)
  end)

  it("writes them as JSON has them", function()
    local event = logged([[kad.log.info("types",
      { a = 2, b = 0.5, c = true, d = 0/0, e = "7" })]])

    assert.equal('{"time":"now","level":"info","message":"types","a":2,"b":0.5,'
      .. '"c":true,"d":"nan","e":"7"}', log.line(event, "now", "json"))
  end)

  it("has the text of other values", function()
    local event = logged([[kad.log.info("others",
      { list = {}, call = tostring, [{}] = 1 })]])

    assert.matches("^table: ", event.fields.list)
    assert.matches("^function: ", event.fields.call)
  end)

  it("takes a number as the message", function()
    assert.equal("12", logged("kad.log.info(12)").message)
  end)

  for statement, problem in pairs({
    ["kad.log.info()"] = "the message must be a string, not nil",
    ["kad.log.warn({})"] = "the message must be a string, not table",
    ['kad.log.debug("x", "y")'] = "the fields must be a table, not string",
  }) do
    it("blames the line of " .. statement, function()
      local text = logged(statement).fields.error
      assert.matches("%.lua:4: " .. problem .. "\n", text)
    end)
  end
end)
