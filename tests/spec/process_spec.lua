-- Tests bindings/lua/process.c, bindings/lua/interrupt.c: signals and pipes.

local uv = require("luv")

local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

-- Runs the program in the way of a script of Python, whose arguments follow.
local function run_in_python(script, args, options)
  local all = { "-c", script, process.program() }
  options = options or {}
  options.path = "/usr/bin/python3"
  return process.run(table.move(args, 1, #args, #all + 1, all), options)
end

-- Runs a command of the shell, in which $0 is the program.
local function run_in_shell(command, options)
  options = options or {}
  options.path = "/bin/sh"
  return process.run({ "-c", command, process.program() }, options)
end

-- Tells whether this machine lets its users make namespaces of processes.
local function has_namespaces()
  local done = process.run({ "-rpf", "true" }, { path = "/usr/bin/unshare" })
  return done.status == 0
end

-- Returns the process that `unshare` has forked, or nil.
local function child_of(pid)
  local file <close> = io.open(("/proc/%d/task/%d/children"):format(pid, pid))
  return file and tonumber(file:read("a"):match("%d+"))
end

-- Sends a signal to process 1 of a namespace until the process has ended: it
-- may not have begun yet. Returns the status.
local function end_first(args, signal)
  local all = { "-rpf", process.program() }
  local first = process.start(table.move(args, 1, #args, 3, all),
    { path = "/usr/bin/unshare", open = true })
  local timer = uv.new_timer()
  timer:start(100, 100, function()
    local child = child_of(first.pid)
    if child then
      uv.kill(child, signal)
    end
  end)
  local ended, status = pcall(first.wait, first)
  timer:close()
  uv.run("nowait") -- luv crashes if the state closes before
  assert(ended, status)
  return status
end

describe("the program", function()
  after_each(process.end_all)

  it("ends in silence when the reader of its output has ended", function()
    for _, args in ipairs({ "version", "--help", "id --json", "keygen" }) do
      local done = run_in_shell(("{ sleep 0.2; \"$0\" %s; echo $? >&2; } | :")
        :format(args))
      assert.equal("141\n", done.stderr)
    end
  end)

  it("reports an output that is full or closed", function()
    for place, reason in pairs({ [">/dev/full"] = "No space left on device",
      [">&-"] = "Bad file descriptor" }) do
      local done = run_in_shell("exec \"$0\" version " .. place)
      assert.equal("kadenza: standard output: write: " .. reason .. "\n",
        done.stderr)
      assert.equal(1, done.status)
    end
  end)

  it("works without standard error", function()
    local done = run_in_shell("exec \"$0\" version 2>&-")
    assert.equal(0, done.status)
    assert.matches("^kadenza ", done.stdout)
  end)

  it("gives the programs of a trusted policy default signals, and no "
    .. "descriptors", support.with_folder(function(folder)
    local path = folder .. "/t.lua"
    local file <close> = assert(io.open(path, "wb"))
    file:write([[
      local pipe = io.popen("grep -E '^Sig(Blk|Ign)' /proc/self/status; "
        .. "ls -l /proc/self/fd")
      io.stderr:write(pipe:read("a"))
      pipe:close()
      return { name = "t", version = 1 }]])
    file:flush()
    local done = run_in_python([[
import signal, subprocess, sys
def inherit():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGPIPE])
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
node = subprocess.Popen(sys.argv[1:], preexec_fn=inherit,
    restore_signals=False, stdout=subprocess.PIPE)
node.stdout.readline()
node.terminate()
sys.exit(node.wait())]], { "run", "--listen", "127.0.0.1:0", "--allow-local",
      "--policy", path, "--trust", path, "--state", folder .. "/state" })

    assert.equal(0, done.status, done.stderr)
    local PIPE <const> = 1 << 12
    local blocked = done.stderr:match("SigBlk:%s*(%x+)")
    local ignored = done.stderr:match("SigIgn:%s*(%x+)")
    assert.equal(0, tonumber(blocked, 16))
    assert.equal(0, tonumber(ignored, 16) & PIPE)
    -- 3 is the folder that `ls` reads.
    assert.matches(" 3 %-> /proc/%d+/fd\n", done.stderr)
    assert.is_nil(done.stderr:find(" [4-9] %->"), done.stderr)
    assert.is_nil(done.stderr:find(" %d%d+ %->"), done.stderr)
  end))

  it("lets SIGHUP and SIGINT that were ignored before stay ignored", function()
    local done = run_in_python([[
import signal, subprocess, sys, time
def inherit():
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
program = sys.argv[1]
for args in (["put", "k", "-"], ["sim", "steady", "--nodes", "20", "--quiet"]):
    child = subprocess.Popen([program] + args + sys.argv[2:] * (args[0] ==
        "put"), preexec_fn=inherit, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for _ in range(5):
        child.send_signal(signal.SIGHUP)
        child.send_signal(signal.SIGINT)
        time.sleep(0.1)
    output = child.communicate()[0]
    print(args[0], child.returncode, b"interrupted" in output)]],
      { "--bootstrap", "127.0.0.1:1", "--allow-local", "--query-ms", "100" })
    assert.equal("put 1 False\nsim 0 False\n", done.stdout)
  end)

  local COMMANDS <const> = {
    { "put", "k", "-", "--bootstrap", "127.0.0.1:1", "--allow-local" },
    { "ping", "127.0.0.1:1", "--allow-local", "--query-ms", "60000" },
    { "get", "k", "--bootstrap", "127.0.0.1:1", "--allow-local", "--query-ms",
      "60000", "--lookup-ms", "60000" },
    { "check", "scripts/policies/chat.lua", "--seconds", "100000000" },
  }
  for _, command in ipairs(COMMANDS) do
    it("ends at a signal as process 1: " .. command[1], function()
      if not has_namespaces() then
        pending("this machine allows no namespaces of processes")
        return
      end
      for signal, status in pairs({ sigint = 130, sigterm = 143,
        sighup = 129 }) do
        assert.equal(status, end_first(command, signal))
      end
    end)
  end

  it("ends a simulation at a signal as process 1", support.with_folder(
    function(folder)
      if not has_namespaces() then
        pending("this machine allows no namespaces of processes")
        return
      end
      local path = folder .. "/long.lua"
      local file <close> = assert(io.open(path, "w"))
      file:write([[
return { name = "long", summary = "A long run.", nodes = 20, hours = 9999,
  steps = { { at = 1, name = "first", run = function()
    io.stderr:write("begun\n")
  end } } }]])
      file:flush()
      assert.equal(143, end_first({ "sim", path }, "sigterm"))

      -- SIGINT ends the run early, and the program prints what there is. It is
      -- sent once: a second one ends the program at once.
      local first = process.start({ "-rpf", process.program(), "sim", path },
        { path = "/usr/bin/unshare", open = true })
      first:wait_for("begun\n", "stderr")
      uv.kill(child_of(first.pid), "sigint")
      assert.equal(1, first:wait())
      assert.matches("^long: 20 nodes, .-interrupted\n$", first.stdout)
    end))
end)
