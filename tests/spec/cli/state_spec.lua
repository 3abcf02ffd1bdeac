-- Tests scripts/kadenza/state.lua: state folders of processes.

local core = require("kadenza.core")
local kad = require("kadenza")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

-- A program that opens a node on the folder in argument 1, publishes a value
-- for each further argument, and prints what it publishes.
local PROGRAM <const> = [[
  local kad = require("kadenza")
  kad.run(function()
    local node, message = kad.node({ listen = "127.0.0.1:0",
      allow_local = true, state = arg[1] })
    if not node then
      print("refused: " .. message)
      return
    end
    for i = 2, #arg do
      node:publish(kad.key(arg[i]), arg[i])
    end
    local values = {}
    for i, record in ipairs(node:publications()) do
      values[i] = record.value
    end
    table.sort(values)
    print(table.concat(values, " "))
    local saved, problem = node:save()
    print(saved or problem)
  end)
]]

-- A program that saves a growing number of publications until it is killed.
local SAVING <const> = [[
  local kad = require("kadenza")
  kad.run(function()
    local node = assert(kad.node({ listen = "127.0.0.1:0", allow_local = true,
      state = arg[1] }))
    for i = 1, 1000000 do
      node:publish(kad.key(tostring(i)), ("v"):rep(500))
      assert(node:save())
      print("saved")
      io.stdout:flush()
    end
  end)
]]

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

