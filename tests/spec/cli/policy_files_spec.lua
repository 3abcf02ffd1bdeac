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

  it("with a misspelt name get a suggestion", function()
    local done = process.run({ "check", "cuonter" }, { folder = folder })
    assert.matches("cuonter: open: No such file or directory; did you mean "
      .. "'counter'%?", done.stderr)
    assert.equal(2, done.status)
    done = process.run({ "check", "cuonter.lua" }, { folder = folder })
    assert.is_nil(done.stderr:find("did you mean", 1, true))
  end)
end)
