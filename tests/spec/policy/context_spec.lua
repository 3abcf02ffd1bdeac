-- The context of each hook: reason, time and source, for record types of
-- policies and for built-in types.
--
-- Tests bindings/policy, core/engine.

local kad = require("kadenza")
local support = require("tests.spec.support.policy")

local with = support.with

local KEY <const> = kad.key("somewhere")

-- Returns a policy for `kind` whose hooks log their contexts.
local function telling(kind)
  return ([[
    local kad = require("kadenza")
    local function tell(hook, place, answer)
      return function(...)
        local ctx = select(place, ...)
        local record = select(hook == "merge" and 2 or 1, ...)
        record = hook == "select" and record[1] or record
        local from = ctx.from
        kad.log.info("hook", {
          hook = hook, reason = ctx.reason, now = ctx.now,
          node = kad.hex(ctx.node:id()), value = record.value,
          ttl = record.ttl, age = record.age,
          from = from and kad.hex(from.id), address = from and from.address,
          proven = from and from.proven,
        })
        return answer(...)
      end
    end
    local function accept() return true end
    return {
      types = { ["KIND"] = {
        validate = tell("validate", 2, accept),
        merge = tell("merge", 3, function(held, record)
          table.insert(held, record)
          return held
        end),
        select = tell("select", 2, function(records) return records end),
        expire = tell("expire", 2, function() return 5000 end),
        republish = tell("republish", 2, function() return 600 end),
      } },
      on_store = tell("on_store", 2, accept),
      on_expire = tell("on_expire", 2, accept),
    } ]]):gsub("KIND", kind)
end

-- Runs `act(world)`, then `check(logged, peers)` with what the hooks logged.
local function told(kind, act, check)
  return with(telling(kind), function(world)
    local id, other = kad.hex(world.node:id()), world.other
    local peers = { node = id, from = kad.hex(other:id()),
      address = other:addresses()[1] }
    act(world)
    world.after = function()
      local list = {}
      for _, event in ipairs(world.events) do
        if event.message == "hook" then
          assert.equal(peers.node, event.fields.node)
          table.insert(list, event.fields)
        end
      end
      check(list, peers)
    end
  end)
end

local function names(list)
  local all = {}
  for i, fields in ipairs(list) do
    all[i] = fields.hook
  end
  return table.concat(all, " ")
end

local function put(from, kind)
  return function(world)
    local node = world[from]
    if kind == "peers" then
      assert(node:announce(KEY, 7000))
    else
      assert(node:put(KEY, "x", { type = kind }))
    end
  end
end

