-- Tests scripts/kadenza/cli/policy_files.lua, scripts/kadenza/policy.lua.

local config = require("kadenza.cli.config")
local kad = require("kadenza")
local policy = require("kadenza.policy")
local policy_files = require("kadenza.cli.policy_files")
local process = require("support.process")
local support = require("support")

describe("policies of the program", function()
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
  end

  it("that ship are known by their names", function()
    local node = process.start_node({ "--policy", "counter",
      "--policy", "chat" })
    local reply = process.run({ "get", "lobby", "--type", "presence",
      "--policy", "chat", "--bootstrap", node.address, "--allow-local" })
    assert.equal("kadenza: not found\n", reply.stderr)
    node:kill("sighup")
    node:wait_for("policies reloaded", "stderr")
  end)

  it("that ship can be checked", function()
    local done = process.run({ "check", "registry", "--nodes", "10",
      "--seconds", "60" })
    assert.matches("no errors\n$", done.stdout)
    assert.equal(0, done.status)
  end)

  it("are files if a path says so", function()
    write("counter", "return 7")
    local done = process.run({ "check", "./counter" }, { folder = folder })
    assert.matches("%./counter: it returns a number", done.stderr)
    done = process.run({ "check", "counter", "--nodes", "10",
      "--seconds", "60" }, { folder = folder })
    assert.equal(0, done.status)
  end)

  local function make_fifo(name)
    local path = folder .. "/" .. name
    assert.equal(0,
      process.run({ path }, { path = "/usr/bin/mkfifo" }).status)
    return path
  end

  it("are regular files: a pipe would block the node", function()
    local path = make_fifo("policy.lua")
    for _, args in ipairs({
      { "check", path },
      { "run", "--policy", path, "--listen", "127.0.0.1:0" },
      { "check", "/dev/stdin" },
      { "get", "key", "--type", "note", "--policy", "/dev/stdin",
        "--bootstrap", "127.0.0.1:9", "--allow-local" },
    }) do
      local done = process.run(args, { stdin = "return {}" })
      assert.matches(": not a regular file: save it in one\n$", done.stderr)
      assert.equal(2, done.status)
    end
  end)

  it("may require regular files only", function()
    write("policy.lua", 'require("part") return {}')
    make_fifo("part.lua")
    local done = process.run({ "check", folder .. "/policy.lua" })
    assert.matches("part%.lua: not a regular file: save it in one",
      done.stderr)
  end)

  it("that became a pipe leave the old ones at a reload", function()
    local path = folder .. "/policy.lua"
    write("policy.lua", 'return { name = "mine" }')
    local node = process.start_node({ "--policy", path })
    assert(os.remove(path))
    make_fifo("policy.lua")
    node:kill("sighup")
    node:wait_for("not a regular file", "stderr")
    node:kill("sigterm")
    assert.equal(0, node:wait())
  end)

  it("are read once: what was checked is what runs", function()
    local path = folder .. "/policy.lua"
    for _, meanwhile in ipairs({ "FIFO", "return 7", "nothing" }) do
      write("policy.lua", 'return { name = "first" }')
      local texts = policy_files.read({ path })
      assert(os.remove(path))
      if meanwhile == "FIFO" then
        make_fifo("policy.lua")
      elseif meanwhile ~= "nothing" then
        write("policy.lua", meanwhile)
      end
      local net <close> = kad.sim({ nodes = 3, policies = config.node_options({
        policies = { path }, policy_texts = texts }).policies })

      local loaded, message = policy.reload(net.nodes[1])
      assert.is_nil(loaded)
      assert.matches("policy%.lua: ", message)
      assert(#net.nodes == 3)
      os.remove(path)
    end
  end)

  it("that are tried are read once for all nodes", function()
    write("policy.lua", ([[
      os.remove(%q)
      return { name = "gone" }
    ]]):format(folder .. "/policy.lua"))
    local done = process.run({ "check", "policy.lua", "--trust", "policy.lua",
      "--nodes", "5", "--seconds", "60" }, { folder = folder })
    assert.equal("", done.stderr)
    assert.matches("no errors\n$", done.stdout)
    assert.equal(0, done.status)
  end)

  it("with a misspelt name get a suggestion", function()
    local done = process.run({ "check", "cuonter" }, { folder = folder })
    assert.matches("cuonter: open: No such file or directory; did you mean "
      .. "'counter'%?", done.stderr)
    assert.equal(2, done.status)
    done = process.run({ "check", "cuonter.lua" }, { folder = folder })
    assert.is_nil(done.stderr:find("did you mean", 1, true))
  end)
end)
