local crdt = require("kadenza.crdt")
local kad = require("kadenza")
local support = require("tests.spec.support")

local seed = tonumber(os.getenv("SEED")) or os.time()
local NOW <const> = 1600000000
local ROUNDS <const> = 300

local function pick(list)
  return list[math.random(#list)]
end

local replicas = { "ann", "bob", "eve", "\0\255" }
local elements = { "x", "y", "z", ("e"):rep(40) }

-- Random changes of each kind, by replica `who` at `now`.
local changes = {
  gcounter = function(state, who)
    return crdt.gcounter.add(state, who, math.random(1, 9))
  end,
  pncounter = function(state, who)
    return crdt.pncounter.add(state, who, math.random(-9, 9))
  end,
  lww = function(state, who, now)
    return crdt.lww.set(state, who, pick(elements), now)
  end,
  orset = function(state, who, now)
    if math.random() < 0.4 then
      return crdt.orset.remove(state, who, pick(elements))
    end
    return crdt.orset.add(state, who, pick(elements), math.random(1, 50), now)
  end,
}
local names = { "gcounter", "pncounter", "lww", "orset" }

-- Makes states that contain parts of each other, as replicas do.
local function states_of(name, count, steps)
  local states = {}
  for i = 1, count do
    states[i] = {}
  end
  for step = 1, steps do
    local i = math.random(count)
    if math.random() < 0.2 then
      states[i] = crdt[name].join(states[i], pick(states))
    else
      states[i] = assert(changes[name](states[i], replicas[i], NOW + step))
    end
  end
  return states
end

-- Bencode of any shape.
local function garbage(depth)
  local kind = math.random(depth > 3 and 2 or 4)
  if kind == 1 then
    return pick({ 0, 1, -1, 2, 3, math.maxinteger, math.mininteger, 1 << 53,
      math.random(0) })
  elseif kind == 2 then
    return pick({ "", "a", "x", ("k"):rep(33), ("k"):rep(300), "1" })
  end
  local made = {}
  for i = 1, math.random(0, 3) do
    local key = kind == 3 and i
      or pick({ "", "a", "b", "x", ("k"):rep(33), ("k"):rep(300) })
    made[key] = garbage(depth + 1)
  end
  return made
end

describe("kadenza.crdt", function()
  setup(function()
    math.randomseed(seed)
  end)

  for _, name in ipairs(names) do
    describe(name .. " (seed " .. seed .. ")", function()
      local kind = crdt[name]

      -- Equal states have equal bytes.
      local function same(a, b)
        if kind.encode(a) ~= kind.encode(b) then
          error("seed " .. seed .. ": " .. kind.encode(a) .. " is not "
            .. kind.encode(b), 2)
        end
      end

      local function for_states(count, check)
        for _ = 1, ROUNDS do
          check(table.unpack(states_of(name, count, math.random(0, 30))))
        end
      end

      it("joins in any order: commutative", function()
        for_states(2, function(a, b)
          same(kind.join(a, b), kind.join(b, a))
        end)
      end)

      it("joins in any grouping: associative", function()
        for_states(3, function(a, b, c)
          same(kind.join(kind.join(a, b), c), kind.join(a, kind.join(b, c)))
        end)
      end)

      it("joins a state twice without a change: idempotent", function()
        for_states(2, function(a, b)
          same(a, kind.join(a, a))
          same(kind.join(a, b), kind.join(kind.join(a, b), b))
        end)
      end)

      it("keeps these laws when expired parts are dropped at any time",
        function()
        for_states(3, function(a, b, c)
          local now = NOW + math.random(0, 90)
          local function join(x, y)
            return kind.prune(kind.join(x, y), now)
          end
          local whole = kind.prune(kind.join(a, kind.join(b, c)), now)
          same(whole, join(kind.prune(c, now), join(b, kind.prune(a, now))))
          same(kind.prune(whole, now), whole)
          assert.same(kind.value(whole, now),
            kind.value(kind.join(a, kind.join(b, c)), now))
        end)
      end)

      it("contains its former state after each change", function()
        for_states(1, function(a)
          local more = assert(changes[name](a, "ann", NOW + 99))
          same(more, kind.join(a, more))
        end)
      end)

      it("does not change its arguments", function()
        for_states(2, function(a, b)
          local before_a, before_b = kind.encode(a), kind.encode(b)
          kind.join(a, b)
          changes[name](a, "ann", NOW + 99)
          kind.prune(b, NOW + 40)
          assert.equal(before_a, kind.encode(a))
          assert.equal(before_b, kind.encode(b))
        end)
      end)

      it("decodes what it encodes", function()
        for_states(1, function(a)
          local bytes = kind.encode(a)
          if #bytes <= 1000 and next(a) then
            same(a, assert(kind.decode(bytes, NOW)))
          end
        end)
      end)

      it("decodes from garbage only what it would encode", function()
        for _ = 1, 5000 do
          local bytes = kad.bencode.encode(garbage(0))
          local state, problem = kind.decode(bytes, NOW)
          if state then
            assert.equal(bytes, kind.encode(state))
            kind.value(state, NOW)
            kind.encode(kind.join(state, states_of(name, 1, 5)[1]))
          else
            assert.is_string(problem)
          end
        end
      end)

      it("rejects bytes with random changes", function()
        for_states(1, function(a)
          local bytes = kind.encode(a)
          local at = math.random(#bytes)
          local changed = bytes:sub(1, at - 1)
            .. string.char(math.random(0, 255)) .. bytes:sub(at + 1)
          local state = kind.decode(changed, NOW)
          if state then
            assert.equal(changed, kind.encode(state))
          end
        end)
      end)

      it("rejects malformed states with a reason", function()
        for _, bytes in ipairs({ "", "i1e", "1:a", "garbage", "d1:ai1e",
          "d1:b1:xe", "d0:i1ee", "li1ee", "de", "d1:ad1:bd1:cdeeee",
          "d1:ai-1ee", ("x"):rep(5000) })
        do
          local state, problem = kind.decode(bytes, NOW)
          assert.is_nil(state)
          assert.is_string(problem)
        end
        support.assert_blames_caller("a state's bytes are needed", function()
          kind.decode(nil)
        end)
      end)
    end)
  end

  describe("gcounter", function()
    local g = crdt.gcounter

    it("sums the counts of all replicas", function()
      local a = g.add(g.add({}, "ann"), "ann", 2)
      local b = g.add({}, "bob", 5)

      assert.equal(0, g.value({}))
      assert.equal(8, g.value(g.join(a, b)))
    end)

    it("accepts only positive integers, with a sum below 2^53", function()
      for _, n in ipairs({ 0, -1, 1.5, "1", 1 << 53, math.maxinteger }) do
        local state, problem = g.add({ ann = 1 }, "ann", n)
        assert.is_nil(state)
        assert.matches("positive integer", problem)
      end
    end)
  end)

  describe("pncounter", function()
    local pn = crdt.pncounter

    it("counts up and down", function()
      local a = pn.add(pn.add({}, "ann", 5), "ann", -7)
      local b = pn.add({}, "bob", 1)

      assert.equal(-1, pn.value(pn.join(a, b)))
    end)

    it("accepts only integers", function()
      for _, n in ipairs({ 1.5, "1", 1 << 60, math.mininteger }) do
        assert.is_nil((pn.add({}, "ann", n)))
      end
    end)
  end)

  describe("lww", function()
    local lww = crdt.lww

    it("keeps the last write, even if its clock is behind", function()
      local first = lww.set({}, "ann", "one", NOW)
      local second = lww.set(first, "bob", "two", NOW - 1000)

      assert.is_nil(lww.value({}))
      assert.equal("two", lww.value(lww.join(first, second)))
    end)

    it("keeps the same of two writes at one time everywhere", function()
      local a = lww.set({}, "ann", "one", NOW)
      local b = lww.set({}, "bob", "two", NOW)

      assert.equal("two", lww.value(lww.join(a, b)))
      assert.equal("two", lww.value(lww.join(b, a)))
    end)

    it("rejects a write of the future", function()
      local state = lww.set({}, "ann", "one", NOW + 301)

      assert.same({ nil, "it is written in the future" },
        { lww.decode(lww.encode(state), NOW) })
      assert.is_table(lww.decode(lww.encode(state), NOW + 1))
    end)
  end)

  describe("orset", function()
    local set = crdt.orset

    it("adds, removes and adds again", function()
      local state = set.add({}, "ann", "x", 60, NOW)
      state = set.add(state, "ann", "a", 60, NOW)
      assert.same({ "a", "x" }, set.value(state, NOW))
      state = set.remove(state, "bob", "x")
      assert.same({ "a" }, set.value(state, NOW))
      assert.is_false(set.has(state, "x", NOW))
      state = set.add(state, "ann", "x", 60, NOW)
      assert.same({ "a", "x" }, set.value(state, NOW))
      assert.is_true(set.has(state, "x", NOW))
    end)

    it("keeps an element that one adds while another removes it", function()
      local both = set.add({}, "ann", "x", 60, NOW)
      local removed = set.remove(both, "bob", "x")
      local again = set.add(both, "eve", "x", 60, NOW)

      assert.same({ "x" }, set.value(set.join(removed, again), NOW))
    end)

    it("removes the adds that it has seen, in any order", function()
      local both = set.add(set.add({}, "ann", "x", 60, NOW), "eve", "x", 60,
        NOW)
      local removed = set.remove(both, "bob", "x")

      assert.same({}, set.value(set.join(removed, both), NOW))
      assert.same({}, set.value(set.join(both, removed), NOW))
    end)

    it("drops elements and tombstones, and neither reappears", function()
      local old = set.add({}, "ann", "x", 60, NOW)
      local removed = set.remove(old, "bob", "x")
      local later = NOW + 60

      assert.same({}, set.prune(removed, later))
      assert.is_table(next(set.prune(removed, later - 1)) and {})
      -- A replica that missed the removal is joined after the tombstone
      -- expired.
      local joined = set.join(set.prune(removed, later), old)
      assert.same({}, set.value(joined, later))
      assert.same({}, set.prune(joined, later))
    end)

    it("rejects elements with too long a life", function()
      local state = set.add({}, "ann", "x", 2592000, NOW + 301)

      assert.is_nil((set.decode(set.encode(state), NOW)))
      assert.is_table(set.decode(set.encode(state), NOW + 1))
    end)

    it("names the reason why it cannot add", function()
      assert.matches("256 bytes", select(2, set.add({}, "a", "", 1, NOW)))
      assert.matches("256 bytes",
        select(2, set.add({}, "a", ("x"):rep(257), 1, NOW)))
      assert.matches("30 days", select(2, set.add({}, "a", "x", 0, NOW)))
      assert.matches("30 days", select(2, set.add({}, "a", "x", 1e7, NOW)))
    end)
  end)
end)