for _, kind in ipairs({ "note", "value", "peers" }) do
  describe("the hooks of " .. kind, function()
    it("receive the source, reason and time of a store", told(kind,
      put("other", kind), function(list, peers)
        assert.equal("validate merge expire on_store", names(list))
        for _, fields in ipairs(list) do
          assert.equal("store", fields.reason)
          assert.equal(peers.from, fields.from)
          assert.equal(peers.address, fields.address)
          assert.equal(true, fields.proven)
          assert.is_true(fields.now > 5)
          assert.equal(list[1].now, fields.now)
          assert.equal(list[1].value, fields.value)
        end
        assert.equal(5000, list[4].ttl)
      end))

    it("receive the reason expire when a record expires", told(kind,
      function(world)
        put("other", kind)(world)
        world.other:close() -- it would republish the record
        kad.sleep(5001)
      end, function(list)
        local last = list[#list]
        assert.equal("on_expire", last.hook)
        assert.equal("expire", last.reason)
        assert.is_nil(last.from)
        assert.equal(5000, last.age)
        assert.equal(0, last.ttl)
      end))
  end)
end

for _, kind in ipairs({ "note", "value" }) do
  describe("the hooks of " .. kind, function()
    it("receive no source when the node itself stores", told(kind,
      put("node", kind), function(list)
        assert.equal("validate merge expire on_store", names(list))
        for _, fields in ipairs(list) do
          assert.equal("store", fields.reason)
          assert.is_nil(fields.from)
          assert.is_nil(fields.proven)
        end
      end))

    it("receive the reason get for records of a get", told(kind,
      function(world)
        assert(world.other:put(KEY, "x", { type = kind }))
        assert.equal("x", (world.node:get(KEY, { type = kind })))
      end, function(list)
        local read = { table.unpack(list, 5) }
        assert.equal("validate merge select", names(read))
        for _, fields in ipairs(read) do
          assert.equal("get", fields.reason)
          assert.is_nil(fields.from)
        end
      end))

    it("receive the reason republish when a record is due", told(kind,
      function(world)
        assert(world.node:put(KEY, "x", { type = kind }))
        world.other:close() -- or it may store the record again before
        kad.sleep(4700)
      end, function(list)
        local count = 0
        for _, fields in ipairs(list) do
          if fields.hook == "republish" then
            count = count + 1
            assert.equal("republish", fields.reason)
            assert.equal("x", fields.value)
            assert.is_true(fields.age > 0)
            assert.is_true(fields.ttl > 0)
            assert.is_nil(fields.from)
          end
        end
        assert.is_true(count >= 2) -- hourly at first, then each 600 s
      end))
  end)
end

describe("a hook without a record", function()
  it("has no reason, but a source and a time", with([[
    local kad = require("kadenza")
    local function tell(name, answer)
      return function(subject, ctx)
        kad.log.info("hook", { hook = name, reason = ctx.reason, now = ctx.now,
          node = kad.hex(ctx.node:id()),
          from = ctx.from and ctx.from.address })
        return answer
      end
    end
    return {
      on_request = tell("on_request", true),
      on_contact = tell("on_contact", true),
      rpc = { run = tell("rpc", {}) },
    } ]], function(world)
      local address = world.other:addresses()[1]
      local id = kad.hex(world.node:id())
      assert(world.other:call(world.node:addresses()[1], "run"))
      world.after = function()
        local seen = {}
        for _, event in ipairs(world.events) do
          local fields = event.fields
          if event.message == "hook" then
            seen[fields.hook] = true
            assert.is_nil(fields.reason)
            assert.equal(address, fields.from)
            assert.equal(id, fields.node)
            assert.is_true(fields.now >= 0)
          end
        end
        assert.same({ on_request = true, on_contact = true, rpc = true }, seen)
      end
    end))
end)

describe("a record that another holder republishes", function()
  it("has the reason republish", with([[
    local kad = require("kadenza")
    return { types = { value = { republish = false,
      validate = function(record, ctx)
        kad.log.info("asked", { reason = ctx.reason,
          from = ctx.from and ctx.from.address })
        return true
      end } } } ]], function(world)
      local address = world.other:addresses()[1]
      assert(world.other:put(KEY, "x"))
      kad.sleep(4500)
      world.after = function()
        local reasons = {}
        for _, event in ipairs(world.events) do
          if event.message == "asked" then
            reasons[#reasons + 1] = event.fields.reason
            assert.equal(address, event.fields.from)
          end
        end
        assert.equal("store republish", table.concat(reasons, " ", 1, 2))
      end
    end))
end)

describe("a record that is replaced by another", function()
  it("expires with the reason store", with([[
    local kad = require("kadenza")
    return {
      types = { note = { merge = function(held, record)
        return { record }
      end } },
      on_expire = function(record, ctx)
        kad.log.info("dropped", { value = record.value, reason = ctx.reason })
      end,
    } ]], function(world)
      assert(world.node:put(KEY, "a", { type = "note" }))
      assert(world.node:put(KEY, "b", { type = "note" }))
      world.after = function()
        local dropped = {}
        for _, event in ipairs(world.events) do
          if event.message == "dropped" then
            table.insert(dropped, event.fields)
          end
        end
        assert.same({ { value = "a", reason = "store" } }, dropped)
      end
    end))
end)
