local dkjson = require("dkjson")
local kad = require("kadenza")
local commands = require("support.commands")
local process = require("support.process")
local support = require("support")

local INFO_HASH <const> = ("0123456789"):rep(4)

describe("kadenza's one-shot commands", function()
  local node
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
    node = process.start_node()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local run, output, document = commands.of(function()
    return node
  end)

  it("put a value and get it", function()
    assert.equal("stored at 1 of 1 nodes\n", output({ "put", "a", "one" }))
    assert.equal("one", output({ "get", "a" }))
  end)

  it("say that a value lives for less than was asked for", function()
    assert.equal("stored at 1 of 1 nodes for 86400 seconds: its type does not "
      .. "allow 604800\n", output({ "put", "a", "one", "--ttl", "604800" }))
    assert.equal("stored at 1 of 1 nodes\n",
      output({ "put", "a", "one", "--ttl", "60" }))
    local put = document({ "put", "a", "one", "--ttl", "604800" })
    assert.same({ 86400, 604800 }, { put.ttl, put.asked_ttl })
    assert.equal(86400, document({ "put", "a", "one" }).ttl)
    assert.equal(2700, document({ "announce", INFO_HASH, "80" }).ttl)
  end)

  it("fail if fewer nodes than --min-stored hold it", function()
    for _, args in ipairs({ { "put", "a", "one" },
      { "announce", INFO_HASH, "80" } }) do
      table.move({ "--min-stored", "2" }, 1, 2, #args + 1, args)
      local done = run(args)
      assert.equal(1, done.status)
      assert.equal("", done.stdout)
      assert.is_truthy(done.stderr:find(
        "stored at 1 of 1 nodes, fewer than min_stored = 2", 1, true))
    end
  end)

  it("put the bytes of standard input unchanged", function()
    local value = "a\0\255\n"
    output({ "put", "a" }, { stdin = value })
    assert.equal(value, output({ "get", "a" }))
    output({ "put", "b", "-" }, { stdin = "" })
    assert.equal("", output({ "get", "b" }))
  end)

  it("take a value that begins with a dash", function()
    local done = process.run({ "put", "--bootstrap", node.address,
      "--allow-local", "a", "--", "-5" })
    assert.equal("", done.stderr)
    assert.equal("-5", output({ "get", "a" }))
  end)

  it("use a key in hexadecimal, and hash any other", function()
    output({ "put", INFO_HASH, "one" })
    assert.equal(INFO_HASH, document({ "get", INFO_HASH:upper() }).key)
    local hashed = document({ "put", "name", "two" }).key
    assert.equal("two", output({ "get", hashed }))
  end)

  it("get every value with --all", function()
    output({ "put", "a", "one" })
    output({ "put", "a", "two" })
    local lines = {}
    for text in output({ "get", "a", "--all" }):gmatch("[^\n]+") do
      lines[#lines + 1] = text
    end
    table.sort(lines)
    assert.same({ "one", "two" }, lines)
    assert.equal(2, #document({ "get", "a", "--all" }).values)
  end)

  it("print bytes that are not UTF-8 as hexadecimal in JSON", function()
    output({ "put", "a" }, { stdin = "\255\0" })
    local got = document({ "get", "a" })
    assert.equal("ff00", got.value_hex)
    assert.is_nil(got.value)
    output({ "put", "b", "grün\n\1" })
    assert.equal("grün\n\1", document({ "get", "b" }).value)
  end)

  it("sign with a key of keygen", function()
    local path = folder .. "/key"
    local publisher = process.run({ "keygen", path }).stdout:match("(%x+)\n")
    output({ "put", "a", "signed", "--key", path, "--seq", "2", "--salt", "s",
      "--ttl", "100" })
    local got = document({ "get", "a" })
    assert.same({ publisher, 2, "s" }, { got.publisher, got.seq, got.salt })
    assert.is_true(got.ttl > 0 and got.ttl <= 100)
    local late = run({ "put", "a", "old", "--key", path, "--seq", "1", "--salt",
      "s" })
    assert.equal(1, late.status)
    assert.is_truthy(late.stderr:find("302", 1, true))
  end)

  it("make private key files and never overwrite one", function()
    local path = folder .. "/key"
    local made = process.run({ "keygen", path })
    assert.is_truthy(made.stdout:find("^publisher %x+\n$"))
    local listed = process.run({ "-l", path }, { path = "/bin/ls" })
    assert.equal("-rw-------", listed.stdout:sub(1, 10))
    local again = process.run({ "keygen", path })
    assert.equal("kadenza: " .. path .. " exists and is left unchanged\n",
      again.stderr)
    assert.equal(1, again.status)
    local shown = process.run({ "keygen", "--json" })
    local pair = assert(dkjson.decode(shown.stdout))
    assert.same({ 64, 128 }, { #pair.publisher, #pair.secret })
  end)

  it("announce a peer and find it", function()
    assert.equal("announced at 1 of 1 nodes\n",
      output({ "announce", INFO_HASH, "4321" }))
    assert.equal("127.0.0.1:4321\n", output({ "peers", INFO_HASH }))
    assert.same({ "127.0.0.1:4321" }, document({ "peers", INFO_HASH }).peers)
  end)

  it("scrape seeds and other peers (BEP 33)", function()
    local hash = ("5c"):rep(20)
    output({ "announce", hash, "4321", "--seed" })
    assert.equal("1 seeds\n0 other peers\n",
      output({ "peers", hash, "--scrape" }))
    assert.same({ seeds = 1, peers = 0 },
      document({ "peers", hash, "--scrape" }).scrape)
    assert.is_nil(document({ "peers", hash }).scrape)
    assert.equal(1, run({ "peers", ("5d"):rep(20), "--scrape" }).status)
    assert.equal(1, run({ "peers", hash, "--no-seeds" }).status)
  end)

  it("look up the closest nodes", function()
    local row = ("%s %s\n"):format(node.id, node.address)
    assert.equal(row, output({ "lookup", "anything" }))
    assert.same({ { id = node.id, address = node.address } },
      document({ "lookup", node.id }).contacts)
  end)

  it("ping a node by address and by name", function()
    for _, host in ipairs({ "127.0.0.1", "localhost" }) do
      local address = host .. ":" .. node.address:match("%d+$")
      local done = process.run({ "ping", address, "--allow-local" })
      assert.is_truthy(done.stdout:find("^" .. node.id .. " %d+ ms\n$"))
    end
    local done = process.run({ "ping", node.address, "--allow-local",
      "--json" })
    local pong = assert(dkjson.decode(done.stdout))
    assert.same({ node.id, node.address }, { pong.id, pong.address })
  end)

  it("reach IPv6 nodes", function()
    local other = process.start({ "run", "--listen", "[::1]:0",
      "--allow-local" })
    local address = other:wait_for("id=", "stdout"):match("on (%S+)")
    local done = process.run({ "ping", address, "--allow-local" })
    assert.equal("", done.stderr)
    assert.equal(0, done.status)
  end)

  it("fail with 1 when nothing is found", function()
    for _, args in ipairs({ { "get", "a" }, { "peers", INFO_HASH } }) do
      local done = run(args)
      assert.equal("kadenza: not found\n", done.stderr)
      assert.equal("", done.stdout)
      assert.equal(1, done.status)
    end
  end)

  it("print a failure as JSON", function()
    local done = run({ "get", "a", "--json" })
    assert.same({ error = "not found", code = "KAD_ENOTFOUND" },
      (dkjson.decode(done.stdout)))
    assert.equal(1, done.status)
  end)

  it("fail with 1 when no node answers", function()
    local done = process.run({ "get", "a", "--bootstrap", "127.0.0.1:9",
      "--allow-local", "--query-ms", "200" })
    assert.is_truthy(done.stderr:find("^kadenza: could not join through "
      .. "127%.0%.0%.1:9: [^\n]*\n$"))
    assert.equal(1, done.status)
    local ping = process.run({ "ping", "127.0.0.1:9", "--allow-local",
      "--query-ms", "200" })
    assert.equal("kadenza: no answer in time\n", ping.stderr)
    assert.equal(1, ping.status)
  end)

  it("end at once on a signal", function()
    local ping = process.start({ "ping", "127.0.0.1:9", "--allow-local" })
    ping:kill("sigint")
    ping:wait(1)
    assert.equal(2, ping.signal)
    assert.equal("", ping.stderr)
  end)

  it("fail with 1 when a name cannot be resolved", function()
    for _, args in ipairs({
      { "ping", "nowhere.invalid:1" },
      { "get", "a", "--bootstrap", "nowhere.invalid:1" },
    }) do
      local done = process.run(args)
      assert.is_truthy(done.stderr:find("nowhere.invalid:1: name could not be "
        .. "resolved\n", 1, true))
      assert.equal(1, done.status)
    end
  end)

  it("know the types of their policies", function()
    local path = folder .. "/note.lua"
    local file = assert(io.open(path, "wb"))
    file:write("return { types = { note = {} } }")
    file:close()
    local unknown = run({ "put", "a", "b", "--type", "note" })
    assert.equal("kadenza: unknown record type (--policy FILE defines record "
      .. "types)\n", unknown.stderr)
    assert.equal(1, unknown.status)
    local refused = run({ "put", "a", "b", "--type", "note", "--policy", path })
    assert.equal(1, refused.status)
    assert.equal(1, select(2, refused.stderr:gsub("\n", "")))
  end)

  it("read options of all commands from the environment", function()
    local done = process.run({ "put", "a", "b" }, { env = {
      KADENZA_BOOTSTRAP = node.address, KADENZA_ALLOW_LOCAL = "1",
      KADENZA_LISTEN = node.address, KADENZA_STATE = "/nonexistent",
    } })
    assert.equal("", done.stderr)
    assert.equal("stored at 1 of 1 nodes\n", done.stdout)
  end)

  it("print ids", function()
    local one, other = process.run({ "id" }), process.run({ "id" })
    assert.is_truthy(one.stdout:find("^%x+\n$"))
    assert.equal(41, #one.stdout)
    assert.not_equal(one.stdout, other.stdout)
    assert.equal(65, #process.run({ "id", "--id-bits", "256" }).stdout)
    local bound = process.run({ "id", "--for", "192.0.2.1" }).stdout:sub(1, -2)
    assert.is_true(kad.is_secure_id(kad.unhex(bound), "192.0.2.1"))
    local wrong = process.run({ "id", "--for", "nowhere" })
    assert.equal(2, wrong.status)
    assert.is_truthy(wrong.stderr:find("must be an address such as 192.0.2.1",
      1, true))
    local none = process.run({ "id", "--state", folder .. "/none" })
    assert.equal(1, none.status)
    assert.is_nil(io.open(folder .. "/none"))
  end)
end)
