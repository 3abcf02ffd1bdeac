local kad = require("kadenza")
local lease = require("kadenza.lease")
local policies = require("tests.spec.support.policy")
local support = require("tests.spec.support")

local seed = tonumber(os.getenv("SEED")) or os.time() % 1000000
local KEY <const> = kad.key("backup")

local ann, bob = kad.keypair(("a"):rep(32)), kad.keypair(("b"):rep(32))

local timed = support.timed

-- Makes a record as hooks get it.
local function by(pair, number, ends, more)
  more = more or {}
  return { publisher = pair.publisher, seq = more.seq or 1,
    salt = more.salt, value = kad.bencode.encode({ number, ends,
      more.nonce or "12345678" }) }
end

local STORE <const> = { reason = "store" }
local GET <const> = { reason = "get" }

-- An overlay that can be partitioned: while `apart(i, j)` is true, nodes i and
-- j do not answer each other.
local function overlay(options, fn)
  return support.spec(function()
    local world = { apart = function() return false end }
    local number = {}
    local function policy(node)
      return {
        types = { turn = lease.type({ seconds = 60, ttl = 7200 }) },
        on_request = function(_, ctx)
          local mine, theirs = number[node:addresses()[1]],
            number[ctx.from.address]
          return not (mine and theirs and world.apart(mine, theirs))
        end,
      }
    end
    local net <close> = kad.sim({ nodes = options.nodes or 16,
      seed = options.seed or 5, loss = options.loss, policies = { policy } })
    for i, node in ipairs(net.nodes) do
      number[node:addresses()[1]] = i
    end
    world.net = net
    world.acquire = function(i, more)
      local all = { type = "turn", seconds = 30 }
      for name, value in pairs(more or {}) do
        all[name] = value
      end
      return lease.acquire(net.nodes[i], KEY, all)
    end
    net:perform(fn, world)
  end)
end

