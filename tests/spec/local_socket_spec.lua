-- Tests bindings/lua/local_socket.c.

local core = require("kadenza.core")
local support = require("tests.spec.support")

describe("a socket in the file system", function()
  local folder, remove, path

  before_each(function()
    folder, remove = support.temporary_folder()
    path = folder .. "/socket"
  end)

  after_each(function()
    remove()
  end)

  -- Returns the two ends of a connection, and the listener.
  local function pair()
    local listener = assert(core.listen_local(path))
    local client = assert(core.connect_local(path))
    return client, assert(listener:accept()), listener
  end

  it("is of its owner only, whatever the umask", function()
    local done = io.popen("umask 0; " .. (os.getenv("LUA") or "lua5.4")
      .. " -e '"
      .. 'local l = require("kadenza.core").listen_local("' .. path .. '") '
      .. 'os.execute("stat -c %a ' .. path .. '") l:close()' .. "'")
    assert.equal("600\n", done:read("a"))
    done:close()
  end)

  it("carries bytes both ways", function()
    local client, server = pair()
    assert.is_false(server:read())
    assert.equal(5, client:write("a\0b\255c", 1))
    assert.equal("a\0b\255c", server:read())
    assert.equal(2, server:write("xyz", 2))
    assert.equal("yz", client:read())
    assert.equal(0, client:write("", 1))
    client:close()
    assert.equal("", server:read())
    local written, message, code = server:write("x", 1)
    assert.is_nil(written)
    assert.matches("write: Broken pipe", message)
    assert.equal("KAD_ESYSTEM", code)
  end)

  it("never waits to write", function()
    local client, server = pair()
    local total, chunk = 0, ("x"):rep(65536)
    repeat
      local written = client:write(chunk, 1)
      total = total + (written or 0)
    until not written
    assert.is_true(total > 0)
    assert.is_false(client:wait("w", 0))
    repeat
      local bytes = server:read()
      total = total - #(bytes or "")
    until not bytes
    assert.equal(0, total)
    assert.is_true(client:wait("w", 0))
  end)

  it("waits for bytes, for a time", function()
    local client, server = pair()
    assert.is_false(server:wait("r", 1))
    client:write("x", 1)
    assert.is_true(server:wait("r", 1000))
    assert.has_error(function()
      server:wait("x", 1)
    end)
  end)

  it("takes one connection after the other", function()
    local _, _, listener = pair()
    assert.is_false(listener:accept())
    local other = assert(core.connect_local(path))
    assert(listener:accept())
    assert.is_true(other:fd() >= 0)
  end)

  it("is removed when it is closed, unless another has replaced it", function()
    local listener = assert(core.listen_local(path))
    assert.is_true(core.is_local_socket(path))
    listener:close()
    listener:close()
    assert.is_false(core.exists(path))
    assert.has_error(function()
      listener:accept()
    end)

    local first = assert(core.listen_local(path))
    os.remove(path)
    local second = assert(core.listen_local(path))
    first:close()
    assert.is_true(core.is_local_socket(path))
    second:close()
    assert.is_false(core.exists(path))
  end)

  it("tells why it cannot be made or reached", function()
    local function fails(code, text, result, message, actual)
      assert.is_nil(result)
      assert.equal(code, actual)
      assert.is_truthy(message:find(text, 1, true), message)
    end
    fails("KAD_ENOTFOUND", path .. ": connect: No such file",
      core.connect_local(path))
    fails("KAD_ENOTFOUND", "connect", core.connect_local(path .. "/below/it"))
    local listener = assert(core.listen_local(path))
    fails("KAD_EADDRINUSE", path, core.listen_local(path))
    os.rename(path, path .. ".left")
    listener:close()
    fails("KAD_EREFUSED", "Connection refused",
      core.connect_local(path .. ".left"))
    fails("KAD_ESYSTEM", "No such file", core.listen_local(path .. "/x/y"))
    assert(io.open(path, "w")):close()
    fails("KAD_EADDRINUSE", path, core.listen_local(path))
    fails("KAD_EREFUSED", "refused", core.connect_local(path))
    assert.is_false(core.is_local_socket(path))
  end)

  it("has a path of at most 107 bytes", function()
    local longest = folder .. "/" .. ("x"):rep(107 - #folder - 1)
    assert.is_true(core.check_local_path(longest))
    assert(core.listen_local(longest)):close()
    for _, act in ipairs({ "check_local_path", "listen_local",
      "connect_local" }) do
      local done, message, code = core[act](longest .. "x")
      assert.is_nil(done)
      assert.equal("KAD_ETOOBIG", code)
      assert.equal(longest .. "x: the path of a socket has at most 107 bytes, "
        .. "not 108", message)
    end
    assert.is_false(core.exists(longest .. "x"))
  end)

  it("is closed by the collector", function()
    local _, server = pair()
    _ = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal("", server:read())
  end)
end)
