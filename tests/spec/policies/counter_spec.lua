local kad = require("kadenza")
local support = require("tests.spec.support")

local FILE <const> = "scripts/policies/counter.lua"
local KEY <const> = kad.key("visits")

local function load()
  return dofile(FILE).types.counter
end

-- A record of the counter as hooks receive it.
local function by(publisher, value)
  return { value = value, publisher = publisher }
end

local function values(list)
  local out = {}
  for i, record in ipairs(list) do
    out[i] = record.publisher .. record.value
  end
  return table.concat(out, " ")
end

describe("the policy counter", function()
  local counter

  before_each(function()
    counter = load()
  end)

  describe("validates", function()
    for _, value in ipairs({ "0", "1", "42", "999999999999999" }) do
      it("accepts " .. value, function()
        assert.is_true(counter.validate(by("a", value)))
      end)
    end

    for _, value in ipairs({ "", "-1", "+1", "01", " 1", "1 ", "1.0", "1e3",
      "0x10", "one", "1\n", "00" })
    do
      it(("rejects %q"):format(value), function()
        local fine, reason = counter.validate(by("a", value))

        assert.is_nil(fine)
        assert.equal("a count must be decimal digits", reason)
      end)
    end
  end)

  describe("merges", function()
    it("adds publishers", function()
      local list = counter.merge({ by("a", "1") }, by("b", "2"))

      assert.equal("a1 b2", values(list))
    end)

    it("keeps the highest count of each", function()
      local list = counter.merge({ by("a", "9"), by("b", "2") }, by("a", "10"))

      assert.equal("a10 b2", values(list))
    end)

    it("accepts the same count again", function()
      assert.equal("a9", values(counter.merge({ by("a", "9") }, by("a", "9"))))
    end)

    it("rejects a lower count", function()
      local list, reason, code = counter.merge({ by("a", "10") }, by("a", "9"))

      assert.is_nil(list)
      assert.equal("a count cannot fall", reason)
      assert.equal(302, code)
    end)

    it("has the same result in every order", function()
      local records = { by("a", "1"), by("a", "3"), by("b", "2"), by("c", "5") }
      local function total(order)
        local held = {}
        for _, i in ipairs(order) do
          held = counter.merge(held, records[i]) or held
        end
        return counter.select(held).value
      end

      assert.equal("10", total({ 1, 2, 3, 4 }))
      assert.equal("10", total({ 4, 3, 2, 1 }))
      assert.equal("10", total({ 2, 1, 4, 2, 3, 3 }))
    end)

    it("has a bounded number of publishers", function()
      local held = {}
      for i = 1, counter.max_values do
        held = counter.merge(held, by("p" .. i, "1"))
      end

      local list, _, code = counter.merge(held, by("late", "1"))

      assert.is_nil(list)
      assert.equal(201, code)
      assert.is_table(counter.merge(held, by("p7", "2")))
    end)
  end)

  it("selects the sum, an integer however large", function()
    local all = {}
    for i = 1, counter.max_values do
      all[i] = by("p" .. i, "999999999999999")
    end

    assert.equal("63999999999999936", counter.select(all).value)
  end)

  it("counts in an overlay, for every writer and any number of writes",
    support.spec(function()
      local net <close> =
        kad.sim({ nodes = 12, seed = 1, policies = { FILE } })
      net:perform(function()
        local function put(node, pair, value)
          return net.nodes[node]:put(KEY, value,
            { type = "counter", secret = pair.secret })
        end
        local ann, bob = kad.keypair(), kad.keypair()
        kad.all({
          function() return assert(put(2, ann, "3")) end,
          function() return assert(put(5, bob, "4")) end,
        })

        assert.equal("7", net.nodes[9]:get(KEY, { type = "counter" }))
        assert(put(7, ann, "10"))
        local some, _, _, details = put(2, ann, "5")
        assert.equal(302, (some or details).krpc)
        assert.is_nil((put(2, ann, "-5")))
        assert.is_nil((net.nodes[2]:put(KEY, "1", { type = "counter" })))
        assert.equal("14", net.nodes[4]:get(KEY, { type = "counter" }))

        kad.sleep(3 * 86400)
        assert.equal("14", net.nodes[4]:get(KEY, { type = "counter" }))
        kad.sleep(5 * 86400)
        assert.is_nil((net.nodes[4]:get(KEY, { type = "counter" })))
      end)
    end))
end)
