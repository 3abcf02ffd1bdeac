local kad = require("kadenza")
local support = require("tests.spec.support")

local assert_blames_caller = support.assert_blames_caller
local spec = support.spec

local ANN <const> = kad.box.keypair(("a"):rep(32))
local BOB <const> = kad.box.keypair(("b"):rep(32))

describe("kad.box", function()
  it("opens what it seals", spec(function()
    for _, text in ipairs({ "", "meet at noon", "\0\255",
      ("x"):rep(100000) }) do
      local sealed = assert(kad.box.seal(ANN.public, text))
      assert.equal(#text + 48, #sealed)
      assert.equal(text, kad.box.open(ANN.secret, sealed))
    end
  end))

  it("makes other bytes each time", spec(function()
    assert.not_equal(kad.box.seal(ANN.public, "a"),
      kad.box.seal(ANN.public, "a"))
    assert.not_equal(kad.box.keypair().secret, kad.box.keypair().secret)
  end))

  it("makes the same pair of the same seed", function()
    assert.same(ANN, kad.box.keypair(("a"):rep(32)))
    assert.not_same(ANN, BOB)
    assert.equal(32, #ANN.public)
    assert.equal(32, #ANN.secret)
  end)

  -- Made with crypto_box_seed_keypair and crypto_box_seal of libsodium 1.0.18.
  it("opens what libsodium has sealed", function()
    assert.equal("1b7fcb001edc76ad88f31a3c64ca5b13"
      .. "a6cab636c528c95049ce0ce83e61d36a", kad.hex(ANN.public))
    assert.equal("from libsodium", kad.box.open(ANN.secret, kad.unhex(
      "5602342116347dfdf940b489d2fcc57791bb0ff6af70ec96"
      .. "3987be899c03940dea3180d498fe69dc4027fcc1343df6b5"
      .. "58340c9b04be16a1f3998fb0103e")))
  end)

  it("opens nothing for another, and nothing that was changed",
    spec(function()
      local sealed = assert(kad.box.seal(ANN.public, "secret"))
      local function assert_closed(secret, bytes)
        local text, message, code = kad.box.open(secret, bytes)
        assert.is_nil(text)
        assert.equal("it is not for this key, or was changed", message)
        assert.equal("KAD_EACCESS", code)
      end
      assert_closed(BOB.secret, sealed)
      for at = 1, #sealed do
        assert_closed(ANN.secret, sealed:sub(1, at - 1)
          .. string.char(sealed:byte(at) ~ 1) .. sealed:sub(at + 1))
        assert_closed(ANN.secret, sealed:sub(1, at - 1))
      end
      assert_closed(ANN.secret, sealed .. "\0")
      assert_closed(ANN.secret, "")
    end))

  it("seals nothing for a public key that is none", spec(function()
    local sealed, message, code = kad.box.seal(("\0"):rep(32), "text")
    assert.is_nil(sealed)
    assert.equal("it is no public key", message)
    assert.equal("KAD_EINVAL", code)
  end))

  it("blames the caller for arguments of the wrong form", spec(function()
    assert_blames_caller("a public key has 32 bytes, not 5", function()
      kad.box.seal("short", "text")
    end)
    assert_blames_caller("string expected", function()
      kad.box.seal(ANN.public, 5)
    end)
    assert_blames_caller("a secret key has 32 bytes, not 64", function()
      kad.box.open(kad.keypair().secret, "sealed")
    end)
    assert_blames_caller("a seed has 32 bytes, not 1", function()
      kad.box.keypair("s")
    end)
  end))

  it("does the same in a simulation each time", spec(function()
    local function sealed()
      local net <close> = kad.sim({ seed = 5 })
      return net:perform(function()
        return kad.box.seal(ANN.public, "text")
      end)
    end
    assert.equal(sealed(), sealed())
  end))

  it("may be used by policies", spec(function()
    local net <close> = kad.sim({ nodes = 3, seed = 1, policies = { {
      rpc = { tell = function(request)
        return { sealed = kad.box.seal(request.args.key, "told") }
      end },
    } } })
    net:perform(function()
      local reply = assert(net.nodes[1]:call(net.nodes[2]:addresses()[1],
        "tell", { key = ANN.public }))
      assert.equal("told", kad.box.open(ANN.secret, reply.sealed))
    end)
  end))
end)
