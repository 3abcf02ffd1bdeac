-- Reloads under traffic leak nothing. RELOADS sets their number; the continuous
-- integration runs 10,000.
--
-- Tests scripts/kadenza/policy.lua, bindings/policy.

local kad = require("kadenza")
local support = require("tests.spec.support.policy")

-- With ASan, freed memory stays in quarantine, so the process grows.
local SANITIZED <const> = (os.getenv("LD_PRELOAD") or ""):find("asan") ~= nil
local RELOADS <const> = tonumber(os.getenv("RELOADS"))
  or (SANITIZED and 200 or 1000)
local WARM <const> = RELOADS // 5 -- until then caches and heaps grow

-- Counts each call before it may wait, so that no count is lost. At any time
-- hooks of about ten generations wait, with a timer and a task each.
local POLICY <const> = [[
  local kad = require("kadenza")
  local asked = 0
  return {
    name = "busy",
    types = { note = { republish = false, validate = function(record, ctx)
      asked = asked + 1
      if asked % 3 == 0 then kad.sleep(0.2) end
      return true
    end } },
    rpc = { run = function()
      asked = asked + 1
      kad.sleep(0.3)
      return { asked = asked }
    end },
    every = { { seconds = 0.05, run = function() kad.sleep(0.01) end } },
    on_start = function()
      kad.spawn(function() kad.sleep(3) end)
    end,
    save = function() return { asked = asked } end,
    restore = function(state) asked = state.asked end,
  } ]]

local function resident_bytes()
  local file <close> = io.open("/proc/self/statm")
  if not file then
    return 0
  end
  local _, pages = file:read("n", "n")
  return pages * 4096
end

local function open_files()
  local pipe <close> = io.popen("ls /proc/self/fd 2>/dev/null | wc -l")
  return tonumber(pipe:read("a"))
end

local function measure()
  collectgarbage()
  collectgarbage()
  return {
    lua = collectgarbage("count") * 1024,
    resident = resident_bytes(),
    files = open_files(),
  }
end

-- A VM takes half a megabyte: the limit detects one leaked VM, or a kilobyte in
-- every tenth reload.
local function assert_flat(before, after)
  assert.is_true(after.lua < before.lua + 100000,
    string.format("Lua: from %d to %d bytes", before.lua // 1, after.lua // 1))
  assert.equal(before.files, after.files)
  if not SANITIZED then
    assert.is_true(after.resident < before.resident + 3000000,
      string.format("resident: from %d to %d bytes", before.resident,
        after.resident))
  end
end

-- Sends the node a query and a store.
local function ask(world, seen, i)
  seen.asked = seen.asked + 2
  kad.spawn(function()
    local reply = world.other:call(world.node:addresses()[1], "run")
    seen.answered = seen.answered + (reply and 1 or 0)
  end)
  kad.spawn(function()
    local key = kad.key("key " .. i % 50)
    local stored = world.node:put(key, "value", { type = "note" })
    seen.answered = seen.answered + (stored and 1 or 0)
  end)
end

describe("reloads under traffic", function()
  it("lose no answer, no state and no memory", support.with(POLICY,
    function(world)
      local seen = { asked = 0, answered = 0 }
      local before
      for i = 1, RELOADS do
        ask(world, seen, i)
        assert.is_true(world.node:reload())
        kad.sleep(0.03)
        if i == WARM then
          before = measure()
        end
      end
      local after = measure()
      kad.sleep(5)

      assert.equal(seen.asked, seen.answered)
      assert.equal(0, world.node:stats().pending_hooks)
      local reply = world.other:call(world.node:addresses()[1], "run")
      assert.equal(seen.asked + 1, reply.asked)
      assert_flat(before, after)
    end))
end)
