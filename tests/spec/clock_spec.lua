local clock = require("kadenza.clock")
local core = require("kadenza.core")
local kad = require("kadenza")
local support = require("tests.spec.support")
local task = require("kadenza.task")

local spec = support.spec

local YEAR <const> = 365 * 86400
local NOW <const> = 1796000000 -- in 2026

-- Returns a reading; `wall` is relative to NOW.
local function reading(wall, boot, boot_id)
  return { wall = NOW + wall, boot = boot, boot_id = boot_id }
end

describe("kadenza.clock", function()
  it("compares readings of one run of the machine by its own clock", function()
    for _, wall in ipairs({ 60, 0, -18000, 18000, -NOW, 57 * YEAR }) do
      assert.equal(60, clock.elapsed(reading(0, 1000, "a"),
        reading(wall, 1060, "a")))
    end
    assert.equal(60, clock.elapsed(reading(-NOW, 1000, "a"),
      reading(0, 1060, "a")))
  end)

  it("compares readings of different runs by the wall clock", function()
    assert.equal(7200, clock.elapsed(reading(0, 1000, "a"),
      reading(7200, 30, "b")))
    assert.equal(7200, clock.elapsed(reading(0, 1000), reading(7200, 30)))
  end)

  it("counts only the run of the machine if a wall clock is wrong", function()
    assert.equal(30, clock.elapsed(reading(-NOW, 1000, "a"),
      reading(0, 30, "b")))
    assert.equal(30, clock.elapsed(reading(0, 1000, "a"),
      reading(-NOW, 30, "b")))
    assert.equal(30, clock.elapsed(reading(7200, 1000, "a"),
      reading(0, 30, "b")))
    assert.equal(0, clock.elapsed(reading(7200, 1000), reading(0, 30)))
  end)

  it("is never negative", function()
    for _, before in ipairs({ reading(0, 1000, "a"), reading(0, 1000) }) do
      for _, now in ipairs({ reading(-1, 999, "a"), reading(-1, 0, "a"),
        reading(-NOW, 0) }) do
        assert.is_true(clock.elapsed(before, now) >= 0)
      end
    end
  end)

  it("reads the clock of the machine", spec(function()
    local boot, id = core.boot()
    assert.equal("integer", math.type(boot))
    assert.is_true(boot >= 0)
    kad.run(function()
      local now = clock.read(task.network())
      assert.is_true(now.boot - boot <= 1)
      assert.equal(id, now.boot_id)
      assert.is_true(math.abs(now.wall - os.time()) <= 1)
    end)
  end))

  it("reads virtual time", spec(function()
    local net <close> = kad.sim({ nodes = 1, seed = 1 })
    local before = clock.read(net.network)
    net:run(100)
    local now = clock.read(net.network)
    assert.equal(100, clock.elapsed(before, now))
    assert.equal(clock.lead(before), clock.lead(now))
  end))
end)
