-- The log of a policy that fails names the hook, the policy, the place and the
-- traceback, and is rate-limited.
--
-- Tests bindings/policy, scripts/kadenza/policy/host.lua,
-- scripts/kadenza/failure.lua, scripts/kadenza/throttle.lua.

local kad = require("kadenza")
local support = require("tests.spec.support.policy")

local with = support.with
local KEY <const> = kad.key("failures")

-- Every failure is raised on line 2, two calls deep.
local FAILING <const> = [[
local kad = require("kadenza")
local function fail(what) error("no " .. what) end
local function deep(what) fail(what) end
local function later(what) kad.sleep(0.1) deep(what) end
return {
  name = "failing", version = 1,
  types = { note = { republish = false, validate = function(record)
    if record.value == "field" then
      return record["a\0b"]
    elseif record.value == "task" then
      kad.spawn(later, "task")
      return true
    end
    (record.value == "later" and later or deep)(record.value)
  end, expire = function() deep("expiry") end } },
  rpc = { bad = function() return 5 end },
  every = { { seconds = 0.5, run = function() later("timer") end } },
  on_start = function() deep("start\0 of all") end,
  on_stop = function() deep("stop") end,
}]]

-- Returns the log events about `what`.
local function events_of(world, what)
  local found = {}
  for _, event in ipairs(world.events) do
    if tostring(event.fields.error):find("no " .. what, 1, true) then
      found[#found + 1] = event
    end
  end
  return found
end

-- Asserts that a failure was logged once, with all its fields.
local function assert_said(world, what, hook)
  local events = events_of(world, what)
  assert.equal(1, #events, what)
  local fields = events[1].fields
  assert.equal("error", events[1].level)
  if hook then
    assert.equal(hook, fields.hook)
  end
  local first = fields.error:match("^[^\n]*")
  assert.equal(world.path .. ":2: no " .. what, first)
  assert.is_truthy(fields.error:find(
    "\nstack traceback:\n.*" .. world.path:gsub("%p", "%%%0") .. ":3: in "),
    fields.error)
end

-- Calls fn(world) in the overlay, and check(world) after all was logged.
local function scene(fn, check)
  return with(FAILING, function(world)
    world.after = function()
      check(world)
    end
    fn(world)
  end)
end

describe("a failure is logged with hook, place and traceback", function()
  local function put(value)
    return function(world)
      assert.is_nil((world.node:put(KEY, value, { type = "note" })))
    end
  end

  it("in a hook", scene(put("good"), function(world)
    assert_said(world, "good", "failing: note.validate")
    assert.equal(world.path .. ":7",
      events_of(world, "good")[1].fields.defined)
  end))

  it("in a hook that waited", scene(put("later"), function(world)
    assert_said(world, "later", "failing: note.validate")
  end))

  it("in a task without await, with the file", scene(function(world)
    world.node:put(KEY, "task", { type = "note" })
    kad.sleep(1)
  end, function(world)
    local events = events_of(world, "task")
    assert.equal("a task failed", events[1].message)
    assert.equal(world.path, events[1].fields.policy)
    assert_said(world, "task")
  end))

  it("in on_start and on_stop", scene(function() end, function(world)
    assert_said(world, "start\0 of all", "failing: on_start")
    assert_said(world, "stop", "failing: on_stop")
  end))

  it("in a timer, once in ten seconds", scene(function()
    kad.sleep(34)
  end, function(world)
    local events = events_of(world, "timer")
    assert.is_true(#events >= 3 and #events <= 5)
    local said = 0
    for _, event in ipairs(events) do
      assert.equal("failing: every[1]", event.fields.hook)
      said = said + 1 + (event.fields.before or 0)
    end
    assert.is_true(said > 40)
    world.events = { events[1] }
    assert_said(world, "timer", "failing: every[1]")
  end))

  it("whole, if its text or a name in it has a zero byte", scene(function(world)
    world.node:put(KEY, "a\0b", { type = "note" })
    kad.sleep(31)
    world.node:put(KEY, "field", { type = "note" })
  end, function(world)
    assert_said(world, "a\0b", "failing: note.validate")
    assert.is_truthy(world.events[#world.events - 1].fields.error:find(
      ":9: a Record has no field 'a\\x00b'", 1, true))
  end))

  it("of a hook that returns a wrong type", scene(function(world)
    world.other:call(world.node:addresses()[1], "bad", {})
  end, function(world)
    for _, event in ipairs(world.events) do
      if event.fields.hook == "failing: rpc.bad" then
        assert.equal(world.path .. ":16", event.fields.defined)
        assert.is_truthy(event.fields.error:find(
          "^returned number where a reply, a table, or nil and a reason"))
        return
      end
    end
    error("nothing was said")
  end))

  it("at a bounded rate", scene(function(world)
    for i = 1, 300 do
      world.node:put(KEY, "task" .. i % 2, { type = "note" })
      world.node:put(KEY, "task", { type = "note" })
    end
    kad.sleep(1)
  end, function(world)
    assert.is_true(#world.events < 30, #world.events .. " lines")
  end))
end)
