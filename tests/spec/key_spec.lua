local kad = require("kadenza")
local support = require("tests.spec.support")

local spec = support.spec

describe("kadenza.key", function()
  it("hashes a name to 20 bytes, or 32", spec(function()
    assert.equal(20, #kad.key("visits"))
    assert.equal(32, #kad.key("visits", 256))
    assert.equal(kad.key("visits"), kad.key("visits"))
    assert.not_equal(kad.key("visits"), kad.key("visit"))
  end))

  it("hashes with BLAKE2b", spec(function()
    -- RFC 7693, appendix A gives BLAKE2b-512 of "abc"; this is BLAKE2b-256
    assert.equal(
      "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319",
      kad.hex(kad.key("abc", 256)))
  end))

  it("raises for other widths", spec(function()
    assert.error_matches(function()
      kad.key("visits", 128)
    end, "160 or 256")
  end))

  it("writes and reads hexadecimal", spec(function()
    local all = {}
    for byte = 0, 255 do
      all[#all + 1] = string.char(byte)
    end
    local bytes = table.concat(all)

    assert.equal("00ff10", kad.hex("\0\255\16"))
    assert.equal(bytes, kad.unhex(kad.hex(bytes)))
    assert.equal(bytes, kad.unhex(kad.hex(bytes):upper()))
    assert.equal("", kad.unhex(""))
  end))

  for _, text in ipairs({ "0", "0g", "zz", "0\0", "é" }) do
    it(string.format("does not read %q", text), spec(function()
      local bytes, message, code = kad.unhex(text)

      assert.is_nil(bytes)
      assert.matches("hexadecimal", message)
      assert.equal("KAD_EINVAL", code)
    end))
  end

  it("measures distance by XOR", spec(function()
    local a, b = ("\0"):rep(20), ("\0"):rep(19) .. "\1"
    local distance, prefix = kad.distance(a, b)

    assert.equal(b, distance)
    assert.equal(159, prefix)
    assert.equal(160, select(2, kad.distance(a, a)))
    assert.equal(256, select(2, kad.distance(("x"):rep(32), ("x"):rep(32))))
  end))

  it("tells which id is closer", spec(function()
    local target = ("\0"):rep(20)
    local near, far = ("\0"):rep(19) .. "\1", "\1" .. ("\0"):rep(19)

    assert.equal(-1, kad.compare(target, near, far))
    assert.equal(1, kad.compare(target, far, near))
    assert.equal(0, kad.compare(target, far, far))
  end))

  it("names the argument that is not an id", spec(function()
    assert.error_matches(function()
      kad.distance(("a"):rep(20), ("a"):rep(32))
    end, "argument 2: an id of 160 bits has 20 bytes, not 32")
    assert.error_matches(function()
      kad.distance("short", "short")
    end, "argument 1: an id has 20 or 32 bytes")
  end))

  it("makes the key pair of a seed", spec(function()
    -- RFC 8032 §7.1, test 1
    local seed = kad.unhex(
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    local pair = kad.keypair(seed)

    assert.equal(
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      kad.hex(pair.publisher))
    assert.equal(64, #pair.secret)
    assert.equal(pair.publisher, kad.publisher(pair.secret))
  end))

  it("makes a new random pair each time", spec(function()
    kad.run(function()
      assert.not_equal(kad.keypair().secret, kad.keypair().secret)
    end)
  end))

  it("signs a record, each part of it", spec(function()
    local pair = kad.keypair(("s"):rep(32))
    local function sign(change)
      local record = { key = kad.key("a"), type = "value", value = "1" }
      for name, value in pairs(change) do
        record[name] = value
      end
      return assert(kad.sign(record, pair.secret))
    end
    local signature = sign({})

    assert.equal(64, #signature)
    assert.equal(signature, sign({}))
    for name, value in pairs({
      key = kad.key("b"), type = "other", value = "2", seq = 2, salt = "s",
    }) do
      assert.not_equal(signature, sign({ [name] = value }), name)
    end
  end))

  it("signs bytes and verifies them", spec(function()
    -- RFC 8032 §7.1, test 2
    local pair = kad.keypair(kad.unhex(
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    local signature = kad.sign("\x72", pair.secret)

    assert.equal(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
      .. "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
      kad.hex(signature))
    assert.is_true(kad.verify(pair.publisher, "\x72", signature))
    assert.is_false(kad.verify(pair.publisher, "\x73", signature))
    assert.is_false(kad.verify(pair.publisher, "\x72", ("x"):rep(64)))
    assert.is_false(kad.verify(("x"):rep(32), "\x72", signature))
  end))

  it("rejects a signature or publisher of another size", spec(function()
    local pair = kad.keypair(("s"):rep(32))
    local signature = kad.sign("a", pair.secret)

    assert.is_true(kad.verify(pair.publisher, "a", signature))
    assert.is_false(kad.verify(pair.publisher, "a", ""))
    assert.is_false(kad.verify(pair.publisher, "a", signature .. "x"))
    assert.is_false(kad.verify(pair.publisher .. "x", "a", signature))
    assert.is_false(kad.verify("", "a", signature))
    support.assert_blames_caller("argument 2: string expected", function()
      kad.verify(pair.publisher, nil, signature)
    end)
  end))

  -- Source: BEP 42 "Node ID restriction", test vectors.
  it("makes ids that fit an address", spec(function()
    local id = kad.unhex("e56f6cbf5b7c4be0237986d5243b87aa6d51305a")

    assert.is_true(kad.is_secure_id(id, "43.213.53.83"))
    assert.is_true(kad.is_secure_id(id, "43.213.53.83:6881"))
    assert.is_false(kad.is_secure_id(id, "43.213.53.84"))
    assert.is_true(kad.is_secure_id(id, "127.0.0.1"))
    assert.equal(id, kad.bind_id("\0\0\4" .. id:sub(4), "43.213.53.83"))
    for _, address in ipairs({ "192.0.2.1", "2001:db8::1", "[2001:db8::1]:1",
      "[2001:db8::1]" }) do
      for _, bits in ipairs({ 160, 256 }) do
        local made = kad.secure_id(address, bits)
        assert.equal(bits // 8, #made)
        assert.not_equal(made, kad.secure_id(address, bits))
        assert.is_true(kad.is_secure_id(made, address))
      end
    end
  end))

  it("rejects ids and addresses of another form", spec(function()
    for _, address in ipairs({ "", "192.0.2", "example.org", "1.2.3.4:x",
      "192.0.2.1\0", ":", "[", "]:1" }) do
      support.assert_blames_caller("not an address", function()
        kad.secure_id(address)
      end)
    end
    support.assert_blames_caller("20 or 32 bytes", function()
      kad.is_secure_id("short", "192.0.2.1")
    end)
    support.assert_blames_caller("160 or 256", function()
      kad.secure_id("192.0.2.1", 128)
    end)
  end))

  it("returns random bytes, the same for the same seed", spec(function()
    local function draw(seed)
      local net <close> = kad.sim({ nodes = 1, seed = seed })
      return net:perform(function()
        return kad.random(16) .. kad.random(0)
      end)
    end

    assert.equal(16, #draw(1))
    assert.equal(draw(1), draw(1))
    assert.not_equal(draw(1), draw(2))
    for _, count in ipairs({ -1, 65537, 1.5, "1" }) do
      support.assert_blames_caller("an integer of 0 to 65536", function()
        kad.random(count)
      end)
    end
  end))

  it("hashes bytes to 32, with BLAKE2b", spec(function()
    assert.equal(
      "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319",
      kad.hex(kad.hash("abc")))
    support.assert_blames_caller("argument 1: string expected", function()
      kad.hash()
    end)
  end))

  it("names the field of a record that is wrong", spec(function()
    local secret = kad.keypair(("s"):rep(32)).secret
    for name, value in pairs({
      key = "short", value = 1, seq = 1.5, salt = ("s"):rep(65), type = "",
    }) do
      local record = { key = kad.key("a"), type = "value", value = "1" }
      record[name] = value
      assert.error_matches(function()
        kad.sign(record, secret)
      end, "field '" .. name .. "'")
    end
  end))
end)
