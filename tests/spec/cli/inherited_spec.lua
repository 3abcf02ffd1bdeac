local manager = require("support.service_manager")
local process = require("support.process")
local support = require("support")

describe("kadenza run with sockets of a service manager", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local RUN <const> = { "run", "--allow-local", "--store", "memory" }

  local function start(own, more)
    return manager.start(own, { RUN[1], RUN[2], RUN[3], RUN[4],
      table.unpack(more or {}) }, {})
  end

  it("serves on them and binds nothing of --listen", function()
    local node = start({ "--listen", "udp=127.0.0.1:0", "--listen",
      "udp=127.0.0.2:0" }, { "--listen", "203.0.113.1:1" })
    node:wait_for("kadenza: listening on 127%.0%.0%.2:", "stdout")
    local addresses = {}
    for address in node.stdout:gmatch("listens on (%S+)\n") do
      addresses[#addresses + 1] = address
      assert.is_truthy(node.stdout:find("listening on " .. address .. " id=",
        1, true))
      local pinged = process.run({ "ping", address, "--allow-local" })
      assert.equal(0, pinged.status, pinged.stderr)
    end
    assert.equal(2, #addresses)
    assert.equal(0, manager.stop(node))
    assert.matches("serves on the sockets of the service manager", node.stderr)
  end)

  it("keeps its records where those of that address are", function()
    local node = manager.start({ "--listen", "udp=127.0.0.1:0" },
      { "run", "--allow-local" }, { env = { XDG_STATE_HOME = folder } })
    local port = node:wait_for("listening on 127[^\n]*\n", "stdout")
      :match("listening on [%d.]+:(%d+)")
    manager.stop(node)
    local list = io.popen("find '" .. folder .. "' -name '*" .. port .. "*'")
    assert.is_truthy(list:read("l"))
    list:close()
  end)

  it("changes nothing of them at a reload", function()
    local node = start({ "--listen", "udp=127.0.0.1:0" })
    local address = node:wait_for("listens on %S+\n.*listening on", "stdout")
      :match("listens on (%S+)\n")
    node:send("sighup")
    node:wait_for("no policies to reload", "stderr")
    assert.equal(0, process.run({ "ping", address, "--allow-local" }).status)
    manager.stop(node)
    assert.not_matches("restart", node.stderr)
  end)

  it("leaves neither them nor their variables to other programs", function()
    local path = folder .. "/p.lua"
    local file <close> = assert(io.open(path, "wb"))
    file:write([[
      local pipe = io.popen("env | grep LISTEN_; readlink /proc/self/fd/3")
      require("kadenza").log.info("seen", { text = "(" .. pipe:read("a")
        .. ")" })
      pipe:close()
      return { name = "p", version = 1 } ]])
    file:close()
    local node = start({ "--listen", "udp=127.0.0.1:0", "--names", "dht" },
      { "--policy", path, "--trust", path })
    node:wait_for("listening on", "stdout")
    manager.stop(node)
    assert.matches('seen .*text=%(?"?%(%)', node.stderr)
  end)

  it("ignores those of another process", function()
    local node = start({ "--listen", "udp=127.0.0.1:0", "--pid", "1" },
      { "--listen", "127.0.0.3:0" })
    node:wait_for("listening on 127%.0%.0%.3:", "stdout")
    manager.stop(node)
    assert.not_matches("listening on 127%.0%.0%.1:", node.stdout)
  end)

  for what, case in pairs({
    ["of another type"] = { { "--listen", "udp=127.0.0.1:0", "--listen",
      "tcp=127.0.0.1:0", "--names", "dht:web" },
      "LISTEN_FDS: descriptor 4 (web) is not a UDP socket" },
    ["that are bound to nothing"] = { { "--listen", "unbound=127.0.0.1:0" },
      "LISTEN_FDS: descriptor 3 (unknown) is not bound to a port" },
    ["that are not there"] = { { "--listen", "udp=127.0.0.1:0", "--count",
      "2" }, "LISTEN_FDS: descriptor 4 (unknown) is not" },
    ["in another number"] = { { "--listen", "udp=127.0.0.1:0", "--count",
      "9" }, "LISTEN_FDS must be an integer from 0 to 8, not '9'" },
    ["in no number"] = { { "--listen", "udp=127.0.0.1:0", "--count", "two" },
      "LISTEN_FDS must be an integer from 0 to 8, not 'two'" },
  }) do
    it("ends with one message for sockets " .. what, function()
      local node = start(case[1])
      assert.equal(2, node:wait())
      assert.is_truthy(node.stderr:find("kadenza: " .. case[2], 1, true),
        node.stderr)
      assert.equal(1, select(2, node.stderr:gsub("\n", "")))
    end)
  end
end)
