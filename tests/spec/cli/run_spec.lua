local process = require("support.process")
local support = require("support")

-- Starts the program on a terminal; the terminal's output is read as stdout.
local function start_on_terminal(args)
  local words = { "exec", process.program(), table.unpack(args) }
  return process.start({ "-qec", table.concat(words, " "), "/dev/null" },
    { path = "script", open = true })
end

describe("kadenza run", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function write(name, text)
    local path = folder .. "/" .. name
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
    return path
  end

  it("prints one line a socket, and nothing else", function()
    local id = ("0123456789abcdef"):rep(3):sub(1, 40)
    local node = process.start({ "run", "--allow-local", "--id", id:upper(),
      "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0",
      "--listen", "[::1]:0" })
    node:wait_for("%[::1%][^\n]*\n", "stdout")
    node:kill("sigterm")
    node:wait()
    local lines = {}
    for text in node.stdout:gmatch("([^\n]*)\n") do
      lines[#lines + 1] = text:gsub(":[1-9]%d* ", ":PORT ")
    end
    assert.same({
      "kadenza: listening on 127.0.0.1:PORT id=" .. id,
      "kadenza: listening on 127.0.0.2:PORT id=" .. id,
      "kadenza: listening on [::1]:PORT id=" .. id,
    }, lines)
  end)

  it("can be reached and stopped from that line on", function()
    for _, signal in ipairs({ "sigterm", "sigint" }) do
      local node = process.start_node({ "--state", folder .. "/state" })
      node:kill(signal)
      assert.equal(0, node:wait(1))
      assert.equal(0, node.signal)
      local saved = process.run({ "id", "--state", folder .. "/state" })
      assert.equal(node.id .. "\n", saved.stdout)
    end
  end)

  it("saves id and contacts in its state folder", function()
    local other = process.start_node()
    local args = { "--state", folder .. "/a/b" }
    local first = process.start_node({ "--bootstrap", other.address,
      table.unpack(args) })
    first:wait_for("state=healthy", "stderr")
    first:kill("sigterm")
    first:wait(1)
    local second = process.start_node(args)
    assert.equal(first.id, second.id)
    second:wait_for("state=healthy", "stderr")
  end)

  it("logs statistics when it gets SIGUSR1, whatever the level", function()
    local node = process.start_node({ "--log", "error" })
    process.run({ "ping", node.address, "--allow-local" })
    node:kill("sigusr1")
    local log = node:wait_for(" verifications=%d+ waiting=%d+\n", "stderr")
    assert.is_truthy(log:find("info statistics backlog=0 bad_signature=0 "
      .. "bad_token=0 ", 1, true))
    assert.is_truthy(log:find(" served_ping=1 ", 1, true))
    assert.is_truthy(log:find(" sybil_searches=0 ", 1, true))
    node:wait_for("info reachability family=ip4 [^\n]*read_only=false "
      .. "state=reachable symmetric=false\n", "stderr")
  end)

  it("logs the statistics of its hooks, one event each", function()
    local path = write("busy.lua", "return { name = 'busy', rpc = { "
      .. "one = function() return {} end, two = function() end } }")
    local node = process.start_node({ "--policy", path })
    node:kill("sigusr1")
    local log = node:wait_for("busy: rpc%.two[^\n]*\n", "stderr")
    assert.is_truthy(log:find("statistics of policies clamped=0 [^\n]*"
      .. "memory=%d+"))
    assert.is_truthy(log:find("statistics of a hook breaker=closed calls=0 "
      .. "errors=0 hook=\"busy: rpc.one\" instructions=0 overruns=0 "
      .. "preempted=0 seconds=0 slowest=0 time=0,0,", 1, true))
  end)

  it("reloads its policies when it gets SIGHUP", function()
    local path = write("note.lua", "return { types = { note = {} } }")
    local node = process.start_node({ "--policy", path })
    write("note.lua", "return { types = { memo = {} } }")
    node:kill("sighup")
    node:wait_for("info policies reloaded\n", "stderr")
    write("note.lua", "return { types = ")
    node:kill("sighup")
    local log = node:wait_for("the old ones stay [^\n]*\n", "stderr")
    assert.is_truthy(log:find("note.lua:1:", 1, true))
    local done = process.run({ "put", "a", "b", "--type", "memo", "--policy",
      write("memo.lua", "return { types = { memo = {} } }"), "--bootstrap",
      node.address, "--allow-local" })
    assert.equal("stored at 1 of 1 nodes\n", done.stdout)
  end)

  it("gives the whole standard library to a trusted policy",
    function()
      local path = write("trusted.lua", 'return { name = os.getenv("HOME") '
        .. 'and io and "it" }')
      local refused = process.run({ "run", "--listen", "127.0.0.1:0",
        "--policy", path })
      assert.equal(2, refused.status)
      assert.is_truthy(refused.stderr:find("undefined global 'os'", 1, true))

      local node = process.start_node({ "--policy", path, "--trust", path })
      node:kill("sighup")
      node:wait_for("info policies reloaded\n", "stderr")
    end)

  it("stops its policies when it stops", function()
    local path = write("bye.lua", [[
      local kad = require("kadenza")
      return { on_stop = function() kad.log.info("goodbye") end }
    ]])
    local node = process.start_node({ "--policy", path })
    node:kill("sigterm")
    assert.equal(0, node:wait(1))
    assert.is_truthy(node.stderr:find("info goodbye", 1, true))
  end)

  it("survives SIGHUP without policies", function()
    local node = process.start_node()
    node:kill("sighup")
    node:wait_for("no policies to reload", "stderr")
    assert.is_nil(node.status)
  end)

  it("tries again when no node answers", function()
    local node = process.start_node({ "--query-ms", "200", "--bootstrap",
      "127.0.0.1:9" })
    node:wait_for("warn could not join yet, trying again", "stderr")
    assert.is_nil(node.status)
  end)

  it("logs JSON with --json", function()
    local dkjson = require("dkjson")
    local node = process.start_node({ "--json" })
    node:kill("sigusr1")
    node:wait_for("statistics[^\n]*\n", "stderr")
    node:kill("sigterm")
    node:wait(1)
    local count = 0
    for text in node.stderr:gmatch("[^\n]+") do
      local event = assert(dkjson.decode(text), text)
      assert.is_string(event.time)
      assert.equal("info", event.level)
      count = count + 1
    end
    assert.is_true(count >= 2)
  end)

  it("warns of a local address that it does not serve", function()
    local node = process.start({ "run", "--listen", "127.0.0.1:0" })
    node:wait_for("warn local addresses are not served without "
      .. "%-%-allow%-local", "stderr")
  end)

  it("warns of each kind of address that other nodes ignore", function()
    local remote = require("kadenza.cli.remote")
    for _, address in ipairs({ "10.0.0.1:1", "100.64.0.1:1", "198.19.0.1:1",
      "[fd00::1]:1" }) do
      assert.matches("%-%-allow%-local$", remote.listen_problem(address, false))
      assert.is_nil(remote.listen_problem(address, true))
    end
    for _, address in ipairs({ "192.0.2.1:1", "240.0.0.1:1", "224.0.0.1:1",
      "[2001:db8::1]:1" }) do
      for _, allowed in ipairs({ false, true }) do
        assert.matches("reserved", remote.listen_problem(address, allowed))
      end
    end
    for _, address in ipairs({ "0.0.0.0:0", "[::]:6881", "8.8.8.8:1" }) do
      assert.is_nil(remote.listen_problem(address, false))
    end
  end)

  it("serves no queries when it is read-only", function()
    local node = process.start_node({ "--read-only", "on" })
    local ping = process.run({ "ping", node.address, "--allow-local",
      "--query-ms", "300" })
    assert.equal(1, ping.status)
  end)
end)

describe("kadenza run on a terminal", function()
  after_each(process.end_all)

  it("prints what it does and what to type next", function()
    local node = start_on_terminal({ "run", "--listen", "127.0.0.1:0",
      "--allow-local" })
    local text = node:wait_for("statistics%.", "stdout")
    local address = text:match("listening on (%S+) id=")
    assert.is_truthy(text:find("state     not saved", 1, true))
    assert.is_truthy(text:find("policies  none", 1, true))
    for command in text:gmatch("\n  %S*kadenza ([^\r\n]*)") do
      local args = {}
      for word in command:gmatch("%S+") do
        args[#args + 1] = word
      end
      local done = process.run(args)
      assert.equal("", done.stderr)
      assert.equal(0, done.status)
    end
    assert.is_truthy(text:find("put greeting hello --bootstrap " .. address
      .. " --allow-local", 1, true))
  end)

  it("prints how to try kadenza when local nodes are not served", function()
    local node = start_on_terminal({ "run", "--listen", "127.0.0.1:0" })
    local text = node:wait_for("statistics%.", "stdout")
    assert.is_truthy(text:find("run --listen 127.0.0.1:7001 --allow-local\r\n",
      1, true))
  end)

  it("reports changes of its state, and ends on Ctrl-C", function()
    local other = process.start_node()
    local node = start_on_terminal({ "run", "--listen", "127.0.0.1:0",
      "--allow-local", "--bootstrap", other.address })
    node:wait_for("kadenza: healthy, 1 contact\r\n", "stdout")
    node:write("\3")
    assert.equal(0, node:wait(3))
  end)

  it("ends with its terminal", function()
    local node = start_on_terminal({ "run", "--listen", "127.0.0.1:0",
      "--allow-local" })
    local text = node:wait_for("kill %-HUP", "stdout")
    local address = text:match("listening on (%S+) id=")
    node:kill("sigkill") -- the terminal
    node:wait()
    for _ = 1, 50 do
      local ping = process.run({ "ping", address, "--allow-local",
        "--query-ms", "200" })
      if ping.status == 1 then
        return
      end
    end
    error("it is still there")
  end)

  it("ends the value of a get with a newline", function()
    local node = process.start_node()
    local join = { "--bootstrap", node.address, "--allow-local" }
    process.run({ "put", "greeting", "hello", table.unpack(join) })
    local get = start_on_terminal({ "get", "greeting", table.unpack(join) })
    get:wait()
    assert.equal("hello\r\n", get.stdout)
  end)
end)
