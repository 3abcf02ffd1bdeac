local log = require("kadenza.log")
local support = require("tests.spec.support")

local TIME <const> = "2026-11-22T12:00:00Z"

local function line(message, fields, format)
  local event = { level = "info", message = message, fields = fields or {} }
  return log.line(event, TIME, format or "text")
end

describe("kadenza.log", function()
  it("writes one line for each event, fields in order", function()
    assert.equal("2026-11-22T12:00:00Z info joined a=1 b=\"two words\" c=\"\"",
      line("joined", { b = "two words", a = 1, c = "" }))
  end)

  it("escapes newlines and control characters", function()
    assert.equal('2026-11-22T12:00:00Z info a b x="\\u001b[2J"',
      line("a b", { x = "\27[2J" }))
  end)

  it("writes a message that is not plain words as a field", function()
    assert.equal('2026-11-22T12:00:00Z info message="a\\nb" message_=1',
      line("a\nb", { message = 1 }))
    assert.equal('2026-11-22T12:00:00Z info message="level=error"',
      line("level=error"))
    assert.equal(TIME .. ' info message="\u{FFFD}" message_hex="ff"',
      line("\255"))
  end)

  it("accepts fields of any name, and escapes the names", function()
    assert.equal("2026-11-22T12:00:00Z info x 1=b a%0ab=c",
      line("x", { "b", ["a\nb"] = "c" }))
  end)

  it("keeps its own fields of JSON apart from those of the event", function()
    assert.equal('{"time":"' .. TIME .. '","level":"info","message":"x",'
      .. '"level_":"error","time_":0}',
      line("x", { level = "error", time = 0 }, "json"))
  end)

  it("writes JSON", function()
    assert.equal('{"time":"' .. TIME .. '","level":"info",'
      .. '"message":"a\\n\\"","f":0.5,"n":1,"ok":true,"s":"é"}',
      line('a\n"', { n = 1, ok = true, f = 0.5, s = "é" }, "json"))
  end)

  it("keeps fields whose names look alike in JSON apart", function()
    assert.equal('{"time":"' .. TIME .. '","level":"info","message":"x",'
      .. '"1":"number","1_":"text","true":"boolean","true_":"text"}',
      line("x", { [1] = "number", ["1"] = "text", [true] = "boolean",
        ["true"] = "text" }, "json"))
  end)

  it("writes bytes that are not UTF-8 as JSON, too", function()
    assert.matches('"x":"\\ufffd","x_hex":"ff"',
      line("a", { x = "\255" }, "json"), 1, true)
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

  it("shows events to those that observe it, until they stop", function()
    local seen = {}
    local stop = log.observe(function(event)
      seen[#seen + 1] = event
    end)
    local events = support.logged(function()
      log.warn("careful", { count = 2 })
      log.debug("below the level")
      stop()
      log.info("later")
    end)

    assert.equal(2, #events)
    assert.same({ events[1] }, seen)
    support.assert_blames_caller("fn must be a function", function()
      log.observe("x")
    end)
  end)

  it("raises for an unknown level or option, and names it", function()
    support.assert_blames_caller("unknown level 'loud'", function()
      log.write("loud", "x")
    end)
    support.assert_blames_caller("the message must be a string, not nil",
      function()
        log.info()
      end)
    support.assert_blames_caller("the fields must be a table, not string",
      function()
        log.write("warn", "x", "y")
      end)
    assert.error_matches(function()
      log.configure({ level = "loud" })
    end, "unknown level 'loud'")
    assert.error_matches(function()
      log.configure({ colour = true })
    end, "unknown option 'colour'")
  end)

  it("blames the caller of `line` for wrong arguments", function()
    local event = { level = "info", message = "m", fields = {} }
    for message, arguments in pairs({
      ["options must be a table"] = { nil, TIME, "text" },
      ["option 'message' is missing"] = { { level = "info", fields = {} },
        TIME, "text" },
      ["option 'fields' must be a table"] = { { level = "info", message = "m",
        fields = 1 }, TIME, "text" },
      ["the time must be a string, not nil"] = { event, nil, "text" },
      ["the format must be text or json, not 'xml'"] = { event, TIME, "xml" },
    }) do
      support.assert_blames_caller(message, function()
        local _ = log.line(arguments[1], arguments[2], arguments[3])
      end)
    end
  end)
end)
