local kad = require("kadenza")
local policies = require("tests.spec.support.policy")
local signed = require("kadenza.signed")
local support = require("tests.spec.support")

local timed = support.timed

local seed = tonumber(os.getenv("SEED")) or os.time()
local KEY <const> = kad.key("somewhere")

local function pair_of(letter)
  return kad.keypair(letter:rep(32))
end

local ann, bob, eve = pair_of("a"), pair_of("b"), pair_of("e")

-- Makes a record as hooks get it: with a verified signature.
local function by(pair, seq, value, more)
  local record = { key = KEY, type = "note", publisher = pair.publisher,
    seq = seq, value = value or "x", ttl = 0 }
  for name, part in pairs(more or {}) do
    record[name] = part
  end
  return record
end

local function refusal(reason, code)
  return { nil, reason, code or 201 }
end

describe("kadenza.signed", function()
  describe("accepts records of", function()
    it("one publisher", function()
      local note = signed.type({ by = ann.publisher })

      assert.is_true(note.signed_only)
      assert.equal(1, note.max_values)
      assert.is_true(note.validate(by(ann, 1)))
      assert.same(refusal("this publisher may not write here"),
        { note.validate(by(bob, 1)) })
    end)

    it("several publishers", function()
      local note = signed.type({ by = { ann.publisher, bob.publisher } })

      assert.is_true(note.validate(by(ann, 1)))
      assert.is_true(note.validate(by(bob, 1)))
      assert.is_nil((note.validate(by(eve, 1))))
      assert.same({ by(bob, 2) }, note.merge({ by(ann, 1) }, by(bob, 2)))
    end)

    it("the first publisher", function()
      local note = signed.type({ by = "first" })
      local held = note.merge({}, by(ann, 1))

      assert.same({ by(ann, 1) }, held)
      assert.same(refusal("the key belongs to another publisher"),
        { note.merge(held, by(bob, 99)) })
      assert.same({ by(ann, 2) }, note.merge(held, by(ann, 2)))
    end)

    it("the publisher that the key is named after", function()
      local note = signed.type({ by = "self" })

      assert.is_true(note.validate(
        by(ann, 1, "x", { key = signed.key(ann.publisher) })))
      assert.is_true(note.validate(by(ann, 1, "x",
        { key = signed.key(ann.publisher, "two"), salt = "two" })))
      assert.is_true(note.validate(by(ann, 1, "x",
        { key = signed.key(ann.publisher, nil, 256) })))
      for _, record in ipairs({ by(ann, 1),
        by(bob, 1, "x", { key = signed.key(ann.publisher) }),
        by(ann, 1, "x", { key = signed.key(ann.publisher), salt = "two" }) })
      do
        assert.same(refusal("the key is named after another publisher"),
          { note.validate(record) })
      end
    end)

    it("every publisher, up to a number", function()
      local note = signed.type({ by = "anyone", max_values = 2 })
      local held = note.merge({}, by(ann, 1))
      held = note.merge(held, by(bob, 5))
      held = note.merge(held, by(ann, 2))

      assert.equal(2, note.max_values)
      assert.same({ by(ann, 2), by(bob, 5) }, held)
      assert.same(refusal("there are too many writers"),
        { note.merge(held, by(eve, 9)) })
    end)
  end)

  describe("requires", function()
    local note = signed.type({ by = ann.publisher,
      check = function(value)
        return value ~= "bad" or nil, "no bad words", 222
      end })

    it("a sequence number", function()
      for _, seq in ipairs({ -1, (1 << 53) + 1, math.mininteger, false }) do
        assert.same(refusal("a sequence number of 0 to 2^53 is required"),
          { note.validate(by(ann, seq or nil)) })
      end
      assert.is_true(note.validate(by(ann, 0)))
      assert.is_true(note.validate(by(ann, 1 << 53)))
    end)

    it("no salt where it has no meaning", function()
      assert.same(refusal("a salt has no meaning here"),
        { note.validate(by(ann, 1, "x", { salt = "s" })) })
    end)

    it("the check of the policy", function()
      assert.is_true(note.validate(by(ann, 1, "good")))
      assert.same(refusal("no bad words", 222),
        { note.validate(by(ann, 1, "bad")) })
    end)

    it("a rising number", function()
      local held = { by(ann, 5, "m") }

      assert.same(refusal("a change needs a higher seq than 5", 302),
        { note.merge(held, by(ann, 4, "z")) })
      assert.same({ by(ann, 5, "m") }, note.merge(held, by(ann, 5, "m")))
      assert.same({ by(ann, 6, "a") }, note.merge(held, by(ann, 6, "a")))
    end)
  end)

  it("prefers the same record everywhere, in any order (seed " .. seed .. ")",
    function()
      math.randomseed(seed)
      local note = signed.type({ by = { ann.publisher, bob.publisher } })
      for _ = 1, 500 do
        local records, results = {}, {}
        for i = 1, math.random(2, 6) do
          records[i] = by(math.random() < 0.5 and ann or bob, math.random(3),
            ("xyz"):sub(math.random(3), 3))
        end
        for round = 1, 4 do
          local held = {}
          for i = #records, 2, -1 do
            local j = math.random(i)
            records[i], records[j] = records[j], records[i]
          end
          for _, record in ipairs(records) do
            held = note.merge(held, record) or held
          end
          results[round] = held[1].seq .. held[1].value .. held[1].publisher
          assert.equal(results[1], results[round], "seed " .. seed)
        end
      end
    end)

  describe("delegates", function()
    local note = signed.type({ by = ann.publisher, delegates = true,
      ttl = 3600 })

    local function written_by(pair, certificate, seq, value, more)
      return by(pair, seq or 1, signed.wrap(certificate, value or "hello"),
        more)
    end

    local function delegation(more)
      local given = { to = bob.publisher, seconds = 60 }
      for name, value in pairs(more or {}) do
        given[name] = value
      end
      return signed.delegate(ann.secret, given)
    end

    it("to another key, until the delegation ends", timed(function()
      local record = written_by(bob, delegation())

      assert.is_true(note.validate(record))
      assert.is_nil((note.validate(by(bob, 1, "hello"))))
      kad.sleep(59)
      assert.is_true(note.validate(record))
      kad.sleep(1)
      assert.same(refusal("the delegation has expired"),
        { note.validate(record) })
    end))

    it("not without the option delegates", timed(function()
      local strict = signed.type({ by = ann.publisher })

      assert.same(refusal("this publisher may not write here"),
        { strict.validate(written_by(bob, delegation())) })
    end))

    it("to no key but the one named", timed(function()
      assert.same(refusal("the delegation is not signed by its owner"),
        { note.validate(written_by(eve, delegation())) })
    end))

    it("only by a publisher that may write", timed(function()
      local mine = signed.delegate(eve.secret,
        { to = bob.publisher, seconds = 60 })

      assert.same(refusal("this publisher may not write here"),
        { note.validate(written_by(bob, mine)) })
    end))

    it("for one type", timed(function()
      assert.is_true(note.validate(written_by(bob,
        delegation({ type = "note" }))))
      assert.same(refusal("the delegation is for another type"),
        { note.validate(written_by(bob, delegation({ type = "other" }))) })
    end))

    it("for one key", timed(function()
      assert.is_true(note.validate(written_by(bob, delegation({ key = KEY }))))
      assert.same(refusal("the delegation is for another key"),
        { note.validate(written_by(bob,
          delegation({ key = kad.key("elsewhere") }))) })
    end))

    it("not again by a delegate", timed(function()
      local further = signed.delegate(bob.secret,
        { to = eve.publisher, seconds = 60 })
      local inside = signed.wrap(delegation(), signed.wrap(further, "x"))

      assert.is_nil((note.validate(by(eve, 1, inside))))
      assert.is_nil((note.validate(written_by(eve, further))))
    end))

    it("nothing if any part of the certificate is changed",
      timed(function()
        math.randomseed(seed)
        local certificate =
          kad.bencode.decode(delegation({ type = "note", key = KEY }))
        local function with(name, value)
          local changed = {}
          for key, part in pairs(certificate) do
            changed[key] = part
          end
          changed[name] = value
          return kad.bencode.encode({ c = changed, v = "hello" })
        end
        assert.is_true(note.validate(by(bob, 1, with("e", certificate.e))))
        for name, value in pairs({ e = certificate.e + 1, t = false,
          k = false, o = bob.publisher, s = ("s"):rep(64), x = 1 })
        do
          assert.is_nil((note.validate(by(bob, 1,
            with(name, value or nil)))), name)
        end
        assert.is_nil((note.validate(by(bob, 1, with("e")))))
        assert.is_nil((note.validate(by(bob, 1, with("e", "1")))))
        local value = with("e", certificate.e)
        for _ = 1, 300 do
          local at = math.random(#value - #"1:v5:helloe")
          local byte = (value:byte(at) + math.random(255)) % 256
          assert.is_nil((note.validate(by(bob, 1, value:sub(1, at - 1)
            .. string.char(byte) .. value:sub(at + 1)))), "seed " .. seed)
        end
      end))

    it("and accepts no garbage as a certificate", timed(function()
      for _, value in ipairs({ "", "de", "le", "i1e", "d1:ci1e1:v0:e",
        "d1:cde1:v0:e", "d1:cle1:v0:e", "d1:c0:1:v0:e",
        kad.bencode.encode({ c = { e = 1, o = 1, s = 1 }, v = "x" }),
        kad.bencode.encode({ c = { "e", "o", "s" }, v = "x" }),
        kad.bencode.encode({ c = kad.bencode.decode(delegation()), v = {} }),
        kad.bencode.encode({ c = kad.bencode.decode(delegation()) }),
        kad.bencode.encode({ c = kad.bencode.decode(delegation()), v = "x",
          w = "y" }) })
      do
        assert.is_nil((note.validate(by(bob, 1, value))), value)
        assert.is_true(note.validate(by(ann, 1, value)))
      end
    end))

    it("values that a reader gets with the owner's name", timed(function()
      local held = note.merge({ by(ann, 1, "mine") },
        written_by(bob, delegation(), 2, "deputy's"))

      assert.same({ { value = "deputy's", publisher = ann.publisher,
        seq = 2 } }, note.select(held))
    end))

    it("values that are checked without the certificate", timed(function()
      local seen
      local checked = signed.type({ by = ann.publisher, delegates = true,
        check = function(value)
          seen = value
          return true
        end })

      assert.is_true(checked.validate(written_by(bob, delegation())))
      assert.equal("hello", seen)
    end))

    it("no longer than the delegation lasts", timed(function()
      local record = written_by(bob, delegation())

      assert.equal(60, note.expire(record))
      kad.sleep(50)
      assert.equal(10, note.expire(record))
      assert.equal(3600, note.expire(by(ann, 1)))
      assert.equal(30, note.expire(by(ann, 1, "x", { ttl = 30 })))
      assert.equal(3600, note.expire(by(ann, 1, "x", { ttl = 9999 })))
    end))

    it("with the rules first and anyone", timed(function()
      local first = signed.type({ by = "first", delegates = true })
      local held = first.merge({}, by(ann, 1, "mine"))
      assert.equal(2,
        first.merge(held, written_by(bob, delegation(), 2))[1].seq)
      assert.same(refusal("the key belongs to another publisher"),
        { first.merge(held, by(bob, 3, "bob's own")) })

      local each = signed.type({ by = "anyone", delegates = true })
      local all = each.merge({}, by(ann, 1, "mine"))
      all = each.merge(all, by(bob, 1, "bob's own"))
      all = each.merge(all, written_by(bob, delegation(), 2, "for ann"))
      assert.same({
        { value = "for ann", publisher = ann.publisher, seq = 2 },
        { value = "bob's own", publisher = bob.publisher, seq = 1 },
      }, each.select(all))
    end))

    it("a key that is named after the owner", timed(function()
      local own = signed.type({ by = "self", delegates = true })
      local key = signed.key(ann.publisher)

      assert.is_true(own.validate(written_by(bob, delegation(), 1, "x",
        { key = key })))
      assert.is_nil((own.validate(written_by(bob, delegation(), 1, "x",
        { key = signed.key(bob.publisher, "x") }))))
    end))
  end)

  it("signs no certificate that is a valid record", timed(function()
    local certificate = kad.bencode.decode(signed.delegate(ann.secret,
      { to = bob.publisher, seconds = 60 }))
    certificate.d = bob.publisher
    local signature = certificate.s
    certificate.s = nil

    assert.is_true(kad.verify(ann.publisher,
      "kadenza.signed:" .. kad.bencode.encode(certificate), signature))
    assert.is_false(kad.verify(ann.publisher,
      kad.bencode.encode(certificate), signature))
  end))

  describe("blames its caller for", function()
    local mistakes = {
      ["option 'by' is missing"] = {},
      ["option 'by' must be 'first', 'self'"] = { by = "last" },
      ["option 'by' must have 1 to 64 public keys"] = { by = {} },
      ["option 'by' must be 'first'"] = { by = { ("x"):rep(31) } },
      ["unknown option 'buy'"] = { buy = 1 },
      ["option 'ttl' must be in"] = { by = "first", ttl = 0 },
    }
    for text, given in pairs(mistakes) do
      it("a type: " .. text, function()
        support.assert_blames_caller(text, function()
          local _ = signed.type(given)
        end)
      end)
    end

    local wrong = {
      ["a secret has 64 bytes"] = { ("s"):rep(32), { to = bob.publisher } },
      ["option 'to' is missing: the public key"] =
        { ann.secret, { seconds = 1 } },
      ["option 'to' must have 32 bytes"] =
        { ann.secret, { to = "x", seconds = 1 } },
      ["option 'seconds' is missing"] = { ann.secret, { to = bob.publisher } },
      ["option 'seconds' must be in"] =
        { ann.secret, { to = bob.publisher, seconds = 0 } },
      ["option 'key' must have 20 or 32"] =
        { ann.secret, { to = bob.publisher, seconds = 1, key = "k" } },
    }
    for text, given in pairs(wrong) do
      it("a delegation: " .. text, function()
        support.assert_blames_caller(text, function()
          local _ = signed.delegate(given[1], given[2])
        end)
      end)
    end

    it("a wrong certificate", function()
      support.assert_blames_caller("this is not a certificate", function()
        local _ = signed.wrap("d1:ei1ee", "x")
      end)
      support.assert_blames_caller("value must be a string", function()
        local _ = signed.wrap(kad.bencode.encode({ e = 1, o = ("o"):rep(32),
          s = ("s"):rep(64) }))
      end)
    end)

    it("a put without its required options", function()
      for text, given in pairs({
        ["option 'type' is missing"] = { secret = ann.secret },
        ["option 'secret' is missing"] = { type = "note" },
        ["option 'secret' must have"] = { type = "note", secret = "s" },
      }) do
        support.assert_blames_caller(text, function()
          local _ = signed.put({}, KEY, "x", given)
        end)
      end
    end)
  end)

  it("works in an overlay: owner, deputy, others", support.spec(function()
    local net <close> = kad.sim({ nodes = 12, seed = 3, policies = { { types = {
      notice = signed.type({ by = ann.publisher, delegates = true,
        ttl = 86400 }),
    } } } })
    net:perform(function()
      local function put(i, value, pair, certificate)
        return signed.put(net.nodes[i], KEY, value, { type = "notice",
          secret = pair.secret, certificate = certificate })
      end
      local function read(i)
        local value, info = net.nodes[i]:get(KEY, { type = "notice" })
        return value, type(info) == "table" and info.publisher
      end
      assert(put(2, "open", ann))
      assert(put(2, "still open", ann))
      assert.equal("still open", read(9))

      local _, message = put(3, "bob's", bob)
      assert.matches("may not write here", message)
      local certificate = signed.delegate(ann.secret,
        { to = bob.publisher, seconds = 7200, type = "notice" })
      assert(put(3, "closed", bob, certificate))
      local value, owner = read(9)
      assert.equal("closed", value)
      assert.equal(ann.publisher, owner)

      assert.is_nil((net.nodes[4]:put(KEY, "old", { type = "notice",
        secret = ann.secret, seq = 1 })))
      kad.sleep(7300)
      assert.is_nil((read(9)))
      assert.is_nil((put(3, "closed again", bob, certificate)))
      assert(put(2, "open again", ann))
      assert.equal("open again", read(5))
    end)
  end))

  it("knows keys named after publishers, of 256 bits, in the sandbox",
    policies.with([[
      local signed = require("kadenza.signed")
      return {
        types = { note = signed.type({ by = "self", delegates = true }) },
      }
    ]], function(world)
      local key = signed.key(ann.publisher, nil, 256)
      local function put(pair, certificate)
        return signed.put(world.other, key, "x", { type = "note",
          secret = pair.secret, certificate = certificate })
      end

      assert.equal(2, assert(put(ann)).stored)
      assert.matches("named after another", (select(2, put(bob))))
      assert.equal(2, assert(put(bob, signed.delegate(ann.secret,
        { to = bob.publisher, seconds = 60, key = key }))).stored)
    end, { id_bits = 256 }))

  it("accepts records of every publisher in an overlay", support.spec(function()
    local net <close> = kad.sim({ nodes = 12, seed = 3, policies = { { types = {
      seat = signed.type({ by = "anyone", max_values = 3, delegates = true }),
    } } } })
    net:perform(function()
      local function put(i, value, pair)
        return signed.put(net.nodes[i], KEY, value,
          { type = "seat", secret = pair.secret })
      end
      assert(put(1, "ann sits", ann))
      assert(put(2, "bob sits", bob))
      assert(put(3, "ann stands", ann))
      local values = {}
      for _, record in ipairs(net.nodes[9]:get(KEY,
        { type = "seat", all = true }))
      do
        values[#values + 1] = record.value
      end
      table.sort(values)
      assert.same({ "ann stands", "bob sits" }, values)
    end)
  end))

  it("serves a policy in the sandbox", policies.with(([[
    local kad = require("kadenza")
    local signed = require("kadenza.signed")
    return {
      types = {
        note = signed.type({ by = kad.unhex("%s"), delegates = true }),
      },
    }
  ]]):format(kad.hex(ann.publisher)), function(world)
    local function put(pair, certificate)
      return signed.put(world.other, KEY, "x", { type = "note",
        secret = pair.secret, certificate = certificate })
    end
    local certificate = signed.delegate(ann.secret,
      { to = bob.publisher, seconds = 60 })

    assert.equal(2, assert(put(ann)).stored)
    assert.equal(2, assert(put(bob, certificate)).stored)
    assert.matches("may not write here", (select(2, put(eve))))
  end))
end)