describe("kadenza, on a state folder,", function()
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
    assert(core.write_file(path, text))
    return path
  end

  -- Runs a shell script in which $0 runs PROGRAM; returns what it prints.
  local function shell(script, prefix)
    local lua = os.getenv("LUA") or "lua5.4"
    local path = write("program.lua", PROGRAM)
    local run = write("run", ("exec %s %s \"$@\"\n"):format(lua, path))
    local args = { "-c", script, "sh " .. run }
    local command = "sh"
    for i, word in ipairs(prefix or {}) do
      table.insert(args, i, word)
    end
    if prefix then
      command = table.remove(args, 1)
      table.insert(args, #prefix, "sh")
    end
    local done = process.start(args, { path = command, folder = folder })
    done:wait()
    return done.stdout, done.stderr
  end

  it("refuses a second node and names the first", function()
    local path = folder .. "/state"
    local first = process.start_node({ "--state", path })
    local before = read(path .. "/node.state")
    local done = process.run({ "run", "--listen", "127.0.0.1:0", "--state",
      path })
    assert.equal(1, done.status)
    assert.equal("", done.stdout)
    assert.equal(1, done.stderr:find("kadenza: " .. path .. ": process "
      .. first.pid .. " (", 1, true))
    assert.is_truthy(done.stderr:find(" run --listen 127.0.0.1:0 ", 1, true))
    assert.equal(before, read(path .. "/node.state"))
    local shown = process.run({ "id", "--state", path })
    assert.equal(first.id .. "\n", shown.stdout)
    first:kill("sigterm")
    assert.equal(0, first:wait())
    assert.is_nil(read(path .. "/node.lock"))
  end)

  it("lets one of several nodes in that start at once", function()
    local path = folder .. "/state"
    assert(core.make_folder(path))
    assert(core.write_file(path .. "/node.lock", "999999\nhost\ncommand"))
    local nodes, winner = {}, nil
    for i = 1, 4 do
      nodes[i] = process.start({ "run", "--listen", "127.0.0.1:0",
        "--allow-local", "--state", path })
    end
    for _, node in ipairs(nodes) do
      if pcall(node.wait_for, node, "listening", "stdout") then
        assert.is_nil(winner)
        winner = node
      end
    end
    for _, node in ipairs(nodes) do
      if node ~= winner then
        assert.equal(1, node:wait())
        assert.equal(1, node.stderr:match("(kadenza: .*)"):find("kadenza: "
          .. path .. ": process " .. winner.pid .. " (", 1, true))
      end
    end
  end)

  it("is free after a crash, also while a child of a policy runs", function()
    local policy = write("child.lua", ([[
      os.execute("sleep 20 </dev/null >/dev/null 2>&1 & echo $! >%s/pid")
      return {}
    ]]):format(folder))
    local args = { "--state", folder .. "/state", "--policy", policy,
      "--trust", policy }
    local node = process.start_node(args)
    node:kill("sigkill")
    node:wait()
    local pid = read(folder .. "/pid"):match("%d+")
    assert.is_string(read(folder .. "/state/node.lock"))
    local again = process.start_node({ "--state", folder .. "/state" })
    assert.equal(node.id, again.id)
    assert(os.execute("kill " .. pid))
  end)

  it("changes nothing to print an id", function()
    for _, bytes in ipairs({ "corrupt", "",
      core.encode({ version = 2, id = ("x"):rep(20) }) }) do
      write("node.state", bytes)
      local done = process.run({ "id", "--state", folder })
      assert.equal(1, done.status)
      assert.is_truthy(done.stderr:find("kadenza: " .. folder
        .. "/node.state: it is ", 1, true))
      assert.equal(bytes, read(folder .. "/node.state"))
      assert.is_nil(read(folder .. "/node.state.corrupt"))
    end
  end)

  it("refuses ids of another width, and changes nothing", function()
    local path = folder .. "/state"
    local first = process.start_node({ "--state", path })
    first:kill("sigterm")
    first:wait()
    local before = read(path .. "/node.state")
    local done = process.run({ "run", "--listen", "127.0.0.1:0", "--state",
      path, "--id-bits", "256" })
    assert.equal(2, done.status)
    assert.equal("kadenza: " .. path .. "/node.state: of a node with ids of "
      .. "160 bits, not 256: use another folder, or id_bits = 160\n",
      done.stderr)
    assert.equal(before, read(path .. "/node.state"))
  end)

  it("never ends in an internal error for what lies in it", function()
    for _, name in ipairs({ "node.state", "own.state", "node.lock",
      "node.state.new", "own.state.new", "node.state.corrupt" }) do
      for _, command in ipairs({ "mkdir -p %s/in", "mkfifo %s",
        "ln -s /dev/zero %s", "ln -s %s %s", "truncate -s 10G %s",
        "head -c 3000 /dev/urandom >%s", "printf d >%s" }) do
        local path = folder .. "/state/" .. name
        assert(os.execute(("rm -rf %s/state && mkdir %s/state && "):format(
          folder, folder) .. command:gsub("%%s", path)))
        local node = process.start({ "run", "--listen", "127.0.0.1:0",
          "--allow-local", "--state", folder .. "/state" })
        pcall(node.wait_for, node, "listening", "stdout") -- or it ended
        node:kill("sigterm")
        local status = node:wait()
        assert.is_true(status == 0 or status == 1, command .. " " .. name
          .. ": " .. status .. " " .. node.stderr)
        assert.is_nil(node.stderr:find("internal", 1, true))
      end
    end
  end)

  it("does not replace publications that cannot be read", function()
    -- A process of root reads every file, unless it gives that up.
    local prefix = { "setpriv",
      "--bounding-set=-dac_override,-dac_read_search" }
    assert.equal("one\ntrue\n", (shell("$0 state one")))
    for _, name in ipairs({ "own.state", "node.state" }) do
      local out = shell("chmod 000 state/" .. name .. "; $0 state two; "
        .. "chmod 600 state/" .. name, prefix)
      assert.equal("refused: state/" .. name .. ": open: Permission denied\n",
        out)
    end
    assert.equal("one two\ntrue\n", (shell("$0 state two")))
  end)

  it("keeps the last state on a full disk, and saves when there is room",
    function()
      local out, errors = shell([[
        mount -t tmpfs -o size=64k none /mnt || exit
        $0 /mnt/state one
        head -c 1000000 /dev/zero >/mnt/fill 2>/dev/null
        $0 /mnt/state two
        rm /mnt/fill
        $0 /mnt/state
        mount -o remount,ro /mnt
        $0 /mnt/state
      ]], { "unshare", "-rm" })
      if out == "" then
        pending("no mount namespace can be made here: " .. errors)
        return
      end
      assert.equal("one\ntrue\none two\n/mnt/state/node.state.new: write: "
        .. "No space left on device\none\ntrue\n"
        .. "refused: /mnt/state: access: Read-only file system\n", out)
    end)

  it("has the old state or the new one after a kill at any moment", function()
    local lua = os.getenv("LUA") or "lua5.4"
    local program = write("saving.lua", SAVING)
    local path = folder .. "/state"
    local least = 0
    for i = 1, 12 do
      local child = process.start({ program, path }, { path = lua })
      child:wait_for("saved", "stdout")
      local _, saved_before = child.stdout:gsub("saved", "")
      local busy = os.clock() + i / 1000
      repeat until os.clock() > busy
      child:kill("sigkill")
      child:wait()
      local state = assert(core.decode(read(path .. "/node.state")))
      assert.equal(20, #state.id)
      local own = assert(core.decode(read(path .. "/own.state")))
      assert.is_true(#own.records >= math.max(least, saved_before))
      least = #own.records
    end
    assert.is_true(kad.run(function()
      local node <close> = assert(kad.node(support.local_node({
        state = path })))
      -- Others may be in the journal, written after the last save.
      return #node:publications() >= least
    end))
  end)
end)
