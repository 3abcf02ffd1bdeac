local fault = require("kadenza.cli.fault")
local log = require("kadenza.log")
local services = require("kadenza.cli.services")

-- Returns a service that notes in `events` what is asked of it, and raises a
-- fault where `failing` says.
local function module(events, name, failing)
  local function note(what)
    table.insert(events, name .. " " .. what)
    if failing == what then
      fault.failed("cannot " .. what)
    end
  end
  local service = {
    start = function() note("start") end,
    announce = name ~= "b" and function() note("announce") end or nil,
    leave = name ~= "b" and function() note("leave") end or nil,
    reload = function() note("reload") end,
    stop = function() note("stop") end,
  }
  return { prepare = function(settings)
    note("prepare")
    return settings[name] ~= "off" and service or nil
  end }
end

local function message_of(fn)
  local succeeded, problem = pcall(fn)
  return not succeeded and problem.message
end

describe("the services of a node", function()
  local events

  before_each(function()
    events = {}
  end)

  local function modules(failing)
    return { module(events, "a"), module(events, "b", failing),
      module(events, "c") }
  end

  it("start in order and stop in the reverse order", function()
    do
      local list <close> = services.prepare({}, modules())
      list:start({})
      list:reload({})
      list:stop()
    end
    assert.same({ "a prepare", "b prepare", "c prepare", "a start", "b start",
      "c start", "a reload", "b reload", "c reload", "c stop", "b stop",
      "a stop" }, events)
  end)

  it("say where they serve, and learn that the node is about to stop",
    function()
      local list <close> = services.prepare({}, modules())
      list:announce()
      list:leave()
      assert.same({ "a prepare", "b prepare", "c prepare", "a announce",
        "c announce", "a leave", "c leave" }, events)
    end)

  it("are told before a reload, if they want that",
    function()
      local told = {}
      local silent = { start = function() end, stop = function() end }
      local told_of = setmetatable({
        begin_reload = function() told[#told + 1] = "begin_reload" end,
      }, { __index = silent })
      local list <close> = services.prepare({}, {
        { prepare = function() return silent end },
        { prepare = function() return told_of end },
      })
      list:start({})
      list:begin_reload()
      list:reload({})
      assert.same({ "begin_reload" }, told)
    end)

  it("are those that the settings ask for", function()
    local list = services.prepare({ b = "off" }, modules())
    list:start({})
    list:stop()
    assert.same({ "a prepare", "b prepare", "c prepare", "a start", "c start",
      "c stop", "a stop" }, events)
  end)

  it("leave nothing behind when one cannot be prepared", function()
    assert.equal("cannot prepare", message_of(function()
      services.prepare({}, modules("prepare"))
    end))
    assert.same({ "a prepare", "b prepare", "a stop" }, events)
  end)

  it("leave nothing behind when one cannot start", function()
    assert.equal("cannot start", message_of(function()
      local list <close> = services.prepare({}, modules("start"))
      list:start({})
    end))
    assert.same({ "a prepare", "b prepare", "c prepare", "a start", "b start",
      "c stop", "b stop", "a stop" }, events)
  end)

  it("are all reloaded, also if one fails", function()
    local lines = {}
    local before = log.configure({ level = "error", format = "text",
      write = function(line) table.insert(lines, line) end })
    local list <close> = services.prepare({}, modules("reload"))
    list:reload({})
    log.restore(before)

    assert.equal("c reload", events[#events])
    assert.equal(1, #lines)
    assert.matches("cannot reload", lines[1])
  end)

  it("have none by default that settings without options ask for", function()
    local list <close> = services.prepare({})
    list:start({})
  end)
end)
