local kad = require("kadenza")
local support = require("tests.spec.support")

local uv = require("luv")

local spec = support.spec

-- Closes both ends of a pipe.
local Pipe = {}
Pipe.__index = Pipe

function Pipe:__close()
  for _, name in ipairs({ "read", "write" }) do
    if self[name] then
      uv.fs_close(self[name])
    end
  end
end

local function new_pipe()
  return setmetatable(assert(uv.pipe({ nonblock = true }, {})), Pipe)
end

describe("network:watch", function()
  it("calls when a descriptor is ready", spec(function()
    local network = kad.loop.network()
    local pipe <close> = new_pipe()
    local got = {}
    local watch = assert(network:watch(pipe.read, "r",
      function(readable, writable)
        got[#got + 1] = { uv.fs_read(pipe.read, 10), readable, writable }
        network:stop()
      end))

    uv.fs_write(pipe.write, "word")
    kad.loop.run(10)

    assert.same({ { "word", true, false } }, got)
    assert.is_true(network:end_watch(watch))
    assert.is_false(network:end_watch(watch))
    kad.loop.close()
  end))

  it("waits for what was asked last", spec(function()
    local network = kad.loop.network()
    local pipe <close> = new_pipe()
    local calls = 0
    local watch = assert(network:watch(pipe.write, "", function()
      calls = calls + 1
      network:stop()
    end))
    kad.loop.run(0.01)
    assert.equal(0, calls)

    assert.is_true(network:change_watch(watch, "rw"))
    kad.loop.run(10)
    assert.is_true(calls > 0)
    kad.loop.close()
    assert.is_false(network:change_watch(watch, "r"))
    assert.is_false(network:end_watch(watch))
  end))

  it("ends within its own function", spec(function()
    local network = kad.loop.network()
    local pipe <close> = new_pipe()
    local calls, watch = 0, nil
    watch = network:watch(pipe.write, "w", function()
      calls = calls + 1
      network:end_watch(watch)
      collectgarbage()
    end)
    kad.loop.run(0.02)
    assert.equal(1, calls)
    kad.loop.close()
  end))

  it("refuses what it cannot wait for", spec(function()
    local network = kad.loop.network()
    local pipe <close> = new_pipe()
    local file = assert(uv.fs_open("README.md", "r", 0))
    local watch, message, code = network:watch(file, "r", print)
    uv.fs_close(file)
    assert.is_nil(watch)
    assert.is_string(message)
    assert.equal("KAD_EINVAL", code)

    assert.is_false(network:end_watch(12345))
    local timer = network:start_timer(1000, print)
    assert.is_false(network:end_watch(timer))
    assert.is_false(network:change_watch(timer, "r"))
    assert.has_error(function()
      network:watch(pipe.read, "x", print)
    end)
    assert.has_error(function()
      network:watch(-1, "r", print)
    end)
    assert.has_error(function()
      network:watch(pipe.read, "r")
    end)
    kad.loop.close()
  end))

  it("is not for virtual time", spec(function()
    local network <close> = require("kadenza.core").sim({})
    local pipe <close> = new_pipe()
    local watch, _, code = network:watch(pipe.read, "r", print)
    assert.is_nil(watch)
    assert.equal("KAD_EINVAL", code)
  end))
end)
