-- Tests scripts/kadenza/items.lua, scripts/kadenza/item.lua and
-- bindings/lua/item.c.

local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local assert_blames_caller = support.assert_blames_caller
local spec, with_pair = support.spec, support.with_pair

-- BEP 44 "Test vectors".
local VECTOR <const> = {
  value = "Hello World!",
  publisher = kad.unhex("77ff84905a91936367c01360803104f92432fcd904a43511876df5"
    .. "cdf3e7e548"),
  immutable_target = kad.unhex("e5f96f6f38320f0f33959cb4d3d656452117aadb"),
  plain = {
    target = kad.unhex("4a533d47ec9c7d95b1ad75f576cffc641853b750"),
    signature = kad.unhex("305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5"
      .. "d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e"
      .. "6f4f3ecbfda0ce53a1608ecd7ae21f01"),
  },
  salted = {
    salt = "foobar",
    target = kad.unhex("411eba73b6f087ca51a3795d9c8c938d365e32c1"),
    signature = kad.unhex("6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b"
      .. "8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896"
      .. "fca78c58f8e03b5f18f14951a87d9a08"),
  },
}

local PAIR <const> = kad.keypair(("s"):rep(32))
local NOTHING <const> = ("x"):rep(20)

-- Returns a spec with an overlay in virtual time; `fn` runs as a task with two
-- of its nodes.
local function in_overlay(fn, options)
  options = options or {}
  return sim_support.with_sim({ nodes = 24, seed = 44,
    config = options.config, policies = options.policies }, function(net)
      net:perform(fn, net.nodes[1], net.nodes[9], net)
    end)
end

-- Passes if a call returned nil and this code; returns message and details.
local function assert_fails(code, result, message, got, details)
  assert.is_nil(result)
  assert.equal(code, got)
  return message, details
end

describe("targets of items", function()
  it("are those of BEP 44 \"Test vectors\"", function()
    assert.equal(VECTOR.immutable_target, kad.immutable_target(VECTOR.value))
    assert.equal(VECTOR.immutable_target,
      kad.immutable_target("12:Hello World!", { raw = true }))
    assert.equal(VECTOR.plain.target, kad.mutable_target(VECTOR.publisher))
    assert.equal(VECTOR.plain.target, kad.mutable_target(VECTOR.publisher, ""))
    assert.equal(VECTOR.salted.target,
      kad.mutable_target(VECTOR.publisher, VECTOR.salted.salt))
  end)

  it("are those of any value that bencode has", function()
    for value, bytes in pairs({ [7] = "i7e", [""] = "0:",
      [{ "a", { b = -1 } }] = "l1:ad1:bi-1eee" }) do
      assert.equal(kad.immutable_target(bytes, { raw = true }),
        kad.immutable_target(value))
    end
  end)

  it("refuse values that no item can have", function()
    local message = assert_fails("KAD_ETOOBIG",
      kad.immutable_target(("x"):rep(997)))
    assert.matches("has 1001 bytes, and can have 1000", message, 1, true)
    assert.is_string(kad.immutable_target(("x"):rep(996)))
    local deep = {}
    for _ = 1, 14 do
      deep = { deep }
    end
    assert_fails("KAD_EMALFORMED", kad.immutable_target(deep))
    assert.is_string(kad.immutable_target(deep[1]))
    for _, bytes in ipairs({ "", "i01e", "i-0e", "d1:bi1e1:ai1ee", "1:ab", "x",
      "le1:a" }) do
      assert_fails("KAD_EMALFORMED",
        kad.immutable_target(bytes, { raw = true }))
    end
  end)

  it("blame the caller for mistakes", function()
    assert_blames_caller("value: ", function()
      kad.immutable_target(1.5)
    end)
    assert_blames_caller("value must be a string", function()
      kad.immutable_target(1, { raw = true })
    end)
    assert_blames_caller("publisher must have 32 bytes, not 3", function()
      kad.mutable_target("abc")
    end)
    assert_blames_caller("salt must have at most 64 bytes, not 65", function()
      kad.mutable_target(PAIR.publisher, ("x"):rep(65))
    end)
    assert_blames_caller("salt must be a string", function()
      kad.mutable_target(PAIR.publisher, 1)
    end)
  end)
end)