describe("kadenza.lease", function()
  describe("validates", function()
    local turn = lease.type({ seconds = 60 })

    it("leases of its length", timed(function()
      local now = kad.time()

      assert.is_true(turn.validate(by(ann, 1, 0), STORE))
      assert.is_true(turn.validate(by(ann, now, now + 62), STORE))
      assert.same({ nil, "a lease has 60 seconds at most", 201 },
        { turn.validate(by(ann, 1, now + 63), STORE) })
    end))

    it("numbers that leave higher ones for others", timed(function()
      assert.is_true(turn.validate(by(ann, kad.time() + 3600, 0), STORE))
      for _, number in ipairs({ kad.time() + 3601, 1 << 53, math.maxinteger })
      do
        assert.matches("number far above",
          select(2, turn.validate(by(ann, number, 0), STORE)), 1, true)
      end
    end))

    it("no garbage", timed(function()
      local e = kad.bencode.encode
      for _, value in ipairs({ "", "x", "i1e", "le", "de", "li1ei1ee",
        e({ 0, 0, "12345678" }), e({ 1, -1, "12345678" }),
        e({ 1, 0, "1234567" }), e({ 1, 0, 8 }), e({ "1", 0, "12345678" }),
        e({ 1, {}, "12345678" }), e({ 1, 0, "12345678", 1 }),
        e({ a = 1, b = 0, c = "12345678" }) })
      do
        assert.same({ nil, "not a lease", 201 }, { turn.validate(
          { publisher = ann.publisher, seq = 1, value = value }, STORE) })
      end
      for _, more in ipairs({ { seq = -1 }, { seq = (1 << 53) + 1 },
        { salt = "s" } })
      do
        assert.is_nil((turn.validate(by(ann, 1, 0, more), STORE)))
      end
      local unnumbered = by(ann, 1, 0)
      unnumbered.seq = nil
      assert.is_nil((turn.validate(unnumbered, STORE)))
    end))

    it("by the check of the policy", timed(function()
      local known = lease.type({ check = function(record)
        return record.publisher == ann.publisher or nil, "who are you?"
      end })

      assert.is_true(known.validate(by(ann, 1, 0), STORE))
      assert.same({ nil, "who are you?" },
        { known.validate(by(bob, 1, 0), STORE) })
    end))
  end)

  it("reads the last change of each lease", timed(function()
    local turn, now = lease.type(), kad.time()
    local given, back = by(ann, 1, now + 30), by(ann, 1, 0, { seq = 2 })

    assert.same({ back }, turn.merge({ given }, back, GET))
    assert.same({ back }, turn.merge({ back }, given, GET))
    assert.same({ by(bob, 1, now + 9), back },
      turn.select({ back, by(bob, 1, now + 9) }))
  end))

  describe("grants, at one node,", function()
    local turn = lease.type()

    it("a free lease", timed(function()
      local mine = by(ann, 1, kad.time() + 30)

      assert.same({ mine }, turn.merge({}, mine, STORE))
    end))

    it("nothing to another while it lasts, and two seconds longer",
      timed(function()
        local held = { by(ann, 1, kad.time() + 30) }
        local function ask()
          return turn.merge(held, by(bob, 9, kad.time() + 30), STORE)
        end

        assert.same({ nil, "it is held by another for 30 seconds", 201 },
          { ask() })
        kad.sleep(31)
        assert.is_nil((ask()))
        kad.sleep(1)
        assert.is_table((ask()))
      end))

    it("a released lease to another", timed(function()
      local now = kad.time()
      local held =
        turn.merge({ by(ann, 1, now + 30) }, by(ann, 1, 0, { seq = 2 }), STORE)

      assert.is_table((turn.merge(held, by(bob, 2, now + 30), STORE)))
      assert.same({ nil, "a number higher than 1 is needed", 302 },
        { turn.merge(held, by(bob, 1, now + 30), STORE) })
    end))

    it("renewals only to the holder, in their order", timed(function()
      local now = kad.time()
      local held = { by(ann, 1, now + 10, { seq = 5 }) }

      assert.is_table((turn.merge(held, by(ann, 1, now + 40, { seq = 6 }),
        STORE)))
      assert.same({ nil, "it has been renewed or released since", 302 },
        { turn.merge(held, by(ann, 1, now + 5, { seq = 4 }), STORE) })
      assert.is_nil((turn.merge(held,
        by(ann, 1, now + 40, { seq = 6, nonce = "another!" }), STORE)))
      assert.is_nil((turn.merge(held, by(bob, 1, now + 40, { seq = 6 }),
        STORE)))
    end))
  end)

  it("reads the same lease from records in any order (seed " .. seed .. ")",
    timed(function()
      math.randomseed(seed)
      local turn = lease.type()
      for _ = 1, 500 do
        local now, records = kad.time(), {}
        for i = 1, 4 do
          records[i] = by(math.random() < 0.5 and ann or bob, math.random(3),
            math.random() < 0.5 and now + 30 or 0,
            { nonce = ("%08d"):format(i) })
        end
        local first
        for _ = 1, 6 do
          for i = 4, 2, -1 do
            local j = math.random(i)
            records[i], records[j] = records[j], records[i]
          end
          local held = {}
          for _, record in ipairs(records) do
            held = turn.merge(held, record, GET)
          end
          assert.equal(4, #held)
          held = turn.select(held)
          first = first or held[1]
          assert.equal(first, held[1], "seed " .. seed)
        end
      end
    end))

  it("is held by one contender, which can release it",
    overlay({}, function(world)
      local mine = assert(world.acquire(2))
      assert.is_true(mine:left() >= 28 and mine:left() <= 30)

      local theirs, message, code = world.acquire(7)
      assert.is_nil(theirs)
      assert.matches("it is held by another for %d+ seconds", message)
      assert.equal("KAD_EBUSY", code)

      local state = assert(lease.read(world.net.nodes[9], KEY,
        { type = "turn" }))
      assert.equal(mine.publisher, state.holder)
      assert.equal(mine.number, state.number)
      assert.is_true(state.left > 25)

      assert(mine:release())
      assert.equal(0, mine:left())
      theirs = assert(world.acquire(7))
      assert.is_true(theirs.number > mine.number)
      assert(mine:release()) -- does nothing now
      assert.is_true(theirs:left() > 25)
      assert.equal(theirs.publisher, assert(lease.read(world.net.nodes[3], KEY,
        { type = "turn" })).holder)
    end))

  it("is free at first", overlay({}, function(world)
    assert.same({ left = 0, number = 0 },
      lease.read(world.net.nodes[1], KEY, { type = "turn" }))
    local mine = assert(world.acquire(2))
    assert(mine:release())
    assert.same({ left = 0, number = mine.number },
      lease.read(world.net.nodes[1], KEY, { type = "turn" }))
  end))

  it("lasts as long as it is renewed", overlay({}, function(world)
    local mine = assert(world.acquire(2))
    for _ = 1, 5 do
      kad.sleep(20)
      assert(mine:renew())
      assert.is_nil((world.acquire(7)))
    end
    assert.is_true(mine:left() > 25)
    assert(mine:renew(5))
    kad.sleep(6)
    assert.equal(0, mine:left())
    local renewed, message, code = mine:renew()
    assert.same({ nil, "the lease has ended", "KAD_EBUSY" },
      { renewed, message, code })
  end))

  it("is acquired by another after its holder crashed",
    overlay({}, function(world)
      local mine = assert(world.acquire(2))
      world.net.nodes[2]:close()

      assert.is_nil((world.acquire(7)))
      local begun = kad.now()
      local theirs = assert(world.acquire(7, { wait = 60 }))

      assert.is_true(kad.now() - begun >= 28)
      assert.is_true(kad.now() - begun < 45)
      assert.is_true(theirs.number > mine.number)
    end))

  it("has a higher number even if the last one is lost",
    overlay({}, function(world)
      local mine = assert(world.acquire(2))
      assert(mine:release())
      kad.sleep(2 * 7200)
      assert.equal(0, assert(lease.read(world.net.nodes[5], KEY,
        { type = "turn" })).number)

      assert.is_true(assert(world.acquire(7)).number > mine.number)
    end))

  it("is released when its variable is closed", overlay({}, function(world)
    do
      local _ <close> = assert(world.acquire(2))
      assert.is_nil((world.acquire(7)))
    end
    kad.sleep(5)
    assert(world.acquire(7))
  end))

  it("is acquired again by the same key only after it ended",
    overlay({}, function(world)
      assert(world.acquire(2, { secret = ann.secret }))

      assert.is_nil((world.acquire(3, { secret = ann.secret })))
    end))

  -- Lets `count` contenders take turns; returns the numbers in their order.
  local function contend(world, count, turns)
    local inside, numbers, work = 0, {}, {}
    for i = 1, count do
      work[i] = function()
        local done = 0
        while done < turns do
          local mine = world.acquire(i + 1, { wait = 600, seconds = 20 })
          if mine then
            inside = inside + 1
            assert.equal(1, inside, "two had it at once, seed " .. seed)
            numbers[#numbers + 1] = mine.number
            kad.sleep(math.min(mine:left(), 3))
            inside = inside - 1
            mine:release()
            done = done + 1
          end
        end
      end
    end
    kad.all(work)
    return numbers
  end

  local function check_rising(numbers, count)
    assert.equal(count, #numbers)
    for i = 2, #numbers do
      assert.is_true(numbers[i] > numbers[i - 1], "seed " .. seed)
    end
  end

  it("is held by one contender at a time, with rising numbers (seed "
    .. seed .. ")",
    overlay({ seed = seed }, function(world)
      check_rising(contend(world, 6, 3), 18)
    end))

  it("is so if datagrams are lost (seed " .. seed .. ")",
    overlay({ seed = seed, loss = 0.05 }, function(world)
      check_rising(contend(world, 4, 3), 12)
    end))

  it("is so if nodes come and go (seed " .. seed .. ")",
    overlay({ seed = seed, nodes = 20 }, function(world)
      local churn = kad.spawn(function()
        for i = 20, 13, -1 do
          kad.sleep(8)
          world.net.nodes[i]:close()
        end
      end)
      check_rising(contend(world, 4, 4), 16)
      churn:cancel()
    end))

  describe("in a partition", function()
    local function part(world)
      world.apart = function(i, j)
        return (i <= 12) ~= (j <= 12)
      end
    end

    it("is held on both sides without a quorum",
      overlay({}, function(world)
        part(world)
        assert(world.acquire(2, { wait = 300 }))
        assert(world.acquire(15, { wait = 300 }))
      end))

    it("is held on no side below the quorum",
      overlay({}, function(world)
        part(world)
        local mine = assert(world.acquire(2, { wait = 300, quorum = 5 }))
        local theirs, message, code =
          world.acquire(15, { wait = 300, quorum = 5 })

        assert.is_nil(theirs)
        assert.matches("only %d of %d+ nodes have granted it", message)
        assert.equal("KAD_EBUSY", code)
        assert.is_true(mine.number > 0)
      end))

    -- Two lookups may end at different nodes, and both find enough.
    it("is not held by a contender that sees another after its store",
      overlay({}, function(world)
        part(world)
        local mine = assert(world.acquire(2, { wait = 300 }))
        local node = world.net.nodes[15]
        local claimed
        local theirs, message, code = lease.acquire(setmetatable({
          put = function(_, ...)
            local results = table.pack(node:put(...))
            claimed = claimed or results[1]
            world.apart = function() return false end
            return table.unpack(results, 1, results.n)
          end,
        }, { __index = node }), KEY, { type = "turn", seconds = 30 })

        assert.is_true(claimed.stored * 2 > claimed.asked)
        assert.is_nil(theirs)
        assert.matches("held by another", message)
        assert.equal("KAD_EBUSY", code)
        assert.is_true(mine:left() > 0)
      end))

    it("is held by one contender after it has healed", overlay({},
      function(world)
        part(world)
        local mine = assert(world.acquire(2, { wait = 300 }))
        local theirs = assert(world.acquire(15, { wait = 300 }))
        world.apart = function() return false end
        kad.sleep(40)
        local last = assert(world.acquire(9, { wait = 300 }))

        assert.is_true(last.number > mine.number)
        assert.is_true(last.number > theirs.number)
        assert.is_nil((world.acquire(14)))
      end))
  end)

  it("returns the failure when no node answers", support.spec(function()
    local net <close> = kad.sim({ join = false, seed = 1 })
    local node = assert(net:open())
    net:perform(function()
      local mine, message, code = lease.acquire(node, KEY,
        { type = "turn", seconds = 5 })

      assert.is_nil(mine)
      assert.is_string(message)
      assert.not_equal("KAD_EBUSY", code)
    end)
  end))

  describe("blames its caller for", function()
    local node = { id_bits = function() return 160 end }
    local mistakes = {
      ["option 'type' is missing"] = { seconds = 1 },
      ["option 'seconds' is missing"] = { type = "turn" },
      ["option 'seconds' must be in 1 to 3600"] =
        { type = "turn", seconds = 3601 },
      ["option 'secret' must have 64 bytes"] =
        { type = "turn", seconds = 1, secret = "s" },
      ["unknown option 'second'"] = { type = "turn", second = 1 },
      ["option 'quorum' must be in"] =
        { type = "turn", seconds = 1, quorum = 0 },
    }
    for text, options in pairs(mistakes) do
      it(text, function()
        support.assert_blames_caller(text, function()
          local _ = lease.acquire(node, KEY, options)
        end)
      end)
    end

    it("a wrong node or key", function()
      local all = { type = "turn", seconds = 1 }
      support.assert_blames_caller("a node is needed", function()
        local _ = lease.acquire(nil, KEY, all)
      end)
      support.assert_blames_caller("key must have 20 bytes", function()
        local _ = lease.read(node, "backup", { type = "turn" })
      end)
    end)

    it("a renewal without end", overlay({}, function(world)
      local mine = assert(world.acquire(2))
      support.assert_blames_caller("1 to 3600 seconds", function()
        local _ = mine:renew(0)
      end)
    end))
  end)

  it("serves a policy in the sandbox", policies.with([[
    local kad = require("kadenza")
    local lease = require("kadenza.lease")
    return {
      types = { note = lease.type({ seconds = 30 }) },
      rpc = {
        turn = function(_, ctx)
          local mine, message = lease.acquire(ctx.node, kad.key("turn"),
            { type = "note", seconds = 10 })
          if not mine then
            return nil, message
          end
          return { number = mine.number }
        end,
      },
    }
  ]], function(world)
    local function ask()
      return world.other:call(world.node:addresses()[1], "turn")
    end

    local first = assert(ask())
    assert.is_true(first.number > 0)
    assert.matches("held by another", (select(2, ask())))
    kad.sleep(13)
    assert.is_true(assert(ask()).number > first.number)
  end))
end)
