local process = require("support.process")
local support = require("support")

-- Asserts that the program rejects its arguments: it prints `message`, nothing
-- on standard output, and exits with 2.
local function assert_misuse(message, args, options)
  local done = process.run(args, options)
  assert.equal(message, done.stderr)
  assert.equal("", done.stdout)
  assert.equal(2, done.status)
end

local function line(text)
  return "kadenza: " .. text .. "\n"
end

local ID <const> = ("0123456789"):rep(4)
local JOIN <const> = { "--bootstrap", "192.0.2.1:6881" }

local function with_join(...)
  return table.move(JOIN, 1, #JOIN, select("#", ...) + 1, { ... })
end

describe("the command line of kadenza", function()
  after_each(process.end_all)

  for name, args in pairs({
    CONFIG = { "run", "PATH" },
    FILE = { "keygen", "PATH" },
    ["--report"] = { "sim", "steady", "--report", "PATH" },
    ["--folder"] = { "new", "policy", "x", "--folder", "PATH" },
    ["--key"] = with_join("put", "k", "v", "--key", "PATH"),
    ["--state"] = { "run", "--state", "PATH" },
    ["--policy"] = { "run", "--policy", "PATH" },
  }) do
    it("refuses a path of no bytes, or of too many: " .. name, function()
      for path, shown in pairs({ [""] = "", [("a/"):rep(2500)] =
        ("a/"):rep(20) .. "…" }) do
        local filled = {}
        for i, arg in ipairs(args) do
          filled[i] = arg == "PATH" and path or arg
        end
        assert_misuse(line(name .. " must be a path of 1 to 4095 bytes, not '"
          .. shown .. "'"), filled)
      end
    end)
  end

  it("shows help for every command", function()
    local all = process.run({ "--help" })
    assert.equal(0, all.status)
    for name in
      ("run put get announce peers lookup ping id keygen check new sim version")
        :gmatch("%a+") do
      assert.is_truthy(all.stdout:find("\n  " .. name .. " ", 1, true))
      local one = process.run({ name, "--help" })
      assert.equal(0, one.status)
      assert.equal("", one.stderr)
      assert.is_truthy(one.stdout:find("^Usage: kadenza " .. name .. " "))
      for text in one.stdout:gmatch("[^\n]+") do
        assert.is_true(#text <= 80, text)
      end
    end
  end)

  it("prints its version in both ways", function()
    local flag = process.run({ "--version" })
    local command = process.run({ "version" })
    assert.is_truthy(flag.stdout:find("^kadenza %d+%.%d+%.%d+\n$"))
    assert.equal(flag.stdout, command.stdout)
  end)

  it("refers to the help of the command", function()
    assert_misuse(line("a command is required")
      .. "Try 'kadenza --help'.\n", {})
    assert_misuse(line("unknown command 'gett'; did you mean 'get'?")
      .. "Try 'kadenza --help'.\n", { "gett" })
    assert_misuse(line("unknown option '--listn'; did you mean '--listen'?")
      .. "Try 'kadenza run --help'.\n", { "run", "--listn", "x" })
    assert_misuse(line("missing argument 'key'")
      .. "Try 'kadenza get --help'.\n", { "get" })
    assert_misuse(line("option '--k' requires an argument")
      .. "Try 'kadenza run --help'.\n", { "run", "--k" })
    assert_misuse(line("too many arguments")
      .. "Try 'kadenza id --help'.\n", { "id", "a" })
  end)

  it("escapes control characters", function()
    local done = process.run({ "run", "--log", "\27[31m\n" })
    assert.equal(2, done.status)
    assert.is_nil(done.stderr:sub(1, -2):find("%c"))
  end)

  it("rejects numbers out of range and other values", function()
    local range = "--k must be an integer from 1 to 20, not "
    assert_misuse(line(range .. "0"), { "run", "--k", "0" })
    assert_misuse(line(range .. "65"), { "run", "--k", "65" })
    assert_misuse(line(range .. "'8x'"), { "run", "--k", "8x" })
    assert_misuse(line(range .. "'1e1'"), { "run", "--k", "1e1" })
    assert_misuse(
      line("--query-ms must be an integer from 1 to 60000 (ms), not 60001"),
      { "run", "--query-ms", "60001" })
  end)

  it("rejects invalid addresses", function()
    assert_misuse(line("--listen has a port that must be from 0 to 65535, not "
      .. "'65536'"), { "run", "--listen", "127.0.0.1:65536" })
    assert_misuse(line("--listen has a port that must be from 0 to 65535, not "
      .. "'http'"), { "run", "--listen", "127.0.0.1:http" })
    assert_misuse(line("--listen must be an address such as 0.0.0.0:6881 or "
      .. "[::]:6881, not 'localhost:1'"), { "run", "--listen", "localhost:1" })
    assert_misuse(line("--bootstrap has a port that must be from 1 to 65535, "
      .. "not '0'"), { "run", "--bootstrap", "192.0.2.1:0" })
    assert_misuse(line("--bootstrap must be HOST:PORT, such as 192.0.2.1:6881, "
      .. "not 'somewhere'"), { "run", "--bootstrap", "somewhere" })
    assert_misuse(line("the address must be HOST:PORT, such as "
      .. "192.0.2.1:6881, not '1.2.3:5'"), { "ping", "1.2.3:5" })
  end)

  it("rejects local addresses without --allow-local", function()
    for _, host in ipairs({
      "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "[::1]",
      "[fe80::1]", "localhost", "LocalHost", "localhost.", "node.localhost",
      "100.64.0.1", "198.18.0.1", "[FD00::1]", "[fc00::1]", "[fec0::1]",
    }) do
      assert_misuse(line(host .. ":6881 is a local address, which needs "
        .. "--allow-local"), { "ping", host .. ":6881" })
    end
    assert_misuse(line("--bootstrap 127.0.0.1:1 is a local address, which "
      .. "needs --allow-local"), { "get", "a", "--bootstrap", "127.0.0.1:1" })
  end)

  it("rejects ids of another length", function()
    assert_misuse(line("--id must be 40 or 64 hexadecimal digits, not 'abc'"),
      { "run", "--id", "abc" })
    assert_misuse(line("--id must be 40 or 64 hexadecimal digits, not '"
      .. ID:sub(2) .. "g'"), { "run", "--id", ID:sub(2) .. "g" })
    assert_misuse(line("id must have 64 hexadecimal digits in an overlay of "
      .. "256 bits"), { "run", "--id", ID, "--id-bits", "256" })
    assert_misuse(line("INFOHASH must be 40 hexadecimal digits, not 'name'"),
      with_join("peers", "name"))
  end)

  it("rejects invalid ports", function()
    assert_misuse(line("PORT must be from 1 to 65535, not '0'"),
      with_join("announce", ID, "0"))
    assert_misuse(line("PORT must be from 1 to 65535, not '4294967376'"),
      with_join("announce", ID, "4294967376"))
  end)

  it("rejects one-shot commands without a node to join through", function()
    for _, args in ipairs({
      { "get", "a" }, { "put", "a", "b" }, { "peers", ID }, { "lookup", "a" },
      { "announce", ID, "1" },
    }) do
      assert_misuse(line("--bootstrap HOST:PORT is needed: a node to join "
        .. "through"), args)
    end
  end)

  it("rejects values and options of records over their limits", function()
    assert_misuse(line("VALUE must have at most 8192 bytes"),
      with_join("put", "a", ("x"):rep(8193)))
    assert_misuse(line("VALUE must have at most 8192 bytes"),
      with_join("put", "a"), { stdin = ("x"):rep(9000) })
    assert_misuse(line("--salt must have at most 64 bytes"),
      with_join("put", "a", "b", "--salt", ("x"):rep(65)))
    assert_misuse(line("--ttl must be an integer from 1 to 4294967295, not 0"),
      with_join("put", "a", "b", "--ttl", "0"))
    assert_misuse(line("--type must have 1 to 32 bytes, not ''"),
      with_join("get", "a", "--type", ""))
  end)

  it("rejects a key file without a secret key", function()
    assert_misuse(line("--key /nonexistent: open: No such file or directory"),
      with_join("put", "a", "b", "--key", "/nonexistent"))
    assert_misuse(line("--key /dev/null: not a secret key file of `kadenza "
      .. "keygen`"), with_join("put", "a", "b", "--key", "/dev/null"))
  end)

  it("prints one line when standard output is full", function()
    for _, args in ipairs({ "--help", "version", "run --dump-config", "id" }) do
      local done = process.run({ "-c", ("exec '%s' %s >/dev/full")
        :format(process.program(), args) }, { path = "/bin/sh" })
      assert.equal(1, done.status)
      assert.equal(line("standard output: write: No space left on device"),
        done.stderr)
    end
  end)

  it("prints one line when standard output is closed", function()
    local closed = process.run({ "-c", ("exec '%s' run --listen 127.0.0.1:0 "
      .. ">&-"):format(process.program()) }, { path = "/bin/sh" })
    assert.equal(line("standard output: write: Bad file descriptor"),
      closed.stderr)
    assert.equal(1, closed.status)
  end)
end)

describe("kadenza, before a node runs,", function()
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

  -- Asserts that the state folder was not made.
  local function assert_nothing_begun()
    assert.is_nil(io.open(folder .. "/state"))
  end

  local function run(...)
    return { "run", "--listen", "127.0.0.1:0", "--state", folder .. "/state",
      ... }
  end

  it("does not read a policy file without end", function()
    assert_misuse(line("policy /dev/zero: not a regular file: save it in one"),
      { "run", "--policy", "/dev/zero" })
  end)

  it("rejects a policy that does not exist or is not Lua", function()
    assert_misuse(line("policy " .. folder .. "/none.lua: open: No such file "
      .. "or directory"), run("--policy", folder .. "/none.lua"))
    local path = write("broken.lua", "return {\n  types = {\n")
    local done = process.run(run("--policy", path))
    assert.equal(2, done.status)
    assert.is_truthy(done.stderr:find("kadenza: policy " .. path .. ":%d: "))
    assert.equal("", done.stdout)
    assert_nothing_begun()
  end)

  it("rejects trust in a file that is not a policy", function()
    local path = write("policy.lua", "return {}\n")
    assert_misuse(line("trust: 'other.lua' is not one of the policies"),
      run("--policy", path, "--trust", "other.lua"))
    assert_nothing_begun()
  end)

  it("rejects Lua that is not a policy", function()
    local path = write("wrong.lua", "return { typos = {} }\n")
    local done = process.run(run("--policy", path))
    assert.equal(2, done.status)
    assert.is_truthy(done.stderr:find("^kadenza: [^\n]*wrong%.lua[^\n]*\n$"))
    assert.is_truthy(done.stderr:find("typos", 1, true))
    assert.equal("", done.stdout)
    assert_nothing_begun()
  end)

  it("fails when a port is in use", function()
    local node = process.start_node()
    local done = process.run({ "run", "--listen", node.address, "--state",
      folder .. "/state" })
    assert.equal(1, done.status)
    assert.equal(line(node.address .. ": bind: address already in use"),
      done.stderr)
    assert_nothing_begun()
  end)

  it("refuses malformed names", function()
    for name, problem in pairs({
      ["a..b:1"] = "has an empty part between dots: 'a..b:1'",
      ["b\u{fc}cher.example:1"] = "is not ASCII: write an international name "
        .. "as it is in the DNS, such as xn--bcher-kva.example: "
        .. "'b\u{fc}cher.example:1'",
      [("a"):rep(64) .. ".example:1"] = "has a part of more than 63 bytes: '"
        .. ("a"):rep(40) .. "…'",
      [("a."):rep(150) .. "example:1"] = "has a name of more than 253 bytes: '"
        .. ("a."):rep(20) .. "…'",
    }) do
      local done = process.run(run("--bootstrap", name))
      assert.equal(2, done.status)
      assert.equal(line("--bootstrap " .. problem), done.stderr)
    end
    assert_nothing_begun()
  end)

  it("warns of such a name if others can be resolved", function()
    local node = process.start_node()
    local other = process.start_node({
      "--bootstrap", "nowhere.invalid:6881", "--bootstrap", node.address,
    })
    other:wait_for("state=healthy", "stderr")
    assert.is_truthy(other.stderr:find("warn a bootstrap name cannot be "
      .. 'resolved error="--bootstrap nowhere.invalid:6881: name', 1, true))
  end)

  it("fails when the state folder is invalid", function()
    local path = write("file", "")
    local done = process.run({ "run", "--listen", "127.0.0.1:0", "--state",
      path })
    assert.equal(1, done.status)
    assert.equal(line(path .. ": mkdir: Not a directory"), done.stderr)
    assert.equal("", done.stdout)
  end)
end)
