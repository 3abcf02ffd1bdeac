local core = require("kadenza.core")

local function read(path)
  local file = io.open(path, "rb")
  return file and file:read("a")
end

local ON_LINUX <const> = read("/proc/self/stat") ~= nil

describe("core.usage", function()
  it("counts processor time", function()
    local before = core.usage().cpu_seconds
    local sum = 0
    for i = 1, 3000000 do
      sum = sum + i
    end
    assert.is_true(sum > 0 and core.usage().cpu_seconds > before)
  end)

  it("counts open files", function()
    local before = core.usage()
    local files = {}
    for i = 1, 10 do
      files[i] = assert(io.open("/dev/null"))
    end
    local after = core.usage()
    if ON_LINUX then
      assert.equal(before.open_fds + 10, after.open_fds)
      assert.is_true(after.max_fds > after.open_fds)
    end
    for _, file in ipairs(files) do
      file:close()
    end
    assert.equal(before.open_fds, core.usage().open_fds)
  end)

  it("says when the process began, and how much memory it has", function()
    if not ON_LINUX then
      return
    end
    local usage = core.usage()
    assert.is_true(usage.start_time <= os.time() + 1)
    assert.is_true(usage.start_time > os.time() - 3600)
    assert.near(usage.start_time, core.usage().start_time, 0.05)
    local status = read("/proc/self/status")
    local resident = tonumber(status:match("VmRSS:%s*(%d+)")) * 1024
    assert.is_true(math.abs(usage.resident_bytes - resident) < 4 << 20)
    local size = tonumber(status:match("VmSize:%s*(%d+)")) * 1024
    assert.is_true(math.abs(usage.virtual_bytes - size) < 4 << 20)
  end)
end)
