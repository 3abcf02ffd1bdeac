local crdt = require("kadenza.crdt")
local kad = require("kadenza")
local kinds = require("kadenza.crdt.kind")
local policies = require("tests.spec.support.policy")
local support = require("tests.spec.support")

local timed = support.timed

describe("kadenza.crdt", function()
  describe("a shared type", function()
    local visits = crdt.gcounter.type({ max_size = 60, ttl = 3600 })

    local function record(state)
      return { value = crdt.gcounter.encode(state) }
    end

    it("has the fields of a type", function()
      assert.equal(60, visits.max_size)
      assert.equal(1, visits.max_values)
      assert.equal(3600, visits.ttl)
      assert.is_nil(visits.signed_only)
    end)

    it("accepts only states", function()
      assert.is_true(visits.validate(record({ ann = 1 })))
      local fine, reason, code = visits.validate({ value = "1" })
      assert.is_nil(fine)
      assert.equal("not a state", reason)
      assert.equal(201, code)
    end)

    it("joins all states into one record", function()
      local held = visits.merge({}, record({ ann = 1 }))
      held = visits.merge(held, record({ ann = 3, bob = 1 }))
      held = visits.merge(held, record({ ann = 2 }))

      assert.same({ record({ ann = 3, bob = 1 }) }, held)
    end)

    it("rejects a state that is too large, and keeps the record", function()
      local held = { record({ [("a"):rep(20)] = 1 }) }

      local list, reason, code =
        visits.merge(held, record({ [("b"):rep(30)] = 1 }))

      assert.same({ nil, "the state is full", 205 }, { list, reason, code })
    end)

    it("drops expired parts", timed(function()
      local set = crdt.orset.type({ life = 3600 })
      local now = kad.time()
      local function of(state)
        return { value = crdt.orset.encode(state) }
      end
      local held = set.merge({}, of(crdt.orset.add({}, "ann", "x", 10)))
      kad.sleep(10)
      held = set.merge(held, of(crdt.orset.add({}, "bob", "y", 10)))

      assert.same({ of({ y = { bob = 2 * (now + 20) } }) }, held)
      assert.is_nil((set.validate(
        of(crdt.orset.add({}, "ann", "x", 3600 + 301)))))
    end))
  end)

  describe("a signed type", function()
    local visits = crdt.gcounter.type({ signed = true, writers = 3 })

    local function by(publisher, state)
      return { publisher = publisher, value = crdt.gcounter.encode(state) }
    end

    it("accepts only a writer's own part", function()
      assert.is_true(visits.signed_only)
      assert.equal(3, visits.max_values)
      assert.is_true(visits.validate(by("ann", { ann = 1 })))
      assert.same({ nil, "it has parts of other writers", 201 },
        { visits.validate(by("ann", { ann = 1, bob = 1 })) })
      assert.is_nil((visits.validate(by("ann", { bob = 1 }))))
    end)

    it("keeps a record for each writer, which only grows", function()
      local held = visits.merge({}, by("bob", { bob = 1 }))
      held = visits.merge(held, by("ann", { ann = 5 }))
      held = visits.merge(held, by("bob", { bob = 2 }))

      assert.same({ by("bob", { bob = 2 }), by("ann", { ann = 5 }) }, held)
      assert.same({ nil, "it lacks what its writer wrote before", 302 },
        { visits.merge(held, by("ann", { ann = 4 })) })
      assert.same({ by("ann", { ann = 5 }), by("bob", { bob = 2 }) },
        visits.select(held))
    end)

    it("has a bounded number of writers", function()
      local held = {}
      for _, name in ipairs({ "a", "b", "c" }) do
        held = visits.merge(held, by(name, { [name] = 1 }))
      end

      assert.same({ nil, "there are too many writers", 201 },
        { visits.merge(held, by("d", { d = 1 })) })
    end)

    it("lets writers of a set remove others' elements, but not add them",
      timed(function()
        local set = crdt.orset.type({ signed = true })
        local theirs = crdt.orset.add({}, "ann", "x", 60)
        local function by_bob(state)
          return { publisher = "bob", value = crdt.orset.encode(state) }
        end

        assert.is_nil((set.validate(by_bob(theirs))))
        assert.is_true(set.validate(
          by_bob(crdt.orset.remove(theirs, "bob", "x"))))
      end))

    it("lets a writer of a register write only its own value",
      timed(function()
        local register = crdt.lww.type({ signed = true })
        local function by_bob(writer)
          return { publisher = "bob",
            value = crdt.lww.encode(crdt.lww.set({}, writer, "1")) }
        end

        assert.is_nil((register.validate(by_bob("ann"))))
        assert.is_true(register.validate(by_bob("bob")))
      end))
  end)

  describe("blames its caller for", function()
    local mistakes = {
      ["unknown option 'lief'"] = { lief = 1 },
      ["option 'ttl' must be an integer"] = { ttl = "1" },
      ["option 'max_size' must be in 1 to 8192"] = { max_size = 8193 },
      ["option 'signed' must be a boolean"] = { signed = 1 },
      ["unknown option 'life'"] = { life = 60 },
    }
    for text, options in pairs(mistakes) do
      it("a type with " .. text, function()
        support.assert_blames_caller(text, function()
          local _ = crdt.gcounter.type(options)
        end)
      end)
    end

    local wrong = {
      ["option 'type' is missing"] = {},
      ["a node is needed"] = { type = "a" },
      ["unknown option 'tipe'"] = { tipe = "a" },
      ["option 'secret' must have 64 bytes"] = { type = "a", secret = "x" },
      ["option 'replica' must have 1 to 32"] = { type = "a", replica = "" },
      ["option 'replica' is the public key"] =
        { type = "a", secret = ("s"):rep(64), replica = "a" },
    }
    for text, options in pairs(wrong) do
      it("a replica with " .. text, function()
        support.assert_blames_caller(text, function()
          local _ = crdt.gcounter.open(nil, "key", options)
        end)
      end)
    end

    it("a kind whose operation has the name of a method", function()
      support.assert_blames_caller("an operation cannot be called 'push'",
        function()
          local _ = kinds.new({ ops = { push = function() end } })
        end)
    end)
  end)

  describe("in an overlay", function()
    local types = {
      visits = crdt.gcounter.type({ ttl = 3 * 86400 }),
      stock = crdt.pncounter.type({ signed = true, ttl = 3 * 86400 }),
      topic = crdt.lww.type({ ttl = 3 * 86400 }),
      guests = crdt.orset.type({ signed = true, ttl = 3 * 86400 }),
    }

    local function with_overlay(fn, options)
      return support.spec(function()
        local net <close> = kad.sim({ nodes = 15, seed = 7,
          loss = options and options.loss, policies = { { types = types } } })
        net:perform(fn, net)
      end)
    end

    -- Lets `count` replicas change one key at the same time, each several
    -- times; returns them after they have read the result.
    local function at_once(net, name, kind, count, secret, change)
      local open = {}
      local work = {}
      for i = 1, count do
        open[i] = crdt[kind].open(net.nodes[i], kad.key(name), {
          type = name, secret = secret and kad.keypair().secret or nil,
        })
        work[i] = function()
          for step = 1, 4 do
            change(open[i], i, step)
          end
        end
      end
      kad.all(work)
      for i = 1, count do
        assert(open[i]:push())
      end
      for i = 1, count do
        assert(open[i]:pull())
      end
      return open
    end

    it("loses no count of replicas that count at the same time",
      with_overlay(function(net)
        local open = at_once(net, "visits", "gcounter", 6, false,
          function(replica, i)
            replica:add(i)
          end)
        for i = 1, 6 do
          assert.equal(4 * 21, open[i]:value(), "replica " .. i)
        end
        local value = net.nodes[12]:get(kad.key("visits"), { type = "visits" })
        assert.equal(84, crdt.gcounter.value(crdt.gcounter.decode(value)))
      end))

    it("loses no count when datagrams are lost", with_overlay(function(net)
      local open = at_once(net, "visits", "gcounter", 5, false,
        function(replica)
          replica:add(1) -- a change that is not stored goes with the next
        end)
      for i = 1, 5 do
        assert.equal(20, open[i]:value())
      end
    end, { loss = 0.1 }))

    it("becomes equal after a partition has healed",
      support.spec(function()
        local number, parted = {}, false
        local function policy(node)
          return { types = types, on_request = function(_, ctx)
            local mine, theirs = number[node:addresses()[1]],
              number[ctx.from.address]
            return not (parted and mine and theirs
              and (mine <= 8) ~= (theirs <= 8))
          end }
        end
        local net <close> =
          kad.sim({ nodes = 16, seed = 3, policies = { policy } })
        for i, node in ipairs(net.nodes) do
          number[node:addresses()[1]] = i
        end
        net:perform(function()
          local function open(i)
            return crdt.gcounter.open(net.nodes[i], kad.key("rift"),
              { type = "visits" })
          end
          local west, east = open(2), open(12)
          assert(west:add(1))
          parted = true
          for _ = 1, 5 do
            west:add(1)
            east:add(10)
          end
          assert.is_true(west:value() < 56 and east:value() < 56)
          parted = false
          kad.sleep(600)
          assert(west:push())
          assert(east:push())

          assert.equal(56, west:read())
          assert.equal(56, east:read())
          assert.equal(56, open(7):read())
        end)
      end))

    it("makes the states of signed writers equal", with_overlay(function(net)
      local open = at_once(net, "stock", "pncounter", 5, true,
        function(replica, i, step)
          assert(replica:add(step % 2 == 0 and -i or 2 * i))
        end)
      for i = 1, 5 do
        assert.equal(30, open[i]:value())
      end
    end))

    it("makes the states of a register equal", with_overlay(function(net)
      local open = at_once(net, "topic", "lww", 5, false,
        function(replica, i, step)
          assert(replica:set("by " .. i .. " in " .. step))
        end)
      for i = 2, 5 do
        assert.equal(open[1]:value(), open[i]:value())
      end
      assert.matches("^by %d in 4$", open[1]:value())
    end))

    it("makes the states of a set equal, whose elements expire",
      with_overlay(function(net)
        local open = at_once(net, "guests", "orset", 4, true,
          function(replica, i, step)
            if step < 4 then
              assert(replica:add("guest " .. i .. step, 7200))
            else
              assert(replica:remove("guest " .. i .. 1))
            end
          end)
        for i = 1, 4 do
          assert.same(open[1]:value(), open[i]:value())
          assert.equal(8, #open[i]:value())
        end
        assert(open[1]:remove("guest 42"))
        assert.equal(7, #open[3]:read())
        kad.sleep(7200)
        assert.same({}, open[3]:read())
      end))

    it("lets two programs of one writer take turns",
      with_overlay(function(net)
        local secret = kad.keypair().secret
        local function open(i)
          return crdt.pncounter.open(net.nodes[i], kad.key("two"),
            { type = "stock", secret = secret })
        end
        local one, other = open(1), open(2)
        assert(one:add(5))
        assert(other:add(6))
        assert(one:add(7))

        assert.equal(18, other:read())
      end))

    it("continues with the state of another program of its writer",
      with_overlay(function(net)
        local secret = kad.keypair().secret
        local function open(i)
          return crdt.orset.open(net.nodes[i], kad.key("two"),
            { type = "guests", secret = secret })
        end
        local one, other = open(1), open(2)
        assert(one:add("a"))
        assert(open(5):add("b"))
        assert(other:add("c"))
        assert(one:push()) -- it lacks b and c, and is rejected at first

        assert.same({ "a", "b", "c" }, one:value())
        assert.same({ "a", "b", "c" }, open(9):read())
      end))

    it("fails when a state is full", with_overlay(function(net)
      local set = crdt.orset.open(net.nodes[1], kad.key("full"),
        { type = "guests", secret = kad.keypair().secret })
      local added, info, message, code = 0, true, nil, nil
      while info do
        info, message, code = set:add(("x"):rep(200) .. added)
        added = added + 1
      end

      assert.equal("the state is full", message)
      assert.equal("KAD_ETOOBIG", code)
      assert.equal(added - 1, #set:read())
      assert.is_nil((set:add("")))
    end))
  end)

  it("serves a policy in the sandbox", policies.with([[
    local crdt = require("kadenza.crdt")
    return {
      types = {
        note = crdt.gcounter.type({ ttl = 3600 }),
      },
      rpc = {
        visit = function(request, ctx)
          local visits = crdt.gcounter.open(ctx.node, request.args.key,
            { type = "note" })
          local info, message = visits:add(request.args.n)
          if not info then
            return nil, message
          end
          return { n = visits:value() }
        end,
      },
    }
  ]], function(world)
    local key = kad.key("front door")
    local function visit(n)
      return world.other:call(world.node:addresses()[1], "visit",
        { key = key, n = n })
    end

    assert.equal(2, assert(visit(2)).n)
    assert.equal(5, assert(visit(3)).n)
    assert.is_nil((visit(-1)))
    local value = world.node:get(key, { type = "note" })
    assert.equal(5, crdt.gcounter.value(crdt.gcounter.decode(value)))
  end))

  it("makes kinds that a program defines", support.spec(function()
    local highest = kinds.new({
      check = function(state)
        return math.type(state[1]) ~= "integer" and "no integer" or nil
      end,
      join = function(a, b)
        return { math.max(a[1] or b[1], b[1] or a[1]) }
      end,
      value = function(state)
        return state[1]
      end,
      ops = {
        raise = function(_, _, to)
          return { to }
        end,
      },
    })
    local net <close> = kad.sim({ nodes = 4, seed = 1,
      policies = { { types = { top = highest.type() } } } })
    net:perform(function()
      local function open(i)
        return highest.open(net.nodes[i], kad.key("top"), { type = "top" })
      end
      assert(open(1):raise(5))
      assert(open(2):raise(9))
      assert(open(3):raise(7))
      assert.equal(9, open(4):read())
    end)
  end))
end)
