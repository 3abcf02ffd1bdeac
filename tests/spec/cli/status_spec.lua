-- Tests scripts/kadenza/cli/status.lua, scripts/kadenza/cli/attach.lua,
-- scripts/kadenza/cli/console.lua.

local core = require("kadenza.core")
local dkjson = require("dkjson")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")
local terminal = require("tests.spec.support.terminal")
local uv = require("luv")

describe("kadenza status", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  -- Starts a node with a state folder.
  local function start(name, args)
    local all = { "--state", folder .. "/" .. name }
    table.move(args or {}, 1, #(args or {}), 3, all)
    return process.start_node(all)
  end

  local function status(args, options)
    return process.run({ "status", table.unpack(args) }, options)
  end

  it("prints a screen", function()
    local node = start("node")
    local done = status({ "--state", folder .. "/node" })
    assert.equal(0, done.status, done.stderr)
    assert.equal("", done.stderr)
    assert.is_truthy(done.stdout:find("State        waiting for other nodes, "
      .. "0 contacts\n", 1, true), done.stdout)
    assert.is_truthy(done.stdout:find("Id           " .. node.id .. "\n", 1,
      true))
    assert.is_truthy(done.stdout:find("Listens on   " .. node.address, 1,
      true))
  end)

  it("prints a document for programs", function()
    local node = start("node", { "--policy", "counter" })
    local done = status({ "--state", folder .. "/node", "--json" })
    local document, at = dkjson.decode(done.stdout)
    assert.equal("\n", done.stdout:sub(at))
    assert.equal(node.id, document.id)
    assert.equal(node.address, document.addresses[1])
    assert.equal("counter", document.policies.files[1])
    assert.equal("counter: counter.merge", document.hooks[1].name)
    assert.equal(0, document.stats.lookups)
    assert.equal(node.pid, document.pid)
  end)

  it("finds the only node that runs", function()
    local env = { XDG_STATE_HOME = folder, KADENZA_STORE = "lmdb" }
    local none = status({}, { env = env })
    assert.equal(1, none.status)
    assert.equal(("kadenza: no node with a console runs in %s/kadenza: --state "
      .. "DIR or --console PATH says where it is\n"):format(folder),
      none.stderr)

    -- Two addresses that are free on this machine, most likely.
    local function start_default(port)
      local node = process.start({ "run", "--listen", "127.0.0.9:" .. port,
        "--allow-local" }, { env = env })
      node:wait_for("id=%x+\n", "stdout")
      return node
    end
    local first = start_default(52101)
    assert.is_true(core.is_local_socket(folder
      .. "/kadenza/127.0.0.9:52101/console"))
    assert.matches("127.0.0.9:52101", status({}, { env = env }).stdout)

    local second = start_default(52102)
    local both = status({}, { env = env })
    assert.equal(2, both.status)
    assert.equal(("kadenza: 2 nodes run: choose one with --state DIR: "
      .. "%s/kadenza/127.0.0.9:52101, %s/kadenza/127.0.0.9:52102\n"):format(
      folder, folder), both.stderr)
    assert.matches("127.0.0.9:52102", status({ "--state", folder
      .. "/kadenza/127.0.0.9:52102" }, { env = env }).stdout)

    second:kill("sigkill")
    second:wait()
    assert.matches("127.0.0.9:52101", status({}, { env = env }).stdout)
    first:kill("sigterm")
    first:wait()
    assert.equal(1, status({}, { env = env }).status)
  end)

  it("takes the node of the environment, unless a flag names another",
    function()
      local first, second = start("a"), start("b")
      local env = { KADENZA_STATE = folder .. "/a" }
      assert.matches(first.id, status({}, { env = env }).stdout)
      assert.matches(second.id, status({ "--state", folder .. "/b" },
        { env = env }).stdout)
      assert.matches(second.id, status({ "--console", folder .. "/b/console" },
        { env = env }).stdout)
    end)

  it("says what is wrong with a path", function()
    local function fails(args, code, text)
      local done = status(args)
      assert.equal(code, done.status, done.stderr)
      assert.equal("", done.stdout)
      assert.equal("kadenza: " .. text .. "\n", done.stderr)
    end
    local path = folder .. "/console"
    fails({ "--state", folder }, 1, path .. ": no node has its console there")
    io.open(path, "w"):close()
    fails({ "--console", path }, 1, path .. ": not a socket")
    os.remove(path)
    local left = assert(core.listen_local(path))
    os.rename(path, path .. ".left")
    left:close()
    fails({ "--console", path .. ".left" }, 1, path .. ".left: the node that "
      .. "had its console there does not run")
    fails({ "--console", "off" }, 2, "--console off: that node has no console")
    local long = folder .. "/" .. ("x"):rep(120)
    fails({ "--console", long }, 1, ("%s: the path of a socket has at most 107 "
      .. "bytes, not %d"):format(long, #long))
  end)

  it("ends if the node does not answer or is none", function()
    local listener = assert(core.listen_local(folder .. "/console"))
    local done = process.start({ "status", "--state", folder, "--json" })
    local socket
    repeat
      socket = listener:accept()
      uv.sleep(2)
    until socket
    socket:write("SSH-2.0-OpenSSH\r\n", 1)
    assert.equal(1, done:wait())
    assert.matches("not a console of kadenza", done.stderr)
    assert.matches('^{"error":"[^\n]*","code":"KAD_EMALFORMED"}\n$',
      done.stdout)
    listener:close()
  end)

  describe("--watch", function()
    it("prints one after the other where it cannot redraw", function()
      start("node")
      local function watch(...)
        return process.start({ "status", "--watch", "--interval", "1",
          "--state", folder .. "/node", ... })
      end
      local texts, documents = watch(), watch("--json")
      texts:wait_for("State.*\n\nState.*Consoles[^\n]*\n", "stdout")
      documents:wait_for("^{[^\n]*}\n{[^\n]*}\n", "stdout")
      for _, one in ipairs({ texts, documents }) do
        one:kill("sigint")
        assert.equal(0, one:wait())
        assert.equal("", one.stderr)
        assert.is_nil(one.stdout:find("\27", 1, true))
      end
    end)

    it("draws over the last screen of a terminal", function()
      local node = start("node")
      local done = terminal.run({ "status", "--watch", "--interval", "1",
        "--state", folder .. "/node" }, { seconds = 1.6, interrupt = true })
      assert.equal(0, done.status, done.stdout)
      local _, screens = done.stdout:gsub("\27%[HState", "")
      assert.is_true(screens >= 2, done.stdout)
      local _, cleared = done.stdout:gsub("\27%[2J", "")
      assert.equal(1, cleared)
      assert.is_truthy(done.stdout:find(node.id, 1, true))
    end)

    it("ends when the node ends", function()
      local node = start("node")
      local watch = process.start({ "status", "--watch", "--state",
        folder .. "/node" })
      watch:wait_for("Consoles", "stdout")
      node:kill("sigterm")
      assert.equal(1, watch:wait())
      assert.equal("kadenza: the node has ended\n", watch.stderr)
    end)
  end)

  describe("the console of a node", function()
    it("is at another path, or nowhere", function()
      local path = folder .. "/elsewhere"
      local node = start("node", { "--console", path })
      assert.is_true(core.is_local_socket(path))
      assert.is_false(core.exists(folder .. "/node/console"))
      assert.matches(node.id, status({ "--console", path }).stdout)
      node:kill("sigterm")
      assert.equal(0, node:wait())
      assert.is_false(core.exists(path))

      start("other", { "--console", "off" })
      assert.is_false(core.exists(folder .. "/other/console"))
    end)

    it("needs no state folder", function()
      local path = folder .. "/console"
      local node = process.start_node({ "--console", path })
      assert.matches(node.id, status({ "--console", path }).stdout)
    end)

    it("replaces the socket of a node that was killed", function()
      local node = start("node")
      node:kill("sigkill")
      node:wait()
      assert.is_true(core.is_local_socket(folder .. "/node/console"))
      local again = start("node")
      assert.equal(node.id, again.id)
      assert.matches(again.id, status({ "--state", folder .. "/node" }).stdout)
    end)

    it("keeps a node from starting if it cannot be made", function()
      local function fails(code, text, args)
        local all = { "run", "--listen", "127.0.0.1:0", "--allow-local" }
        table.move(args, 1, #args, #all + 1, all)
        local done = process.run(all)
        assert.equal(code, done.status, done.stderr)
        assert.equal("", done.stdout)
        assert.equal("kadenza: " .. text .. "\n", done.stderr)
      end
      local long = folder .. "/" .. ("x"):rep(120)
      fails(2, ("%s: the path of a socket has at most 107 bytes, not %d: give "
        .. "a shorter one with --console PATH, or none with --console off")
        :format(long, #long), { "--console", long })
      fails(2, ("%s/console: the path of a socket has at most 107 bytes, not "
        .. "%d: give a shorter one with --console PATH, or none with --console "
        .. "off"):format(long, #long + 8), { "--state", long })
      assert.is_false(core.exists(long))

      local path = folder .. "/console"
      local first = process.start_node({ "--console", path })
      fails(1, "--console " .. path .. ": another node has its console there",
        { "--console", path, "--state", folder .. "/new" })
      assert.is_false(core.exists(folder .. "/new"))
      assert.matches(first.id, status({ "--console", path }).stdout)
      io.open(folder .. "/file", "w"):close()
      fails(1, "--console " .. folder .. "/file: there is a file that is not a "
        .. "socket", { "--console", folder .. "/file" })
      local start_long = process.run({ "run", "--dump-config", "--console",
        path })
      assert.matches('\n  console = "' .. path .. '",\n', start_long.stdout)
    end)

    it("survives what is no console", function()
      local node = start("node")
      local flood = process.run({ "-c", [[
import socket, sys
path = sys.argv[1]
def connect():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(path)
    return s
# A console that closes its sending end still gets its answers.
s = connect()
s.sendall(b'{"id":1,"command":"status"}\n{"id":2,"command":"no"}\n{"id":')
s.shutdown(socket.SHUT_WR)
reply = b""
while True:
    more = s.recv(65536)
    if not more:
        break
    reply += more
lines = reply.decode().splitlines()
assert len(lines) == 2, lines
assert lines[0].startswith('{"id":1,"ok":'), lines[0]
assert lines[1].startswith('{"id":2,"error":'), lines[1]
# Garbage of many kinds, then an end without a goodbye.
held = [connect() for i in range(10)]
for text in (b"\0" * 70000, b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe\n" * 5000,
             b"x" * (1 << 20), b"\n" * 100000, b'{"command":"status"}\n' * 3000):
    s = connect()
    try:
        s.sendall(text)
    except OSError:
        pass
    held.append(s)
print("done")
]], folder .. "/node/console" }, { path = "/usr/bin/python3" })
      assert.equal("done\n", flood.stdout, flood.stderr)
      assert.matches(node.id, status({ "--state", folder .. "/node" }).stdout)
      assert.equal(0, process.run({ "ping", node.address, "--allow-local" })
        .status)
    end)
  end)
end)
