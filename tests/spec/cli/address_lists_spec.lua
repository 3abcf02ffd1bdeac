-- Tests scripts/kadenza/cli/address_lists.lua.

local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

describe("a list of addresses", function()
  local folder, remove, path

  before_each(function()
    folder, remove = support.temporary_folder()
    path = folder .. "/list"
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function write(text, name)
    local file <close> = assert(io.open(name or path, "wb"))
    assert(file:write(text))
  end

  -- Sends SIGHUP, and returns the log until `event`.
  local function reload(node, event)
    node.stderr = ""
    node:kill("sighup")
    return node:wait_for(event .. "[^\n]*\n", "stderr")
  end

  local function can_ping(node)
    return process.run({ "ping", node.address, "--allow-local", "--query-ms",
      "300" }).status == 0
  end

  it("of a wrong file ends the start with file and line", function()
    for _, option in ipairs({ "blocklist", "exempt" }) do
      write("192.0.2.1\nnonsense\n")
      local done = process.run({ "run", "--" .. option, path, "--listen",
        "127.0.0.1:0", "--allow-local" })
      assert.equal(2, done.status)
      assert.equal(("kadenza: %s %s:2: no address, prefix or range: "
        .. "'nonsense'\n"):format(option, path), done.stderr:match("^[^\n]*\n"))
      done = process.run({ "run", "--" .. option, folder .. "/none" })
      assert.equal(2, done.status)
      assert.matches(option .. " .*/none", done.stderr)
    end
  end)

  it("blocks from the start, and is read again at SIGHUP", function()
    write("# all of this machine\n127.0.0.0/8\n")
    local node = process.start_node({ "--blocklist", path })
    assert.is_false(can_ping(node))

    write("192.0.2.0/24\r\n")
    assert.matches("ranges=1", reload(node, "blocklist read"))
    assert.is_true(can_ping(node))

    write("127.0.0.1-127.255.255.255\n")
    reload(node, "blocklist read")
    assert.is_false(can_ping(node))
  end)

  it("stays as it is if the file is wrong at SIGHUP", function()
    write("127.0.0.0/8\n")
    local node = process.start_node({ "--blocklist", path })
    write("192.0.2.1\n127.0.0.0/99\n")
    local log = reload(node, "blocklist not read, the old one stays")
    assert.matches(":2: no address", log)
    assert.matches(" warn ", log)
    assert.is_false(can_ping(node))
    assert(os.remove(path))
    reload(node, "blocklist not read, the old one stays")
    assert.is_false(can_ping(node))
    write("")
    reload(node, "blocklist read")
    assert.is_true(can_ping(node))
  end)

  it("may begin and end in the configuration", function()
    local file = folder .. "/node.lua"
    write("127.0.0.0/8\n")
    write("{}", file)
    local node = process.start({ "run", file, "--listen", "127.0.0.1:0",
      "--allow-local" })
    node.address =
      node:wait_for("id=%x+\n", "stdout"):match("listening on (%S+)")
    assert.is_true(can_ping(node))

    write(("{ blocklist = %q }"):format(path), file)
    reload(node, "configuration reloaded changed=blocklist")
    assert.is_false(can_ping(node))

    write("{}", file)
    reload(node, "configuration reloaded changed=blocklist")
    assert.is_true(can_ping(node))
  end)

  it("exempts from the rate limits", function()
    write("127.0.0.0/8\n")
    local file = folder .. "/node.lua"
    write(("{ exempt = %q, limits = { queries_per_s_address = 1,"
      .. " queries_per_s = 1 } }"):format(path), file)
    local node = process.start({ "run", file, "--listen", "127.0.0.1:0",
      "--allow-local" })
    node.address =
      node:wait_for("id=%x+\n", "stdout"):match("listening on (%S+)")
    for _ = 1, 8 do
      assert.is_true(can_ping(node))
    end
    write("192.0.2.1\n")
    reload(node, "exempt read")
    local answered = 0
    for _ = 1, 8 do
      answered = answered + (can_ping(node) and 1 or 0)
    end
    assert.is_true(answered < 8)
  end)
end)
