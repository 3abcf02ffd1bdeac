local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

describe("SIGHUP of kadenza run", function()
  local folder, remove, path

  before_each(function()
    folder, remove = support.temporary_folder()
    path = folder .. "/node.lua"
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function write(name, text)
    local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
    file:write(text)
  end

  -- Starts a node with a configuration, and the same flags and environment each
  -- time.
  local function start(text, args, env)
    write("node.lua", text)
    local all = { "run", path, "--listen", "127.0.0.1:0", "--allow-local" }
    table.move(args or {}, 1, #(args or {}), #all + 1, all)
    local node = process.start(all, { env = env })
    node.address =
      node:wait_for("id=%x+\n", "stdout"):match("listening on (%S+)")
    return node
  end

  -- Writes a configuration, sends SIGHUP, and returns the log until `text`.
  local function reload(node, text, event)
    write("node.lua", text)
    node.stderr = ""
    node:kill("sighup")
    return node:wait_for(event .. "[^\n]*\n", "stderr")
  end

  local function ping(node)
    return process.run({ "ping", node.address, "--allow-local", "--query-ms",
      "300" })
  end

  it("changes the log level and the log format", function()
    local node = start("{ log = 'error' }")
    node:kill("sighup")
    reload(node, "{ log = 'info' }", "configuration reloaded changed=log")
    local log = reload(node, "{ log = 'info', json = true }",
      '"configuration reloaded"')
    assert.matches('"changed":"json"', log)
  end)

  it("changes limits", function()
    local node = start("{ limits = { queries_per_s = 1000 } }")
    assert.equal(0, ping(node).status)

    local log = reload(node, "{ limits = { queries_per_s_address = 1,"
      .. " queries_per_s = 1 } }", "configuration reloaded")
    assert.matches('changed="?queries_per_s,queries_per_s_address"?', log)
    local failed = 0
    for _ = 1, 6 do
      failed = failed + ping(node).status
    end
    assert.is_true(failed > 0)

    reload(node, "{ limits = false }", "configuration reloaded")
    for _ = 1, 6 do
      assert.equal(0, ping(node).status)
    end
  end)

  it("adds, replaces and removes policies", function()
    write("note.lua", "return { types = { note = {} } }")
    local node = start("{}")
    local function put()
      return process.run({ "put", "a", "b", "--type", "note", "--policy",
        folder .. "/note.lua", "--bootstrap", node.address, "--allow-local" })
    end
    assert.equal(1, put().status)

    reload(node, ("{ policies = %q }"):format(folder .. "/note.lua"),
      "configuration reloaded changed=policies")
    assert.equal("stored at 1 of 1 nodes\n", put().stdout)

    reload(node, "{}", "configuration reloaded changed=policies")
    assert.equal(1, put().status)
  end)

  it("names the options that need a restart, each time", function()
    local node = start("{ k = 8 }")
    for _ = 1, 2 do
      local log = reload(node, "{ k = 20, state = 'x', lookup_ms = 5000 }",
        "changed options need a restart")
      assert.matches('warn changed options need a restart options="?state,k"?',
        log)
    end
    reload(node, "{ k = 8, lookup_ms = 6000 }", "configuration reloaded")
    assert.not_matches("restart", node.stderr)
  end)

  it("changes nothing when the configuration has a mistake", function()
    local node = start("{ log = 'info', limits = { queries_per_s = 500 } }")
    for _, text in ipairs({ "{ log = 'loud' }", "{ lg = 'debug' }", "{",
      "{ limits = { queries_per_s = 0 }, log = 'debug' }" }) do
      local log = reload(node, text, "nothing has changed")
      assert.matches("error configuration not reloaded, nothing has changed "
        .. "error=[^\n]*node%.lua:1: ", log)
    end
    os.remove(path)
    node.stderr = ""
    node:kill("sighup")
    node:wait_for("nothing has changed error=[^\n]*No such file", "stderr")

    local log = reload(node, "{ log = 'debug', policies = 'none.lua' }",
      "the old ones stay")
    assert.matches("none%.lua: open: No such file or directory", log)
    log = reload(node, "{ log = 'debug', limits = { queries_per_s = 500 } }",
      "configuration reloaded")
    assert.matches("changed=log\n", log) -- the level was not changed before
  end)

  it("keeps the precedence of the environment and of the flags", function()
    local node = start("{}", { "--query-ms", "3000" },
      { KADENZA_LOOKUP_MS = "9000" })
    local log = reload(node,
      "{ query_ms = 1000, lookup_ms = 1000, alpha = 4 }",
      "configuration reloaded")
    assert.matches("changed=alpha\n", log)
  end)
end)
