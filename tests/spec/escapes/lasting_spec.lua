-- Attempts to stay: in waiting calls, timers and tasks, after the hook, the
-- kill or the reload; and to stall the node or lose its records.
--
-- Tests scripts/kadenza/sandbox.lua, bindings/policy.

local assert = require("luassert")
local attempt = require("tests.spec.escapes.attempt")
local kad = require("kadenza")
local policy = require("kadenza.policy")

local DEADLINE <const> = "did not answer before its deadline"

-- Asserts that no hook call is pending.
local function nothing_waits(world)
  assert.equal(0, world.node:stats().pending_hooks)
end

local function reload(world)
  assert(world.node:reload())
  kad.sleep(5)
  nothing_waits(world)
end

local ROWS <const> = {
  { "a hook that never answers", "kad.wait(function() end)", fails = DEADLINE,
    check = nothing_waits },
  { "a hook that sleeps without end", "kad.sleep(1e8)", fails = DEADLINE,
    check = nothing_waits },
  { "hooks that never answer, as many as may wait", "kad.sleep(1e8)",
    times = 20, max_pending_hooks = 4, counted = true, check = nothing_waits },
  { "__close that sleeps when the hook is canceled", [[
    local _ <close> = setmetatable({}, { __close = function()
      kad.sleep(1e8)
    end })
    kad.sleep(1e8) ]], fails = "a canceled task cannot wait",
    check = nothing_waits },
  { "__close that loops when the hook is canceled", [[
    local _ <close> = setmetatable({}, { __close = function()
      while true do end
    end })
    kad.sleep(1e8) ]], times = 5, fails = "ran too long",
    check = nothing_waits },
  { "__close that raises when the hook is canceled", [[
    local _ <close> = setmetatable({}, { __close = function() error("no") end })
    kad.sleep(1e8) ]], times = 5, fails = "no", check = nothing_waits },
  { "__close that spawns when the hook is canceled", [[
    local function stay()
      local _ <close> = setmetatable({}, { __close = function()
        kad.spawn(stay)
      end })
      kad.sleep(1e8)
    end
    stay() ]], fails = DEADLINE, closes = true },
  { "a wait whose end loops", [[
    kad.wait(function()
      return function() while true do end end
    end) ]], times = 5, fails = DEADLINE, logs = "ran too long",
    check = nothing_waits },
  { "a wait whose end raises", [[
    kad.wait(function() return function() error("no") end end) ]], times = 5,
    fails = DEADLINE, check = nothing_waits },
  { "a wait whose end waits", [[
    kad.wait(function() return function() kad.sleep(1) end end) ]], times = 5,
    fails = DEADLINE, check = nothing_waits },
  { "a wait that is woken twice", [[
    local wake
    kad.wait(function(resume) wake = resume resume(1) resume(2) end)
    wake(3)
    kad.sleep(0)
    wake(4)
    return { value = "awake" } ]], gives = "awake" },
  { "a wait that is woken after its hook", place = "file", [[
    local kad = require("kadenza")
    local wake
    return { name = "attack", rpc = { attack = function()
      if wake then wake() end
      kad.wait(function(resume) wake = resume kad.spawn(resume) end)
      return { value = "awake" }
    end } } ]], times = 3, gives = "awake" },
  { "a task that awaits itself", [[
    local own
    own = kad.spawn(function() kad.sleep(0) return own:await() end)
    own:await() ]], fails = "a task cannot await itself" },
  { "tasks that await one another", [[
    local one, other
    one = kad.spawn(function() kad.sleep(0) return other:await() end)
    other = kad.spawn(function() kad.sleep(0) return one:await() end)
    one:await() ]], fails = DEADLINE, check = nothing_waits },
  { "a task that cancels itself and runs on", [[
    local own
    own = kad.spawn(function()
      kad.sleep(0)
      own:cancel()
      while true do end
    end)
    kad.sleep(1)
    return { value = own:status() } ]], gives = "canceled" },
  { "a task that outlives its hook", [[
    kad.spawn(function() kad.sleep(1) while true do end end)
    return { value = "spawned" } ]], gives = "spawned",
    logs = "ran too long" },
  { "tasks that outlive their hook, in storms", [[
    for _ = 1, 400 do
      kad.spawn(function() kad.sleep(1) while true do end end)
    end
    return { value = "spawned" } ]], gives = "spawned",
    logs = "ran too long", instructions = 400000 },
  { "tasks that keep waking one another", [[
    local function play(mine, other)
      for _ = 1, 50000 do
        kad.wait(function(resume)
          mine.wake = resume
          if other.wake then other.wake() end
        end)
      end
    end
    local a, b = {}, {}
    kad.spawn(play, a, b)
    kad.spawn(play, b, a)
    return { value = "playing" } ]], gives = "playing" },
  { "tasks that spawn themselves without end", place = "start", [[
    local function again() kad.sleep(0) kad.spawn(again) end
    kad.spawn(again) ]], later = 0.1 },
  { "kad.timeout around a task that cannot be stopped", [[
    local fine, message = kad.timeout(1, function()
      while true do pcall(kad.sleep, 0.1) end
    end)
    return { value = message } ]], gives = "timeout" },
  { "kad.timeout of no time", [[
    return { value = select(2, kad.timeout(0, function()
      kad.sleep(1e8)
    end)) } ]], gives = "timeout" },
  { "kad.timeout of a time that is none", "kad.timeout(0 / 0, kad.sleep)",
    fails = "seconds must be" },
  { "a sleep of a time that is none", "kad.sleep(0 / 0)",
    fails = "seconds must be" },
  { "a sleep beyond all times", "kad.sleep(math.huge)",
    fails = "seconds must be" },
  { "a race of tasks that never end", [[
    kad.race({ function() kad.sleep(1e8) end, function() kad.sleep(1e8) end })
  ]], fails = DEADLINE, check = nothing_waits },
  { "a timer at every millisecond", place = "file", [[
    return { name = "attack", every = { { seconds = 0.001, run = function()
    end } } } ]], by = "start" },
  { "a timer whose work never ends", place = "file", [[
    return { name = "attack", every = { { seconds = 1, run = function()
      while true do end
    end } } } ]], by = "start", logs = "ran too long" },
  { "timers without number", place = "file", [[
    local every = {}
    for i = 1, 500 do every[i] = { seconds = 1, run = function() end } end
    return { name = "attack", every = every } ]], instructions = 2e7,
    by = "start" },
  { "a start that never ends", place = "start", "while true do end",
    logs = "ran too long" },
  { "a start that sleeps without end", place = "start", "kad.sleep(1e8)",
    check = reload },
  { "a task that loops when the policy is replaced", place = "start", [[
    local _ <close> = setmetatable({}, { __close = function()
      while true do end
    end })
    kad.sleep(1e8) ]], check = reload },
  { "a stop that never ends", place = "file", [[
    return { name = "attack", on_stop = function() while true do end end }
  ]], by = "start", check = reload, logs = "ran too long" },
  { "a stop that waits", place = "file", [[
    local kad = require("kadenza")
    return { name = "attack", on_stop = function() kad.sleep(1) end }
  ]], by = "start", check = reload, logs = "task" },
  { "a stop when the node closes", place = "file", [[
    return { name = "attack", on_stop = function() while true do end end }
  ]], by = "start", closes = true, logs = "ran too long" },
  { "hooks that wait when the node closes", place = "file", [[
    local kad = require("kadenza")
    return { name = "attack", on_store = function() kad.sleep(1e8) end }
  ]], by = "start", closes = true },
  { "a killed hook's __close, at the next call", place = "file", [[
    local closed = 0
    return { name = "attack", rpc = { attack = function()
      local _ <close> = setmetatable({}, { __close = function()
        closed = closed + 1
      end })
      while true do end
    end } } ]], times = 3, fails = "ran too long" },
  { "a finalizer of a killed hook", [[
    local meta = {}
    local t = setmetatable({}, meta)
    meta.__gc = function() while true do end end
    while true do end ]], times = 3, fails = "ran too long" },
  { "a file that never ends", place = "file", "while true do end",
    refused = "ran too long" },
  { "a file that fills the memory", place = "file", [[
    local t = {}
    while true do t = { t, ("x"):rep(1000) .. #t } end ]],
    instructions = 2e7, refused = "memory" },
  { "a file that waits", place = "file",
    'require("kadenza").sleep(1)', refused = "task" },
  { "a function of the node that never ends", place = "file",
    "return function() while true do end end", refused = "ran too long" },
  { "a file that raises what cannot be shown", place = "file", [[
    error(setmetatable({}, { __tostring = function() while true do end end }))
  ]], refused = "cannot be shown" },
  { "a policy whose metatable loops", place = "file", [[
    return setmetatable({}, { __index = function() while true do end end,
      __pairs = function() while true do end end }) ]],
    refused = "ran too long" },
  { "a policy whose metatable has no end", place = "file", [[
    return setmetatable({}, { __pairs = function()
      return assert, "name", "name"
    end, __index = function() return nil end }) ]],
    by = "start" },
  { "a list of a policy that has no end", place = "file", [[
    return { requires = setmetatable({}, { __index = function(_, index)
      return assert(index < 2^53) and "keeper"
    end }) } ]],
    refused = "ran too long" },
  { "a type that takes every record away", place = "file", [[
    return { name = "attack", types = { kept = {
      validate = function() return true end,
    } } } ]], refused = "is claimed by" },
  { "a filter that refuses everything", place = "file", [[
    return { name = "attack", on_request = function(request)
      if request.method == "attack" then error("x") end
      return true
    end } ]], fails = "x" },
  { "a merge that keeps nothing of another key", place = "file", [[
    return { name = "attack", types = { note = { merge = function(held, record)
      return { { value = "lost", key = ("\0"):rep(20), type = "kept" } }
    end } } } ]], by = "validate" },
  { "a merge that never ends", place = "file", [[
    return { name = "attack", types = { note = { merge = function()
      while true do end
    end } } } ]], by = "validate", fails = "ran too long" },
  { "lives that are none", place = "file", [[
    return { name = "attack", types = { note = {
      expire = function() return 0 / 0 end,
      republish = function() return -math.huge end,
    } } } ]], by = "validate", later = 5, check = function(world)
      assert.is_truthy(world.stored)
      assert.is_true(policy.stats(world.node).clamped >= 1)
    end },
  { "contacts that are all refused", place = "file", [[
    return { name = "attack", on_contact = function() error("x") end } ]],
    by = "start" },
}

describe("an escape that lasts:", function()
  for _, row in ipairs(ROWS) do
    it(row[1], attempt.spec(row))
  end
end)
