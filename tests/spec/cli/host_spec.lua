-- Tests scripts/kadenza/cli/session.lua and what commands say when the machine
-- refuses something.

local uv = require("luv")

local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

-- Runs the program after a command of the shell, such as `ulimit -n 6`.
local function run_after(first, args, options)
  local all = { "-c", first .. '; exec "$0" "$@"', process.program() }
  table.move(args, 1, #args, #all + 1, all)
  options = options or {}
  options.path = "/bin/sh"
  return process.run(all, options)
end

-- Returns true if `text` is one line of the program.
local function is_one_line(text)
  return text:find("^kadenza: [^\n]+\n$") ~= nil
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

describe("kadenza, when the machine refuses", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
    write(folder .. "/p.lua", "return { name = 'p', version = 1 }")
    write(folder .. "/c.lua", "{ k = 8 }")
    write(folder .. "/s.lua",
      "return { name = 's', summary = 'S.', nodes = 4, hours = 0.02 }")
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  -- Three descriptors are those of the standard streams: the system's loader
  -- needs a fourth for the libraries of the program.
  local COMMANDS <const> = {
    { "id" }, { "keygen" }, { "keygen", "secret" }, { "check", "p.lua" },
    { "ping", "127.0.0.1:1", "--allow-local", "--query-ms", "20" },
    { "get", "x", "--bootstrap", "127.0.0.1:1", "--allow-local", "--policy",
      "p.lua", "--query-ms", "20" },
    { "put", "x", "y", "--bootstrap", "127.0.0.1:1", "--allow-local",
      "--policy", "p.lua", "--query-ms", "20" },
    { "announce", ("0"):rep(40), "80", "--bootstrap", "127.0.0.1:1",
      "--allow-local", "--query-ms", "20" },
    { "peers", ("0"):rep(40), "--bootstrap", "127.0.0.1:1", "--allow-local",
      "--query-ms", "20" },
    { "lookup", "x", "--bootstrap", "127.0.0.1:1", "--allow-local",
      "--query-ms", "20" },
    { "watch", "x", "--bootstrap", "127.0.0.1:1", "--allow-local",
      "--query-ms", "20" },
    { "sim", "s.lua" },
    { "sim", "s.lua", "--report", "r" },
    { "new", "policy", "secret" },
    { "help" }, { "version" },
    { "run", "c.lua", "--listen", "127.0.0.1:0", "--policy", "p.lua",
      "--allow-local", "--dump-config" },
  }
  for _, command in ipairs(COMMANDS) do
    it("has one message for too few descriptors: "
      .. table.concat(command, " ", 1, math.min(3, #command)), function()
      for limit = 4, 20 do
        os.execute("rm -rf " .. folder .. "/secret " .. folder .. "/r")
        local done = run_after("ulimit -n " .. limit, command,
          { folder = folder })

        local where = ("%d descriptors: %s"):format(limit, done.stderr)
        assert.equal(0, done.signal, where)
        assert.is_true(done.status <= 1, where)
        assert.is_true(done.status == 0 or is_one_line(done.stderr), where)
        assert.is_true(done.status == 0
          or done.stderr:find("Too many open files", 1, true) ~= nil
          or done.stderr:find("no reply", 1, true) ~= nil
          or done.stderr:find("no answer", 1, true) ~= nil, where)
      end
    end)
  end

  it("starts a node with enough descriptors, or says what it could not open",
    function()
      local started = 0
      for limit = 4, 20 do
        local node = process.start({ "-c", "ulimit -n " .. limit
          .. '; exec "$0" "$@"', process.program(), "run", "c.lua", "--listen",
          "127.0.0.1:0", "--allow-local", "--policy", "p.lua" },
          { path = "/bin/sh", folder = folder })
        local function has_begun()
          return node.status or node.stdout:find("listening on", 1, true)
        end
        for _ = 1, 1000 do
          if has_begun() then
            break
          end
          uv.run("once")
        end
        node:kill("sigterm")
        node:wait()

        assert.equal(0, node.signal, node.stderr)
        if node.stdout == "" then
          assert.equal(1, node.status, node.stderr)
          assert.matches("^kadenza: [^\n]*: %l[%w_ ]*: Too many open files",
            node.stderr)
        else
          started = started + 1
        end
      end
      assert.is_true(started > 5)
    end)

  it("has one message for too little memory", function()
    if (os.getenv("LD_PRELOAD") or ""):find("asan", 1, true) then
      pending("AddressSanitizer needs more memory than the limit")
      return
    end
    for _, kib in ipairs({ 14000, 16000, 20000, 26000 }) do
      local done = run_after("ulimit -v " .. kib, { "check", "p.lua",
        "--nodes", "2000", "--seconds", "0" }, { folder = folder })

      assert.equal(0, done.signal, done.stderr)
      assert.not_matches("internal error", done.stderr)
      -- The loader of the system ends with 127 where the libraries do not fit.
      assert.is_true(is_one_line(done.stderr) and (done.status == 1
        or done.stderr:find("p.lua: out of memory", 1, true) ~= nil)
        or done.status == 127, kib .. ": " .. done.stderr)
    end
  end)

  it("says that a name was not resolved for lack of descriptors", function()
    local named = 0
    for limit = 10, 13 do
      for _, args in ipairs({ { "get", "x", "--bootstrap", "localhost:1" },
        { "ping", "localhost:1" } }) do
        local all = table.move({ "--allow-local", "--query-ms", "20" }, 1, 3,
          #args + 1, args)
        local done = run_after("ulimit -n " .. limit, all)
        assert.equal(1, done.status)
        assert.not_matches("could not be resolved", done.stderr)
        named = named + (done.stderr:find("localhost:1: getaddrinfo: Too many "
          .. "open files", 1, true) and 1 or 0)
      end
    end
    assert.is_true(named > 0)
  end)

  it("says which address could not be bound, and why", function()
    local done = process.run({ "run", "--listen", "127.0.0.1:0", "--listen",
      "203.0.113.1:7001", "--allow-local" })

    assert.equal(1, done.status)
    assert.equal("kadenza: 203.0.113.1:7001: bind: address is not one of this "
      .. "machine\n", done.stderr)
  end)

  it("says what a low port needs", function()
    local file = io.open("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    local first = file and file:read("n") or 0
    if file then
      file:close()
    end
    if first <= 80 then
      pending("any user may bind port 80 here")
      return
    end
    local args = { "run", "--listen", "127.0.0.1:80", "--allow-local" }
    if uv.getuid() == 0 then -- as another user, who may not read this tree
      args = { "-c", 'exec setpriv --reuid 65534 --clear-groups "$0" "$@"',
        process.program(), table.unpack(args) }
    end
    local done = process.run(args,
      { path = uv.getuid() == 0 and "/bin/sh" or nil })
    if done.status >= 126 then
      pending("setpriv cannot run the program as another user")
      return
    end
    assert.equal("kadenza: 127.0.0.1:80: bind: Permission denied (ports below "
      .. "1024 need root or CAP_NET_BIND_SERVICE)\n", done.stderr)
    assert.equal(1, done.status)
  end)

  it("says which call refused a file", function()
    write(folder .. "/locked", "x")
    for path, text in pairs({
      ["none/c.lua"] = "none/c.lua: open: No such file or directory",
      ["p.lua/c"] = "p.lua/c: open: Not a directory",
      ["."] = ".: read: Is a directory",
      [("x"):rep(300)] = ("x"):rep(300) .. ": open: File name too long",
    }) do
      local run = process.run({ "run", path, "--dump-config" },
        { folder = folder })
      assert.equal(2, run.status)
      assert.equal("kadenza: " .. text .. "\n", run.stderr)

      local check = process.run({ "check", path }, { folder = folder })
      assert.equal(2, check.status)
      assert.equal("kadenza: policy " .. text .. "\n", check.stderr)
    end
  end)

  it("is tested by programs whose absence is reported by their name", function()
    assert.error_matches(function()
      process.run({}, { path = "no-such-linter" })
    end, "^no%-such%-linter: ENOENT")
  end)

  it("says that a disk is full", function()
    -- A file size limit of 0 stands for a full disk.
    for _, args in ipairs({ { "keygen", "secret" },
      { "new", "policy", "q" } }) do
      local done = run_after("ulimit -f 0", args, { folder = folder })
      assert.equal(0, done.signal, done.stderr)
      assert.equal(1, done.status)
      assert.matches("^kadenza: [^\n]+: write: File too large\n$", done.stderr)
    end
  end)
end)
