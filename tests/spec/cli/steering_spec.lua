-- Tests scripts/kadenza/cli/reload.lua, scripts/kadenza/cli/log.lua,
-- scripts/kadenza/console/requests.lua.

local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

describe("steering a node that runs", function()
  local folder, remove, node

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function write(name, text)
    local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
    file:write(text)
  end

  local function start(config)
    write("node.lua", config)
    node = process.start({ "run", folder .. "/node.lua", "--listen",
      "127.0.0.1:0", "--allow-local", "--console", folder .. "/console" })
    node:wait_for("id=%x+\n", "stdout")
  end

  local function run(...)
    return process.run({ ... }, { env = {
      KADENZA_CONSOLE = folder .. "/console" } })
  end

  it("reloads, and tells what has changed", function()
    start("{ k = 20 }")
    local done = run("reload")
    assert.equal("reloaded, no option has changed\n", done.stdout)
    assert.equal(0, done.status)

    write("node.lua", "{ k = 8, limits = false, listen = '127.0.0.1:1' }")
    done = run("reload")
    assert.equal(0, done.status)
    assert.equal("changed: limits\n", done.stdout:match("[^\n]*limits[^\n]*\n")
      :gsub("k, ", ""))
    node:wait_for("configuration reloaded", "stderr")
    local status = run("status").stdout
    assert.matches("Reload       %d+ s ago: changed [^\n]*limits", status)

    write("node.lua", "{ id_bits = 256, limits = false }")
    done = run("reload", "--json")
    assert.matches('^{"succeeded":true,"changed":%[.-%],"needs_restart":'
      .. '%[.-"id_bits".-%],"problems":%[%]}\n$', done.stdout)
  end)

  it("tells why a reload was refused", function()
    start("{}")
    write("node.lua", "{ k = 0 }")
    local done = run("reload")
    assert.equal(1, done.status)
    assert.equal("", done.stdout)
    assert.equal(("kadenza: not reloaded, nothing has changed: "
      .. "%s/node.lua:1: k must be an integer from 1 to 20, not 0\n"):format(
      folder), done.stderr)
    assert.matches("Reload       %d+ s ago, refused: [^\n]*k must be",
      run("status").stdout)
    done = run("reload", "--json")
    assert.equal(1, done.status)
    assert.matches('^{"succeeded":false,', done.stdout)

    write("node.lua", "{ policies = { '" .. folder .. "/p.lua' } }")
    write("p.lua", "return { types = ")
    done = run("reload")
    assert.equal(1, done.status)
    assert.matches("p.lua:1:", done.stderr)
  end)

  it("tells what could not be reloaded", function()
    write("list", "192.0.2.1\n")
    start("{ blocklist = '" .. folder .. "/list' }")
    write("list", "no address\n")
    local done = run("reload")
    assert.equal(1, done.status)
    assert.matches("^reloaded, no option has changed\nnot reloaded: [^\n]*"
      .. "list[^\n]*1[^\n]*\n$", done.stdout)
  end)

  it("loads policies while the node answers", function()
    write("p.lua", "return { name = 'p', rpc = { one = function() return {} "
      .. "end } }")
    start("{ policies = { '" .. folder .. "/p.lua' } }")
    assert.matches("p: rpc.one", run("status").stdout)
    write("p.lua", "return { name = 'p', rpc = { two = function() return {} "
      .. "end } }")
    assert.equal(0, run("reload").status)
    local status = run("status").stdout
    assert.matches("p: rpc.two", status)
    assert.is_nil(status:find("rpc.one", 1, true))
  end)

  it("shows and sets the log level, until a reload", function()
    start("{ log = 'warn' }")
    assert.equal("log level warn\n", run("log").stdout)
    assert.equal("log level debug; warn in the configuration\n",
      run("log", "debug").stdout)
    assert.equal("log level debug; warn in the configuration\n",
      run("log").stdout)
    assert.equal('{"level":"info","before":"debug","configured":"warn"}\n',
      run("log", "info", "--json").stdout)
    run("reload")
    assert.equal("log level warn\n", run("log").stdout)
    run("log", "off")
    assert.equal("log level warn\n", run("log", "default").stdout)
    local wrong = run("log", "loud")
    assert.equal(2, wrong.status)
    assert.matches("argument 'level' must be one of 'error', 'warn', ",
      wrong.stderr)
  end)
end)
