local kad = require("kadenza")
local log = require("kadenza.log")
local manager = require("support.service_manager")
local process = require("support.process")
local service_manager = require("kadenza.cli.service_manager")
local support = require("support")

local spec, timed = support.spec, support.timed

-- A node whose state a spec sets.
local function new_node()
  local node = { its_state = "joining", its_contacts = {} }
  function node:is_open()
    return not self.is_closed
  end
  function node:state()
    return self.its_state, self.its_reason
  end
  function node:contacts()
    return self.its_contacts
  end
  return node
end

-- Returns what is logged while `fn` runs, as messages.
local function logged(fn)
  local messages = {}
  local before = log.configure({ sink = function(event)
    messages[#messages + 1] = event.message
  end })
  fn()
  log.restore(before)
  return messages
end

describe("a service manager that is told", function()
  local told, answer

  before_each(function()
    told, answer = {}, true
  end)

  local function start(node, seconds)
    local service = service_manager.new(function(text)
      if answer then
        told[#told + 1] = text
      end
      return answer, "why not"
    end, seconds)
    service:start({ node = node })
    return service
  end

  local function stop(service, node)
    service:stop()
    node.is_closed = true
    kad.sleep(10)
  end

  it("knows when the node listens, reloads and stops", timed(function()
    local node = new_node()
    local service = start(node)
    kad.sleep(0.1)
    service:begin_reload()
    service:reload({})
    service:leave()
    stop(service, node)

    assert.equal("READY=1", told[1])
    assert.equal("STATUS=joining, 0 contacts", told[2])
    assert.matches("^RELOADING=1\nMONOTONIC_USEC=[1-9]%d+$", told[3])
    assert.equal("READY=1", told[4])
    assert.matches("^STOPPING=1\nSTATUS=", told[5])
    assert.is_nil(told[6])
  end))

  it("is told the state when it changes, and contacts now and then",
    timed(function()
      local node = new_node()
      local service = start(node)
      kad.sleep(5)
      node.its_contacts = { 1 }
      kad.sleep(20)
      node.its_contacts = { 1, 2 }
      node.its_state, node.its_reason = "isolated", "no\nanswer"
      kad.sleep(5)
      stop(service, node)

      assert.same({ "READY=1", "STATUS=joining, 0 contacts",
        "STATUS=joining, 1 contact",
        "STATUS=isolated (no contact answers), 2 contacts; no; answer" }, told)
    end))

  it("is pinged twice in its time, until the node has stopped",
    timed(function()
      local node = new_node()
      local service = start(node, 15)
      kad.sleep(100)
      service:leave()
      kad.sleep(55)
      local pings = #table.concat(told):gsub("WATCHDOG=1", "\0")
        :gsub("[^\0]", "")
      stop(service, node)
      local count = #told
      kad.sleep(100)

      assert.equal(11, pings) -- at 0, 15, … 150
      assert.equal(count, #told)
    end))

  it("gets later what it has no room for, in one message", timed(function()
    local node = new_node()
    answer = false
    local service = start(node)
    kad.sleep(3)
    service:begin_reload()
    service:reload({})
    node.its_state = "healthy"
    kad.sleep(3)
    answer = true
    kad.sleep(3)
    stop(service, node)

    assert.same({ "READY=1\nSTATUS=healthy, 0 contacts" }, told)
  end))

  it("that cannot be told is a warning, once", timed(function()
    local node = new_node()
    answer = nil
    local messages = logged(function()
      local service = start(node, 1)
      kad.sleep(10)
      stop(service, node)
    end)

    assert.same({ "the service manager cannot be told" }, messages)
  end))
end)

describe("kadenza run below a service manager", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function write(name, text)
    local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
    assert(file:write(text))
    return folder .. "/" .. name
  end

  it("tells it all of a life", function()
    local first = process.start_node()
    local node = manager.start_node({ "--socket", folder .. "/notify" },
      { "--bootstrap", first.address })
    node:wait_for("told READY=1\n", "stdout")
    node:wait_for("told STATUS=healthy, 1 contact\n", "stdout")
    node:send("sighup")
    node:wait_for("told RELOADING=1|MONOTONIC_USEC=%d+\n", "stdout")
    node:wait_for("MONOTONIC_USEC=%d+\n.*told READY=1\n", "stdout")
    assert.equal(0, manager.stop(node))
    assert.matches("told STOPPING=1|STATUS=[^\n]+\n", node.stdout)
    assert.not_matches("WATCHDOG", node.stdout)
  end)

  it("takes a name without a file, and pings", function()
    local node = manager.start_node(
      { "--socket", "@kadenza" .. folder:gsub("/", "-") }, {},
      { env = { WATCHDOG_USEC = "100000" } })
    node:wait_for("told WATCHDOG=1\n.*told WATCHDOG=1\n", "stdout")
    assert.equal(0, manager.stop(node))
  end)

  it("does not ping while its loop stands", function()
    local policy = write("slow.lua", [[
      os.execute("sleep 0.4")
      return { name = "slow", version = 1 } ]])
    local node = manager.start_node({ "--socket", folder .. "/notify" },
      { "--policy", policy, "--trust", policy },
      { env = { WATCHDOG_USEC = "100000" } })
    node:wait_for("told WATCHDOG=1\n", "stdout")
    node:send("sighup")
    node:wait_for("told RELOADING.*told READY=1\n", "stdout")
    manager.stop(node)

    local meanwhile = node.stdout:match("told RELOADING[^\n]*\n(.-)told READY")
    assert.equal("", (meanwhile:gsub("manager: ", "")))
  end)

  it("leaves its variables to no other program", function()
    local policy = write("shown.lua", [[
      for _, name in ipairs({ "NOTIFY_SOCKET", "WATCHDOG_USEC",
        "WATCHDOG_PID" }) do
        require("kadenza").log.info("variable", { name = name,
          value = os.getenv(name) or "none" })
      end
      return { name = "shown", version = 1 } ]])
    local node = manager.start_node({ "--socket", folder .. "/notify" },
      { "--policy", policy, "--trust", policy },
      { env = { WATCHDOG_USEC = "1000000" } })
    node:wait_for("told READY=1\n", "stdout")
    manager.stop(node)
    for _, name in ipairs({ "NOTIFY_SOCKET", "WATCHDOG_USEC",
      "WATCHDOG_PID" }) do
      assert.matches("name=" .. name .. " .*value=none", node.stderr)
    end
  end)

  it("pings none that watches another process", function()
    local node = process.start_node({ "--store", "memory" }, { env = {
      NOTIFY_SOCKET = folder .. "/none", WATCHDOG_USEC = "1",
      WATCHDOG_PID = "1" } })
    node:kill("sigterm")
    assert.equal(0, node:wait())
  end)

  for what, name in pairs({
    ["does not exist"] = "/nowhere/notify",
    ["is too long"] = ("/0123456789"):rep(12),
    ["is no path"] = "notify",
    ["is dead"] = "@kadenza-none",
    ["is in another namespace"] = "vsock:2:1234",
  }) do
    it("runs on if the socket of the manager " .. what, function()
      local node = process.start_node({ "--store", "memory" },
        { env = { NOTIFY_SOCKET = name } })
      node:wait_for("warn the service manager cannot be told error=", "stderr")
      local pinged = process.run({ "ping", node.address, "--allow-local" })
      node:kill("sigterm")

      assert.equal(0, pinged.status)
      assert.equal(0, node:wait())
      assert.equal(1, select(2, node.stderr:gsub("cannot be told", "")))
    end)
  end

  it("does not wait for a manager that reads nothing", function()
    local node = manager.start_node({ "--socket", folder .. "/notify",
      "--silent" }, {}, { env = { WATCHDOG_USEC = "10" } })
    node:wait_for("listening on", "stdout")
    for _ = 1, 12 do -- more than the queue of a socket takes
      node:send("sighup")
    end
    assert.equal(0, manager.stop(node))
    assert.not_matches("cannot be told", node.stderr)
  end)

  it("says nothing to a manager that does not ask", spec(function()
    assert.is_nil(service_manager.prepare({}))
  end))
end)
