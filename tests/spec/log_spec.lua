local log = require("kadenza.log")
local support = require("tests.spec.support")

local TIME <const> = "2026-11-22T12:00:00Z"

local function line(message, fields, format)
  local event = { level = "info", message = message, fields = fields }
  return log.line(event, TIME, format or "text")
end

describe("kadenza.log", function()
  it("writes one line for each event, fields in order", function()
    assert.equal("2026-11-22T12:00:00Z info joined a=1 b=\"two words\" c=\"\"",
      line("joined", { b = "two words", a = 1, c = "" }))
  end)

  it("escapes newlines and control characters", function()
    assert.equal("2026-11-22T12:00:00Z info a\\nb x=\\x1b[2J",
      line("a\nb", { x = "\27[2J" }))
  end)

  it("accepts fields of any name, and escapes the names", function()
    assert.equal("2026-11-22T12:00:00Z info x 1=b a\\nb=c",
      line("x", { "b", ["a\nb"] = "c" }))
  end)

  it("writes JSON", function()
    assert.equal('{"time":"' .. TIME .. '","level":"info",'
      .. '"message":"a\\u000a\\u0022","f":0.5,"n":1,"ok":true,"s":"é"}',
      line('a\n"', { n = 1, ok = true, f = 0.5, s = "é" }, "json"))
  end)

  it("writes bytes that are not UTF-8 as JSON, too", function()
    assert.matches('"x":"\\u00ff"', line("a", { x = "\255" }, "json"), 1, true)
  end)

  it("passes events to a sink", function()
    local events = support.logged(function()
      log.warn("careful", { count = 2 })
    end)

    assert.same({
      { level = "warn", message = "careful", fields = { count = 2 } },
    }, events)
  end)

  it("leaves out events below its level", function()
    local events = support.logged(function()
      local before = log.configure({ level = "warn" })
      log.info("not this")
      log.error("but this")
      log.configure({ level = "off" })
      log.error("nor this")
      log.restore(before)
    end)

    assert.equal(1, #events)
    assert.equal("but this", events[1].message)
  end)

  it("raises for an unknown level or option, and names it", function()
    support.assert_blames_caller("unknown level 'loud'", function()
      log.write("loud", "x")
    end)
    assert.error_matches(function()
      log.configure({ level = "loud" })
    end, "unknown level 'loud'")
    assert.error_matches(function()
      log.configure({ colour = true })
    end, "unknown option 'colour'")
  end)
end)
