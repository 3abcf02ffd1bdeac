local kad = require("kadenza")
local limit = require("kadenza.limit")
local support = require("tests.spec.support")

-- Makes the context of a hook.
local function from(host, now, reason)
  return { now = now or 0, reason = reason or "store",
    from = host and { host = host } }
end

-- Returns the number of takes that a limiter allows, of `count`.
local function allowed(limiter, count, ctx, record)
  local sum = 0
  for _ = 1, count do
    sum = sum + (limiter:take(ctx, record) and 1 or 0)
  end
  return sum
end

describe("kadenza.limit", function()
  it("allows a burst, then the rate", function()
    local limiter = limit.new({ per = "address", rate = 0.5, burst = 4 })

    assert.equal(4, allowed(limiter, 10, from("192.0.2.1", 100)))
    assert.equal(0, allowed(limiter, 10, from("192.0.2.1", 101.9)))
    assert.equal(1, allowed(limiter, 10, from("192.0.2.1", 102)))
    assert.equal(2, allowed(limiter, 10, from("192.0.2.1", 106)))
    assert.equal(4, allowed(limiter, 10, from("192.0.2.1", 1e6)))
  end)

  it("returns the time to wait, and the code", function()
    local limiter =
      limit.new({ per = "address", rate = 0.1, burst = 1, code = 429 })
    assert.is_true(limiter:take(from("192.0.2.1")))

    local taken, reason, code = limiter:take(from("192.0.2.1", 2.5))

    assert.is_nil(taken)
    assert.equal("too many: try again in 8 s", reason)
    assert.equal(429, code)
    assert.equal(201, select(3, limit.new({ per = "address", rate = 1 })
      :take(from("192.0.2.1"), nil, 2)))
  end)

  it("has a burst of a second's tokens by default", function()
    assert.equal(7, allowed(limit.new({ per = "address", rate = 7 }), 20,
      from("192.0.2.1")))
    assert.equal(1, allowed(limit.new({ per = "address", rate = 0.01 }), 20,
      from("192.0.2.1")))
  end)

  it("never allows more than burst and rate, in any order of takes", function()
    local seed = tonumber(os.getenv("SEED")) or os.time()
    math.randomseed(seed)
    for _ = 1, 200 do
      local rate, burst = 10 ^ math.random(-2, 2), math.random(1, 50)
      local limiter = limit.new({ per = "address", rate = rate, burst = burst })
      local now, spent = 0, 0
      for _ = 1, 200 do
        now = now + math.random() * 2 / rate
        local cost = math.random(1, 3)
        if limiter:take(from("192.0.2.1", now), nil, cost) then
          spent = spent + cost
        end
        assert.is_true(spent <= burst + rate * now + 1e-6,
          "seed " .. seed)
      end
      assert.is_true(spent > 0 and spent >= math.min(burst, 200) - 3
        or rate * now < 3, "seed " .. seed)
    end
  end)

  it("works with a clock that goes back", function()
    local limiter = limit.new({ per = "address", rate = 1, burst = 2 })
    assert.equal(2, allowed(limiter, 5, from("192.0.2.1", 1000)))

    assert.equal(0, allowed(limiter, 5, from("192.0.2.1", 10)))
    assert.equal(2, allowed(limiter, 5, from("192.0.2.1", 1002)))
  end)

  it("charges the cost of a take", function()
    local limiter = limit.new({ per = "address", rate = 1, burst = 10 })

    assert.is_true(limiter:take(from("192.0.2.1"), nil, 9.5))
    assert.is_nil((limiter:take(from("192.0.2.1"), nil, 1)))
    assert.is_true(limiter:take(from("192.0.2.1"), nil, 0.5))
    assert.is_true(limiter:take(from("192.0.2.1"), nil, 0))
  end)

  describe("counts", function()
    it("each address", function()
      local limiter = limit.new({ per = "address", rate = 1 })

      assert.is_true(limiter:take(from("192.0.2.1")))
      assert.is_true(limiter:take(from("192.0.2.2")))
      assert.is_nil((limiter:take(from("192.0.2.2"))))
    end)

    local subnets = {
      { "192.0.2.1", "192.0.2.254", true },
      { "192.0.2.1", "192.0.3.1", false },
      { "2001:db8::1", "2001:db8::ffff:1", true },
      { "2001:db8::1", "2001:db8:0:0:1:2:3:4", true },
      { "2001:db8:1::1", "2001:db8:1:0:5::", true },
      { "2001:db8::1", "2001:db8:0:1::1", false },
      { "::1", "::2", true },
      { "::1", "0:0:0:1::1", false },
      { "1:2:3:4:5:6:7:8", "1:2:3:4::", true },
      { "1:2:3:4:5:6:7::", "1:2:3:4::", true },
      { "1:2:3::", "1:2:3:0:9::", true },
    }
    for _, case in ipairs(subnets) do
      it(("%s and %s %s"):format(case[1], case[2],
        case[3] and "together" or "apart"), function()
        local limiter = limit.new({ per = "subnet", rate = 1 })

        assert.is_true(limiter:take(from(case[1])))
        assert.equal(not case[3], limiter:take(from(case[2])) == true)
      end)
    end

    it("each publisher, and rejects unsigned records", function()
      local limiter = limit.new({ per = "publisher", rate = 1 })

      assert.is_true(limiter:take(from("192.0.2.1"), { publisher = "a" }))
      assert.is_true(limiter:take(from("192.0.2.1"), { publisher = "b" }))
      assert.is_nil((limiter:take(from("192.0.2.9"), { publisher = "a" })))
      assert.same({ nil, "a signature is needed", 201 },
        { limiter:take(from("192.0.2.1"), {}) })
    end)

    it("by a function, and nothing for nil", function()
      local limiter = limit.new({ rate = 1, per = function(_, record)
        return record.key ~= "free" and record.key or nil
      end })

      assert.equal(1, allowed(limiter, 5, from("192.0.2.1"), { key = "a" }))
      assert.equal(5, allowed(limiter, 5, from("192.0.2.1"), { key = "free" }))
    end)

    it("neither the node itself nor replies to its gets", function()
      local limiter = limit.new({ per = "publisher", rate = 1 })

      assert.equal(5, allowed(limiter, 5, from(nil), {}))
      assert.equal(5, allowed(limiter, 5, from("192.0.2.1", 0, "get"), {}))
    end)
  end)

  it("remembers a bounded number of buckets, the latest", function()
    local limiter = limit.new({ per = "address", rate = 0.001, max = 100 })
    local function held()
      local count = 0
      for _, part in ipairs({ limiter.fresh, limiter.stale }) do
        for _ in pairs(part) do
          count = count + 1
        end
      end
      return count
    end
    for i = 1, 10000 do
      limiter:take(from("10.0." .. i // 256 .. "." .. i % 256))
      assert.is_true(held() <= 100)
    end

    assert.is_nil((limiter:take(from("10.0." .. 9999 // 256 .. ".15"))))
    assert.is_true(limiter:take(from("10.0.0.1")), "it was forgotten")
  end)

  it("does not drop a bucket that is used", function()
    local limiter = limit.new({ per = "address", rate = 0.001, max = 10 })
    assert.is_true(limiter:take(from("192.0.2.1")))
    for i = 1, 200 do
      limiter:take(from("10.0.0." .. i))
      if i % 4 == 0 then
        assert.is_nil((limiter:take(from("192.0.2.1"))), "take " .. i)
      end
    end
  end)

  describe("blames its caller for", function()
    local function try(given)
      return function()
        limit.new(given)
      end
    end
    local mistakes = {
      ["options must be a table, not number"] = 1,
      ["unknown option 'rat'"] = { per = "address", rat = 1 },
      ["option 'rate' is missing"] = { per = "address" },
      ["option 'per' is missing"] = { rate = 1 },
      ["option 'per' must be"] = { per = "node", rate = 1 },
      ["option 'rate' must be in"] = { per = "address", rate = 0 / 0 },
      ["option 'rate' must be in 1e-06 to"] = { per = "address", rate = 0 },
      ["option 'rate' must be in 1e-06 to 1000000000"] =
        { per = "address", rate = math.huge },
      ["option 'burst' must be"] = { per = "address", rate = 1, burst = 0 },
      ["option 'max' must be in 2 to 100000"] =
        { per = "address", rate = 1, max = 1 },
      ["option 'max' must be an integer"] =
        { per = "address", rate = 1, max = 10.5 },
      ["option 'code' must be in 100 to 999"] =
        { per = "address", rate = 1, code = 99 },
    }
    for text, given in pairs(mistakes) do
      it(text, function()
        support.assert_blames_caller(text, try(given))
      end)
    end

    it("a wrong cost", function()
      local limiter = limit.new({ per = "address", rate = 1 })
      for _, cost in ipairs({ -1, 0 / 0, math.huge, "1" }) do
        support.assert_blames_caller("a cost is a number", function()
          limiter:take(from("192.0.2.1"), nil, cost)
        end)
      end
    end)
  end)

  it("calls the next hook after it took a token", function()
    local asked = 0
    local hook = limit.new({ per = "address", rate = 1 }):filter(
      function(record)
        asked = asked + 1
        return nil, "no " .. record.value, 222
      end)

    assert.same({ nil, "no spam", 222 },
      { hook({ value = "spam" }, from("192.0.2.1")) })
    assert.matches("too many", select(2, hook({}, from("192.0.2.1"))), 1, true)
    assert.equal(1, asked)
    support.assert_blames_caller("a hook is needed, not a table", function()
      limit.new({ per = "address", rate = 1 }):filter({})
    end)
  end)

  it("filters queries and stores in an overlay", support.spec(function()
    local writes = limit.new({ per = "publisher", rate = 0.1, burst = 2 })
    local greetings = limit.new({ per = "address", rate = 1, burst = 3 })
    local net <close> = kad.sim({ join = false, seed = 1 })
    local asker =
      assert(net:open({ policies = { { types = { note = {} } } } }))
    local node = assert(net:open({ policies = { {
      types = { note = { validate = writes:filter(), republish = false } },
      rpc = {
        hello = greetings:filter(function()
          return { text = "hi" }
        end),
      },
    } } }))
    net:perform(function()
      assert(asker:bootstrap(node:addresses()))
      local pair = kad.keypair()
      local function put(name)
        return asker:put(kad.key(name), "x", { type = "note", seq = 1,
          secret = pair.secret })
      end
      assert(put("a"))
      assert(put("b"))
      local _, message = put("c")
      assert.matches("too many: try again in 10 s", message)
      assert(node:put(kad.key("d"), "x", { type = "note", seq = 1,
        secret = pair.secret }))
      kad.sleep(10)
      assert(put("c"))

      local answered = 0
      for _ = 1, 6 do
        if asker:call(node:addresses()[1], "hello") then
          answered = answered + 1
        end
      end
      assert.equal(3, answered)
    end)
  end))
end)
