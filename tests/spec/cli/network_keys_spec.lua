-- Tests scripts/kadenza/cli/network_keys.lua, and keygen --network in
-- scripts/kadenza/cli/keygen.lua.

local core = require("kadenza.core")
local dkjson = require("dkjson")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

describe("a network key file", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function path_of(name)
    return folder .. "/" .. name
  end

  local function read(name)
    return assert(core.read_file(path_of(name), 10000))
  end

  local function write(name, text)
    local path = path_of(name)
    local _ = core.exists(path) or assert(core.create_file(path, ""))
    local file <close> = assert(io.open(path, "wb"))
    file:write(text)
    return path
  end

  -- Makes a key file, and returns its path and its fingerprint.
  local function keygen(name, ...)
    local done = process.run({ "keygen", "--network", path_of(name), ... })
    assert.equal("", done.stderr)
    assert.equal(0, done.status)
    return path_of(name), done.stdout:match("^fingerprint (%x+)\n$")
  end

  local function start(keys, ...)
    local args = { ... }
    for _, key in ipairs(keys) do
      table.move({ "--network-key", key }, 1, 2, #args + 1, args)
    end
    return process.start_node(args)
  end

  local function run(command, key, ...)
    local args = table.pack(table.unpack(command))
    table.move({ "--allow-local", "--query-ms", "300", "--network-key", key },
      1, key and 5 or 3, #args + 1, args)
    return process.run(table.move({ ... }, 1, select("#", ...), #args + 1,
      args))
  end

  local function ping(node, key, ...)
    return run({ "ping", node.address }, key, ...)
  end

  -- Sends SIGHUP, and returns the log until `event`.
  local function reload(node, event)
    node.stderr = ""
    node:kill("sighup")
    return node:wait_for(event .. "[^\n]*\n", "stderr")
  end

  describe("of keygen", function()
    it("is private, new each time, and tells its fingerprint", function()
      local one, first = keygen("one")
      local _, second = keygen("two")
      assert.equal(16, #first)
      assert.not_equal(first, second)
      assert.is_false(core.is_shared(one))
      local digits =
        read("one"):match("^kadenza network key 1\nkey (%x+)\n$")
      assert.equal(first, core.network_key(core.unhex(digits)):fingerprint())
    end)

    it("replaces no other file", function()
      write("one", "precious")
      local done = process.run({ "keygen", "--network", path_of("one") })
      assert.equal(1, done.status)
      assert.equal("precious", read("one"))
    end)

    it("is printed without FILE", function()
      local done = process.run({ "keygen", "--network" })
      assert.matches("^kadenza network key 1\nkey %x+\n$", done.stdout)
      local document =
        dkjson.decode(process.run({ "keygen", "--network", "--json" }).stdout)
      assert.equal(64, #document.key)
      assert.equal(document.fingerprint,
        core.network_key(core.unhex(document.key)):fingerprint())
    end)

    it("may have a passphrase, and another one later", function()
      local phrase, other = write("p", "open sesame\n"), write("q", "other\n")
      local path, fingerprint = keygen("net", "--passphrase-file", phrase)
      assert.matches("^kadenza network key 1\nargon2id %d+ %d+ %x+\n"
        .. "sealed %x+ %x+\n$", read("net"))
      local done = process.run({ "keygen", "--network", "--change-passphrase",
        path, "--passphrase-file", phrase, "--new-passphrase-file", other,
        "--json" })
      assert.same({ fingerprint = fingerprint, encrypted = true },
        dkjson.decode(done.stdout))
      done = process.run({ "keygen", "--network", "--change-passphrase", path,
        "--passphrase-file", phrase, "--new-passphrase-file", other })
      assert.equal(1, done.status)
      assert.matches("wrong passphrase", done.stderr)
    end)

    it("is not taken for a key pair, nor the other way round", function()
      keygen("net")
      local path = path_of("pair")
      assert.equal(0, process.run({ "keygen", path }).status)
      local done = process.run({ "run", "--network-key", path })
      assert.equal(2, done.status)
      assert.matches("%-%-network%-key .*/pair: not a network key file",
        done.stderr)
      done = process.run({ "put", "a", "b", "--key", path_of("net"),
        "--bootstrap", "127.0.0.1:1", "--allow-local" })
      assert.equal(2, done.status)
      assert.matches("not a secret key file", done.stderr)
    end)
  end)

  describe("of run", function()
    it("seals the overlay: nodes with another key, and without, get no "
      .. "answer, and a line in both logs", function()
        local key, fingerprint = keygen("net")
        local other = keygen("other")
        local node = start({ key })
        assert.matches("network key in use fingerprint=" .. fingerprint,
          node:wait_for("network key in use[^\n]*\n", "stderr"))
        assert.equal(0, ping(node, key).status)
        for _, wrong in ipairs({ false, other }) do
          for _ = 1, 2 do
            assert.equal(1, ping(node, wrong or nil).status)
          end
        end
        assert.matches("another network key", ping(node, other).stderr)
        local log = node:wait_for("no network key opens[^\n]*\n", "stderr")
        assert.matches("from=127.0.0.1:%d+", log)
        local late = start({ other }, "--bootstrap", node.address,
          "--query-ms", "300")
        assert.matches("could not join yet.*another network key",
          late:wait_for("could not join[^\n]*\n", "stderr"))
        node:kill("sigusr1")
        local stats = node:wait_for(" statistics [^\n]*\n", "stderr")
        assert.is_true(tonumber(stats:match("dropped_unsealed=(%d+)")) >= 5)
        local _, lines = node.stderr:gsub("no network key opens", "")
        assert.equal(1, lines)
      end)

    it("stores and finds values with the commands", function()
      local key = keygen("net")
      local node = start({ key })
      local through = { "--bootstrap", node.address }
      assert.equal(0, run({ "put", "a", "hello" }, key,
        table.unpack(through)).status)
      local got = run({ "get", "a" }, key, table.unpack(through))
      assert.equal("hello", got.stdout)
      local done = run({ "get", "a" }, keygen("other"), table.unpack(through))
      assert.equal(1, done.status)
      assert.matches("another network key", done.stderr)
    end)

    it("changes its key by SIGHUP without a loss", function()
      local old, new = keygen("old"), keygen("new")
      local configs, nodes = { path_of("a.lua"), path_of("b.lua") }, {}
      local function configure(...)
        local keys = {}
        for i, key in ipairs({ ... }) do
          keys[i] = ("%q"):format(key)
        end
        for _, config in ipairs(configs) do
          write(config:match("[^/]+$"), ("{ network_key = { %s } }"):format(
            table.concat(keys, ", ")))
        end
      end
      configure(old)
      for i, config in ipairs(configs) do
        nodes[i] = process.start({ "run", config, "--listen", "127.0.0.1:0",
          "--allow-local", table.unpack(i == 2 and { "--bootstrap",
            nodes[1].address } or {}) })
        nodes[i].address =
          nodes[i]:wait_for("id=%x+\n", "stdout"):match("listening on (%S+)")
      end
      nodes[2]:wait_for("joined contacts=1", "stderr")
      local before = { old }
      for _, keys in ipairs({ { old, new }, { new, old }, { new } }) do
        configure(table.unpack(keys))
        for _, node in ipairs(nodes) do
          reload(node, "configuration reloaded changed=network_key")
          for i, client in ipairs({ before, keys }) do
            local more = client[2] and { "--network-key", client[2] } or {}
            assert.equal(0,
              ping(nodes[i], client[1], table.unpack(more)).status)
          end
        end
        before = keys
      end
      for _, node in ipairs(nodes) do
        node:kill("sigusr1")
        assert.matches("dropped_unsealed=0 ",
          node:wait_for(" statistics [^\n]*\n", "stderr"))
      end
      assert.equal(0, ping(nodes[1], new).status)
      assert.equal(1, ping(nodes[1], old).status)
    end)

    it("is read again at SIGHUP, and stays if that fails", function()
      local key = keygen("net")
      local other, fingerprint = keygen("other")
      local node = start({ key })
      assert(os.remove(key))
      assert.matches("No such file", reload(node,
        "network key not read, the old one stays"):gsub("no such", "No such"),
        1)
      write("net", "nonsense\n")
      assert.matches("not a network key file", reload(node,
        "network key not read, the old one stays"))
      assert.equal(1, ping(node, other).status)
      write("net", read("other"))
      assert.matches("fingerprint=" .. fingerprint,
        reload(node, "network key in use"))
      assert.equal(0, ping(node, other).status)
    end)

    it("does not seal a node that runs, nor open it", function()
      local config = write("node.lua", "{}")
      local key = keygen("net")
      local node = process.start({ "run", config, "--listen", "127.0.0.1:0",
        "--allow-local" })
      node:wait_for("id=%x+\n", "stdout")
      write("node.lua", ("{ network_key = %q }"):format(key))
      assert.matches("restart it", reload(node,
        "network key not read, the old one stays"))
      assert.equal(0, process.run({ "ping", node.stdout:match(
        "listening on (%S+)"), "--allow-local" }).status)
    end)

    it("may have a passphrase, which a reload needs for another file only",
      function()
        local phrase = write("p", "open sesame\n")
        local key = keygen("net", "--passphrase-file", phrase)
        local node = start({ key }, "--network-passphrase-file", phrase)
        assert.equal(0, ping(node, key, "--network-passphrase-file",
          phrase).status)
        local copy = write("q", read("p"))
        assert(os.remove(phrase))
        reload(node, "no policies to reload")
        assert.equal(0, ping(node, key, "--network-passphrase-file",
          copy).status)
        assert(os.remove(key))
        local _, fingerprint = keygen("net", "--passphrase-file", copy)
        assert.matches("network%-passphrase%-file .*/p", reload(node,
          "network key not read, the old one stays"))
        node:wait_for("no policies to reload", "stderr")
        write("p", read("q"))
        assert.matches(fingerprint, reload(node, "network key in use"))
        local done = process.run({ "run", "--network-key", key })
        assert.equal(2, done.status)
        assert.matches("%-%-network%-passphrase%-file FILE is needed",
          done.stderr)
      end)

    it("is named by the dump, and never shown", function()
      local key = keygen("net")
      local digits = read("net"):match("key (%x+)\n$")
      local done =
        process.run({ "run", "--network-key", key, "--dump-config" })
      assert.matches("network_key = ", done.stdout)
      assert.is_truthy(done.stdout:find(key, 1, true))
      assert.is_nil(done.stdout:find(digits, 1, true))
      local node = start({ key }, "--log", "debug")
      node:kill("sighup")
      node:wait_for("no policies to reload", "stderr")
      node:kill("sigterm")
      assert.equal(0, node:wait())
      assert.is_nil(node.stderr:find(digits, 1, true))
      assert.is_nil(node.stdout:find(digits, 1, true))
    end)

    it("of a wrong option ends the start", function()
      local key = keygen("net")
      for _, case in ipairs({
        { { "--network-key", path_of("none") }, "none" },
        { { "--network-key", folder }, "directory" },
        { { "--network-key", key, "--network-key", key, "--network-key", key },
          "must hold 0 to 2 files" },
        { { "--network-passphrase-file", key }, "is for the file of" },
      }) do
        local done = process.run({ "run", table.unpack(case[1]) })
        assert.equal(2, done.status)
        assert.matches(case[2], done.stderr)
      end
      write("newer", "kadenza network key 2\nkey " .. ("0"):rep(64) .. "\n")
      local done = process.run({ "run", "--network-key", path_of("newer") })
      assert.equal(2, done.status)
      assert.matches("a newer version of kadenza", done.stderr)
    end)
  end)
end)
