local kad = require("kadenza")
local support = require("tests.spec.support")

local FILE <const> = "scripts/policies/registry.lua"
local KEY <const> = kad.key("printer")

local function record(publisher, seq, value)
  return { publisher = publisher, seq = seq, value = value or "x" }
end

describe("the policy registry", function()
  local registry

  before_each(function()
    registry = dofile(FILE).types.registry
  end)

  it("needs a signature, a seq and a value, and no salt", function()
    assert.is_true(registry.signed_only)
    assert.is_true(registry.validate(record("a", 1)))
    for _, wrong in ipairs({
      { publisher = "a", value = "x" },
      { publisher = "a", value = "", seq = 1 },
      { publisher = "a", value = "x", seq = 1, salt = "s" },
    }) do
      local fine, reason = registry.validate(wrong)
      assert.is_nil(fine)
      assert.is_string(reason)
    end
  end)

  it("gives a free name to the first key", function()
    local mine = record("a", 1)

    assert.same({ mine }, registry.merge({}, mine))
  end)

  it("rejects another key with any seq", function()
    local list, reason, code =
      registry.merge({ record("a", 1) }, record("b", 9))

    assert.is_nil(list)
    assert.equal("the name belongs to another key", reason)
    assert.equal(201, code)
  end)

  it("accepts a change only with a higher seq", function()
    local held = { record("a", 5, "old") }

    assert.equal("new", registry.merge(held, record("a", 6, "new"))[1].value)
    for _, seq in ipairs({ 5, 4, math.mininteger }) do
      local list, reason, code = registry.merge(held, record("a", seq, "new"))
      assert.is_nil(list)
      assert.equal("a change needs a higher seq than 5", reason)
      assert.equal(302, code)
    end
  end)

  it("accepts the same record again", function()
    assert.equal(5, registry.merge({ record("a", 5) }, record("a", 5))[1].seq)
  end)

  it("keeps a name for its owner in an overlay until it expires",
    support.spec(function()
      local net <close> =
        kad.sim({ nodes = 12, seed = 1, policies = { FILE } })
      net:perform(function()
        local ann, eve = kad.keypair(), kad.keypair()
        local function put(node, pair, seq, value)
          local info, _, _, details = net.nodes[node]:put(KEY, value,
            { type = "registry", secret = pair.secret, seq = seq })
          return info and true, details and details.krpc
        end
        local function get(node)
          return net.nodes[node]:get(KEY, { type = "registry" })
        end

        assert.is_true(put(2, ann, 1, "192.0.2.7"))
        assert.same({ nil, 201 }, { put(5, eve, 2, "198.51.100.9") })
        local value, info = get(9)
        assert.equal("192.0.2.7", value)
        assert.equal(ann.publisher, info.publisher)
        assert.same({ nil, 302 }, { put(2, ann, 1, "192.0.2.8") })
        assert.is_true(put(2, ann, 2, "192.0.2.8"))
        assert.equal("192.0.2.8", (get(7)))

        kad.sleep(8 * 86400)
        assert.is_nil((get(7)))
        assert.is_true(put(5, eve, 1, "198.51.100.9"))
      end)
    end))
end)