describe("items of a node without contacts", function()
  it("are stored at the node", spec(function()
    kad.run(function()
      local node = assert(kad.node(support.local_node()))
      local target, put = node:put_immutable("x")
      assert.equal(1, put.stored)
      assert.equal("x", (node:get_immutable(target)))
      for seq = 1, 2 do
        local _, info = node:put_mutable({ key = PAIR, value = seq })
        assert.same({ 1, seq }, { info.stored, info.seq })
        assert.equal(seq, (node:get_mutable(PAIR.publisher)))
      end
    end, { timeout = 20 })
  end))
end)

describe("immutable items", function()
  it("are found by another node, whatever the value", in_overlay(
    function(a, b)
      for _, value in ipairs({ "text", "", 0, math.mininteger, { 1, "b", {} },
        { name = "kadenza", list = { 1, 2 }, ["\0\255"] = "\0" } }) do
        local target, put = a:put_immutable(value)
        assert.equal(kad.immutable_target(value), target)
        assert.equal(8, put.stored)
        local found, info = b:get_immutable(target)
        assert.same(value, found)
        assert.equal("immutable", info.type)
        assert.equal(target, info.key)
        assert.equal(target, info.target)
      end
    end))

  it("have bencoded bytes with raw", in_overlay(function(a, b)
    local target = assert(a:put_immutable("d1:ai1ee", { raw = true }))
    assert.equal("d1:ai1ee", (b:get_immutable(target, { raw = true })))
    assert.same({ a = 1 }, (b:get_immutable(target)))
    assert_fails("KAD_EMALFORMED", a:put_immutable("d1:a", { raw = true }))
  end))

  it("that are too large fail", in_overlay(function(a)
    local message = assert_fails("KAD_ETOOBIG", a:put_immutable(("x"):rep(997)))
    assert.matches("has 1001 bytes, and can have 1000", message, 1, true)
  end))

  it("that no node has are not found", in_overlay(function(a)
    local _, details =
      assert_fails("KAD_ENOTFOUND", a:get_immutable(NOTHING))
    assert.is_true(details.messages > 0)
  end))

  it("stay alive with publish until unpublish", in_overlay(
    function(a, b, net)
      local target = assert(a:put_immutable("kept", { publish = true }))
      assert.equal("immutable", a:publications()[1].type)
      kad.sleep(100000)
      assert.equal("kept", (b:get_immutable(target)))
      assert(a:unpublish(target, { type = "immutable" }))
      assert.same({}, a:publications())
      kad.sleep(200000)
      assert_fails("KAD_ENOTFOUND", net.nodes[3]:get_immutable(target))
    end))

  it("work with callbacks, on sockets", with_pair(function(a, b, t)
    local arrived = {}
    a:put_immutable({ 1 }, t.expect(1, function(target, put)
      assert.is_table(put)
      b:get_immutable(target, { raw = true }, t.expect(1, function(value, info)
        arrived.value, arrived.info = value, info
      end))
    end))
    while not arrived.value do
      kad.sleep(0.01)
    end
    assert.equal("li1ee", arrived.value)
    assert.equal("immutable", arrived.info.type)
  end))

  it("pass failures to callbacks", with_pair(function(a, _, t)
    local code
    a:put_immutable(("x"):rep(1000), t.expect(1, function(_, _, got)
      code = got
    end))
    while not code do
      kad.sleep(0.01)
    end
    assert.equal("KAD_ETOOBIG", code)
  end))
end)

