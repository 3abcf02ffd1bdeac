-- Tests scripts/kadenza/cli/item.lua, and the items of
-- scripts/kadenza/cli/put.lua and scripts/kadenza/cli/get.lua.

local dkjson = require("dkjson")
local kad = require("kadenza")
local commands = require("tests.spec.support.commands")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

describe("kadenza put and get, for items of BEP 44,", function()
  local node, folder, remove, key, publisher

  before_each(function()
    folder, remove = support.temporary_folder()
    node = process.start_node()
    key = folder .. "/key"
    publisher = process.run({ "keygen", key }).stdout:match("(%x+)\n")
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local run, output, document = commands.of(function()
    return node
  end)

  -- Asserts that a command fails with one line, and a status.
  local function assert_fails(status, text, args, options)
    local done = run(args, options)
    assert.matches(text, done.stderr, 1, true)
    assert.equal(status, done.status)
    assert.equal("", done.stdout)
  end

  -- BEP 44 "Test vectors": test 3.
  it("print the target of an immutable one, and its value", function()
    local target = "e5f96f6f38320f0f33959cb4d3d656452117aadb"
    assert.equal("target " .. target .. "\nstored at 1 of 1 nodes\n",
      output({ "put", "--immutable", "Hello World!" }))
    assert.equal("Hello World!", output({ "get", "--immutable", target }))
    assert.equal("12:Hello World!",
      output({ "get", "--immutable", target, "--raw" }))
    local put = document({ "put", "--immutable", "Hello World!", "--ttl",
      "60" })
    assert.same({ target, 1, 60 }, { put.target, put.stored, put.ttl })
    local got = document({ "get", target, "--immutable" })
    assert.same({ target, "Hello World!", 1 },
      { got.target, got.value, got.holders })
    assert.is_nil(got.seq)
  end)

  it("print target and sequence number of a mutable one", function()
    local target = kad.hex(kad.mutable_target(kad.unhex(publisher)))
    for seq, value in ipairs({ "one", "two" }) do
      assert.equal(("target %s\nseq %d\nstored at 1 of 1 nodes\n")
        :format(target, seq),
        output({ "put", "--mutable", "--key", key, value }))
      assert.equal(value, output({ "get", "--mutable", publisher }))
    end
    local put = document({ "put", "--mutable", "--key", key, "x", "--salt", "s",
      "--seq", "7" })
    assert.same({ publisher, 7, "s" }, { put.publisher, put.seq, put.salt })
    local got = document({ "get", "--mutable", publisher, "--salt", "s" })
    assert.same({ put.target, publisher, 7, "s", "x" },
      { got.target, got.publisher, got.seq, got.salt, got.value })
    assert.equal("two", output({ "get", "--mutable", publisher }))
  end)

  it("say the current sequence number if it is not the expected one",
    function()
      output({ "put", "--mutable", "--key", key, "x", "--seq", "7" })
      assert_fails(1, "its sequence number is 7, not 6",
        { "put", "--mutable", "--key", key, "y", "--cas", "6" })
      assert_fails(1, "its sequence number is 7, and 7 is not higher",
        { "put", "--mutable", "--key", key, "y", "--seq", "7" })
      local done = run({ "put", "--mutable", "--key", key, "y", "--cas", "6",
        "--json" })
      assert.equal("KAD_ECAS", dkjson.decode(done.stdout).code)
      output({ "put", "--mutable", "--key", key, "y", "--cas", "7" })
      assert.equal(8, document({ "get", "--mutable", publisher }).seq)
    end)

  it("take bencoded values with --raw, and print them as JSON", function()
    for bytes, shown in pairs({
      ["d4:listli1ei2ee4:name5:worlde"] = '{"list":[1,2],"name":"world"}\n',
      ["i-3e"] = "-3\n",
      ["l1:ae"] = '["a"]\n',
    }) do
      local put = document({ "put", "--immutable", "--raw", bytes })
      assert.equal(shown, output({ "get", "--immutable", put.target }))
      assert.equal(bytes, output({ "get", "--immutable", put.target, "--raw" }))
      local got = document({ "get", "--immutable", put.target })
      assert.same((dkjson.decode(shown)), got.value)
      got = document({ "get", "--immutable", put.target, "--raw" })
      assert.equal(bytes, got.value)
    end
    for _, bytes in ipairs({ "x", "i1e\n", "di1ei1ee", "" }) do
      assert_fails(2, "VALUE: the value is not one bencoded value",
        { "put", "--immutable", "--raw" }, { stdin = bytes })
    end
  end)

  it("read the value from standard input", function()
    local value = "a\0\255\n"
    local target = output({ "put", "--immutable" }, { stdin = value })
      :match("target (%x+)\n")
    assert.equal(value, output({ "get", "--immutable", target }))
    assert.equal("6100ff0a",
      document({ "get", "--immutable", target }).value_hex)
    output({ "put", "--mutable", "--key", key, "-" }, { stdin = value })
    assert.equal(value, output({ "get", "--mutable", publisher }))
  end)

  it("fail if there is none, or it is too large", function()
    assert_fails(1, "not found", { "get", "--mutable", publisher })
    assert_fails(1, "not found", { "get", "--immutable", ("0"):rep(40) })
    assert_fails(2, "VALUE: too large: the bencoded value has 1001 bytes",
      { "put", "--immutable", ("x"):rep(997) })
    output({ "put", "--immutable", ("x"):rep(996) })
    assert_fails(1, "fewer than min_stored = 2",
      { "put", "--immutable", "x", "--min-stored", "2" })
  end)

  it("refuse what does not fit", function()
    for text, args in pairs({
      ["an item is --immutable or --mutable, not both"] =
        { "put", "--immutable", "--mutable", "x" },
      ["--type is not for --immutable"] =
        { "put", "--immutable", "--type", "value", "x" },
      ["--key is not for --immutable"] =
        { "put", "--immutable", "--key", key, "x" },
      ["--cas is for --mutable"] = { "put", "k", "x", "--cas", "1" },
      ["--raw is for --immutable and --mutable"] = { "get", "k", "--raw" },
      ["--salt is for --mutable"] = { "get", "k", "--salt", "s" },
      ["--all is not for --mutable"] =
        { "get", "--mutable", publisher, "--all" },
      ["--mutable needs --key FILE"] = { "put", "--mutable", "x" },
      ["too many arguments: --immutable takes VALUE only"] =
        { "put", "--immutable", "k", "x" },
      ["missing argument 'key'"] = { "put", "--ttl", "5" },
      ["--cas must be an integer from 0"] =
        { "put", "--mutable", "--key", key, "x", "--cas=-1" },
      ["--seq must be an integer from 0 with --mutable"] =
        { "put", "--mutable", "--key", key, "x", "--seq=-1" },
      ["TARGET must be 40 hexadecimal digits, not 'abc'"] =
        { "get", "--immutable", "abc" },
      ["PUBLISHER must be 64 hexadecimal digits"] =
        { "get", "--mutable", ("0"):rep(40) },
      ["--immutable needs an overlay with ids of 160 bits, not 256"] =
        { "put", "--immutable", "x", "--id-bits", "256" },
    }) do
      assert_fails(2, text, args)
    end
  end)
end)