describe("mutable items", function()
  it("of BEP 44 \"Test vectors\" are accepted and found", in_overlay(
    function(a, b)
      for _, vector in ipairs({ VECTOR.plain, VECTOR.salted }) do
        local target = assert(a:put_mutable({
          publisher = VECTOR.publisher,
          signature = vector.signature,
          salt = vector.salt,
          seq = 1,
          value = VECTOR.value,
        }))
        assert.equal(vector.target, target)
        local value, info =
          b:get_mutable(VECTOR.publisher, { salt = vector.salt })
        assert.equal(VECTOR.value, value)
        assert.equal(1, info.seq)
        assert.equal(vector.signature, info.signature)
        assert.equal(VECTOR.publisher, info.publisher)
        assert.equal(vector.salt, info.salt)
        assert.equal(vector.target, info.target)
      end
    end))

  it("count their versions", in_overlay(function(a, b)
    for seq, value in ipairs({ "one", 2, { "three" } }) do
      local target, info = a:put_mutable({ key = PAIR, value = value })
      assert.equal(kad.mutable_target(PAIR.publisher), target)
      assert.equal(seq, info.seq)
      local found, got = b:get_mutable(PAIR.publisher)
      assert.same(value, found)
      assert.equal(seq, got.seq)
    end
    local _, info = b:put_mutable({ key = PAIR.secret, value = "four" })
    assert.equal(4, info.seq)
  end))

  it("of one key are distinguished by their salts", in_overlay(function(a, b)
    for _, salt in ipairs({ "", "a", "b" }) do
      local _, info = a:put_mutable({ key = PAIR, value = "of " .. salt,
        salt = salt })
      assert.equal(1, info.seq)
    end
    for _, salt in ipairs({ "", "a", "b" }) do
      assert.equal("of " .. salt,
        (b:get_mutable(PAIR.publisher, { salt = salt })))
    end
    assert_fails("KAD_ENOTFOUND", b:get_mutable(PAIR.publisher, { salt = "c" }))
  end))

  it("are put again by who has found them", in_overlay(function(a, b, net)
    assert(a:put_mutable({ key = PAIR, value = { 1 }, salt = "s", seq = 5 }))
    local value, info = b:get_mutable(PAIR.publisher, { salt = "s" })
    info = assert(select(2, net.nodes[4]:put_mutable({ value = value,
      salt = info.salt, seq = info.seq, publisher = info.publisher,
      signature = info.signature })))
    assert.equal(8, info.stored)
    assert_fails("KAD_ESIGNATURE", b:put_mutable({ value = "forged",
      salt = "s", seq = 5, publisher = info.publisher,
      signature = info.signature }))
  end))

  -- BEP 44 "CAS".
  it("with another cas fail, and say the current seq", in_overlay(
    function(a, b)
      assert(a:put_mutable({ key = PAIR, value = "x", seq = 7 }))
      local message, details = assert_fails("KAD_ECAS", b:put_mutable({
        key = PAIR, value = "y", seq = 8, cas = 6 }))
      assert.matches("its sequence number is 7, not 6", message, 1, true)
      assert.equal(7, details.seq)
      assert_fails("KAD_ECAS",
        b:put_mutable({ key = PAIR, value = "y", cas = 6 }))
      assert.equal("x", (a:get_mutable(PAIR.publisher)))

      local _, info = b:put_mutable({ key = PAIR, value = "y", cas = 7 })
      assert.equal(8, info.seq)
      assert.equal("y", (a:get_mutable(PAIR.publisher)))
    end))

  it("that are not newer fail, and say the current seq", in_overlay(
    function(a, b)
      assert(a:put_mutable({ key = PAIR, value = "x", seq = 7 }))
      for _, seq in ipairs({ 3, 7 }) do
        local message, details = assert_fails("KAD_ESEQ",
          b:put_mutable({ key = PAIR, value = "y", seq = seq }))
        assert.matches(("its sequence number is 7, and %d is not higher")
          :format(seq), message, 1, true)
        assert.equal(7, details.seq)
      end
      assert.equal("x", (a:get_mutable(PAIR.publisher)))
    end))

  it("of two writers at a time lose no update", in_overlay(function(a, b)
    assert(a:put_mutable({ key = PAIR, value = { "begin" } }))
    -- Adds a name to the list in the item, as often as it takes.
    local function add(node, name)
      for _ = 1, 50 do
        local list, info = node:get_mutable(PAIR.publisher)
        table.insert(list, name)
        local target, _, code = node:put_mutable({ key = PAIR, value = list,
          cas = info.seq })
        if target then
          return
        end
        assert.equal("KAD_ECAS", code)
        kad.sleep(kad.random(1):byte() / 100)
      end
      error("never stored")
    end
    kad.all({
      kad.spawn(add, a, "a"),
      kad.spawn(add, b, "b"),
    })
    local list = a:get_mutable(PAIR.publisher)
    table.sort(list)
    assert.same({ "a", "b", "begin" }, list)
  end))

  it("can be looked for above a sequence number", in_overlay(function(a, b)
    assert(a:put_mutable({ key = PAIR, value = "x", seq = 7 }))
    assert.equal("x", (b:get_mutable(PAIR.publisher, { seq = 6 })))
    assert_fails("KAD_ENOTFOUND", b:get_mutable(PAIR.publisher, { seq = 7 }))
  end))

  it("end with the highest sequence number", in_overlay(function(a, b)
    assert(a:put_mutable({ key = PAIR, value = 1, seq = math.maxinteger }))
    assert.equal(math.maxinteger,
      select(2, b:get_mutable(PAIR.publisher)).seq)
    assert_fails("KAD_ESEQ", b:put_mutable({ key = PAIR, value = 2 }))
  end))

  it("that are published are replaced by the next version", in_overlay(
    function(a, b)
      for value = 1, 2 do
        assert(a:put_mutable({ key = PAIR, value = value, publish = true }))
      end
      assert.equal(1, #a:publications())
      kad.sleep(100000)
      local value, info = b:get_mutable(PAIR.publisher)
      assert.same({ 2, 2 }, { value, info.seq })
    end))

  it("work with callbacks, on sockets", with_pair(function(a, b, t)
    local arrived = {}
    a:put_mutable({ key = PAIR, value = "v", salt = "s" },
      t.expect(1, function(target, put)
        arrived.target, arrived.put = target, put
        b:get_mutable(PAIR.publisher, { salt = "s" },
          t.expect(1, function(value, info)
            arrived.value, arrived.info = value, info
          end))
      end))
    while not arrived.value do
      kad.sleep(0.01)
    end
    assert.equal("v", arrived.value)
    assert.equal(1, arrived.put.seq)
    assert.equal(arrived.put.signature, arrived.info.signature)
    assert.equal(kad.mutable_target(PAIR.publisher, "s"), arrived.target)
  end))

  it("are records of the type mutable, too", in_overlay(function(a, b)
    local target = kad.mutable_target(PAIR.publisher, "s")
    local options = { type = "mutable", secret = PAIR.secret, salt = "s",
      seq = 4 }
    assert(a:put(target, "i1e", options))
    local value, info = b:get_mutable(PAIR.publisher, { salt = "s" })
    assert.same({ 1, 4 }, { value, info.seq })
    for _, wrong in ipairs({ { value = "no bencode", seq = 5 },
      { value = "i1e", seq = -1 }, { value = "i1e" } }) do
      options.seq = wrong.seq
      assert.is_nil((a:put(target, wrong.value, options)))
    end
  end))

  it("blame the caller for mistakes", in_overlay(function(a)
    for text, options in pairs({
      ["option 'value' is missing: what to store"] = { key = PAIR },
      ["option 'key' is missing: the secret key"] = { value = 1 },
      ["option 'key' must be a secret key of 64 bytes, or a key pair"] =
        { value = 1, key = "short" },
      ["option 'key' makes the signature"] =
        { value = 1, key = PAIR, publisher = PAIR.publisher },
      ["option 'seq' is missing: the signature covers it"] = { value = 1,
        publisher = PAIR.publisher, signature = ("x"):rep(64) },
      ["option 'seq' must be in 0 to"] = { value = 1, key = PAIR, seq = -1 },
      ["option 'cas' must be an integer"] =
        { value = 1, key = PAIR, cas = "1" },
      ["option 'salt' must have 0 to 64 bytes"] =
        { value = 1, key = PAIR, salt = ("x"):rep(65) },
      ["unknown option 'type'"] = { value = 1, key = PAIR, type = "value" },
      ["value"] = { value = 1.5, key = PAIR },
    }) do
      assert_blames_caller(text, function()
        a:put_mutable(options)
      end)
    end
    assert_blames_caller("publisher must have 32 bytes, not 20", function()
      a:get_mutable(a:id())
    end)
    assert_blames_caller("target must have 20 bytes, not 32", function()
      a:get_immutable(PAIR.publisher)
    end)
    assert_blames_caller("unknown option 'salt'", function()
      a:put_immutable("x", { salt = "s" })
    end)
  end))
end)

describe("items in an overlay with ids of 256 bits", function()
  it("are a mistake of the caller", in_overlay(function(a)
    for _, call in ipairs({
      function() a:put_immutable("x") end,
      function() a:get_immutable(("x"):rep(20)) end,
      function() a:put_mutable({ key = PAIR, value = "x" }) end,
      function() a:get_mutable(PAIR.publisher) end,
    }) do
      assert_blames_caller("items need an overlay with ids of 160 bits, and "
        .. "this one has 256", call)
    end
  end, { config = { id_bits = 256 } }))
end)

describe("policies for items", function()
  local function make_policy()
    local seen = {}
    return seen, { name = "items", types = {
      immutable = {
        validate = function(record)
          seen[#seen + 1] = record.value
          return record.value ~= "3:bad" or nil, "no such words"
        end,
        expire = function() return 600 end,
      },
      mutable = {
        validate = function(record)
          seen[#seen + 1] = kad.hex(record.publisher)
          return record.salt ~= "bad" or nil, "no such salts"
        end,
        expire = function(record)
          return record.salt == "long" and 7000 or 600
        end,
      },
    } }
  end

  it("decide after the checks of the core", spec(function()
    local seen, policy = make_policy()
    in_overlay(function(a, b)
      assert(a:put_immutable("good"))
      local message, details = assert_fails("KAD_EREFUSED",
        a:put_immutable("bad"))
      assert.matches("no such words", message, 1, true)
      assert.equal(201, details.krpc)
      assert(a:put_mutable({ key = PAIR, value = 1, salt = "long" }))
      assert_fails("KAD_EREFUSED",
        a:put_mutable({ key = PAIR, value = 1, salt = "bad" }))
      local before = #seen
      assert_fails("KAD_ESIGNATURE", a:put_mutable({ value = 1, seq = 1,
        publisher = PAIR.publisher, signature = ("x"):rep(64) }))
      assert.equal(before, #seen)

      kad.sleep(1000)
      assert_fails("KAD_ENOTFOUND",
        b:get_immutable(kad.immutable_target("good")))
      assert.equal(1, (b:get_mutable(PAIR.publisher, { salt = "long" })))
    end, { policies = { policy } })()
  end))

  local odd = { name = "odd", types = { immutable = {
    select = function() return { value = "no bencode" } end,
  } } }

  it("may return values that only raw shows", in_overlay(function(a, b)
    local target = assert(a:put_immutable("good"))
    assert.equal("no bencode", (b:get_immutable(target, { raw = true })))
    local message, details =
      assert_fails("KAD_EMALFORMED", b:get_immutable(target))
    assert.matches("raw = true", message, 1, true)
    assert.equal("no bencode", details.records[1].value)
  end, { policies = { odd } }))

  it("put and get items themselves, in their sandbox", support.with_folder(
    function(folder)
      local path = folder .. "/feed.lua"
      local file <close> = assert(io.open(path, "wb"))
      file:write([[
local kad = require("kadenza")
local pair = kad.keypair(("f"):rep(32))
return { name = "feed", rpc = { post = function(request, ctx)
  local target = assert(ctx.node:put_immutable(request.args.text))
  assert(target == kad.immutable_target(request.args.text))
  local _, info = ctx.node:put_mutable { key = pair, value = target }
  return { seq = info.seq, publisher = pair.publisher,
    found = ctx.node:get_immutable(target) }
end } }]])
      file:close()
      in_overlay(function(a, b, net)
        for seq, text in ipairs({ "one", "two" }) do
          local reply = assert(a:call(b:addresses()[1], "post",
            { text = text }))
          assert.same({ seq, text }, { reply.seq, reply.found })
          local target = assert(net.nodes[5]:get_mutable(reply.publisher))
          assert.equal(text, (a:get_immutable(target)))
        end
      end, { policies = { path } })()
    end))
end)
