-- Every hook may wait, in every way, and every way of ending it works.
--
-- Tests bindings/policy, scripts/kadenza/policy/host.lua.

local kad = require("kadenza")
local support = require("tests.spec.support.policy")

local with, failures = support.with, support.failures

local KEY <const> = kad.key("somewhere")
local NOTE <const> = { type = "note" }

-- What a hook does before it returns; `peer` sent the store or query.
local WAITS <const> = {
  ["sleeps"] = "kad.sleep(0.2)",
  ["looks a key up"] = 'node:get(kad.key("none"), { timeout = 1 })',
  ["calls a node"] = 'node:call(PEER, "echo", { x = 1 })',
  ["pings a node"] = "node:ping(PEER)",
  ["stores a value"] = 'node:put(kad.key("mine"), "x", { timeout = 1 })',
  ["awaits tasks"] = "kad.all({ function() kad.sleep(0.1) end,"
    .. " function() kad.sleep(0.2) end })",
  ["races tasks"] = "kad.race({ function() kad.sleep(0.1) end,"
    .. " function() kad.sleep(9) end })",
  ["gives up in time"] = "kad.timeout(0.1, function() kad.sleep(9) end)",
}

local HEAD <const> = [[
  local kad = require("kadenza")
  local node
  local function wait() WAIT end
  return { deadline = 1.5, on_start = function(own) node = own end, ]]

-- A hook of each kind, and the effect of its verdict.
local KINDS <const> = {
  validate = {
    code = [[types = { note = { validate = function(record) wait()
      return record.value == "good" or nil, "no good" end } }]],
    check = function(world)
      assert(world.node:put(KEY, "good", NOTE))
      local stored, message = world.node:put(KEY, "bad", NOTE)
      assert.is_nil(stored)
      assert.matches("no good", message)
      assert.equal("good", (world.node:get(KEY, NOTE)))
    end,
  },
  merge = {
    code = [[types = { note = { merge = function(held, record) wait()
      return { { value = held[1] and held[1].value .. record.value
        or record.value } } end } }]],
    check = function(world)
      assert(world.node:put(KEY, "a", NOTE))
      assert(world.node:put(KEY, "b", NOTE))
      local own = world.node:held(KEY, "note")
      assert.equal("ab", own[1].value)
    end,
  },
  select = {
    code = [[types = { note = { select = function(records) wait()
      return { value = "chosen " .. records[1].value } end } }]],
    check = function(world)
      assert(world.node:put(KEY, "a", NOTE))
      assert.equal("chosen a", (world.node:get(KEY, NOTE)))
    end,
  },
  expire = {
    code = [[types = { note = { ttl = 9000, expire = function() wait()
      return 77 end } }]],
    check = function(world)
      assert(world.other:put(KEY, "a", NOTE))
      kad.sleep(3)
      local own = world.node:held(KEY, "note")
      assert.is_true(own[1].ttl <= 77)
    end,
  },
  republish = {
    code = [[types = { note = { republish = function() wait()
      return 100 end } }]],
    check = function(world)
      assert(world.node:put(KEY, "a", NOTE))
      kad.sleep(4500)
      assert.is_true(world.hooks()["policy: note.republish"].calls >= 3)
    end,
  },
  on_request = {
    code = [[on_request = function(request)
      if request.method ~= "hello" then return true end
      wait() return request.args.x == 1 or nil, "not one"
    end, rpc = { hello = function() return { text = "hi" } end }]],
    check = function(world)
      local address = world.node:addresses()[1]
      assert.equal("hi", world.other:call(address, "hello", { x = 1 }).text)
      local _, _, _, info = world.other:call(address, "hello", { x = 2 })
      assert.equal("not one", info.reason)
    end,
  },
  on_contact = {
    code = "on_contact = function() wait() return false end",
    check = function(world)
      kad.sleep(20)
      assert.same({}, world.node:contacts())
    end,
  },
  rpc = {
    code = [[rpc = { hello = function(request) wait()
      return { twice = request.args.x * 2 } end }]],
    check = function(world)
      local address = world.node:addresses()[1]
      assert.equal(42,
        world.other:call(address, "hello", { x = 21 }).twice)
    end,
  },
  on_store = {
    code = [[types = { note = {} }, on_store = function(record) wait()
      kad.log.info("stored " .. record.value) end]],
    skips = "stores a value", -- it would hear of that, too
    check = function(world)
      assert(world.node:put(KEY, "a", NOTE))
      kad.sleep(3)
      world.logs = "stored a"
    end,
  },
  on_expire = {
    code = [[types = { note = { ttl = 5 } }, on_expire = function(record)
      wait() kad.log.info("gone " .. record.value) end]],
    check = function(world)
      assert(world.node:put(KEY, "a", NOTE))
      kad.sleep(60)
      world.logs = "gone a"
    end,
  },
}

-- Returns the policy of a kind whose hook waits in one way.
local function policy_of(kind, code, peer)
  local waits = code:gsub("PEER", '"' .. peer .. '"')
  return (HEAD .. kind.code .. " }"):gsub("WAIT", waits)
end

describe("a hook that waits:", function()
  for name, kind in pairs(KINDS) do
    for way, code in pairs(WAITS) do
      -- The neighbour is the second node of the simulation.
      local text = policy_of(kind, code, "20.0.2.1:6881")
      local body = with(text, function(world)
        kad.sleep(1)
        kind.check(world)
        kad.sleep(3)

        for _, hook in pairs(world.hooks()) do
          assert.equal(0, hook.errors)
        end
        world.after = function()
          assert.same({}, failures(world.events))
          if world.logs then
            assert.equal(world.logs, world.events[#world.events].message)
          end
        end
      end)
      if way ~= kind.skips then
        it(name .. " " .. way, body)
      end
    end
  end
end)

-- A hook that never ends by itself, and logs that it was ended.
local ENDLESS <const> = [[
  local kad = require("kadenza")
  local function wait()
    local _ <close> = setmetatable({}, { __close = function()
      kad.log.info("closed")
    end })
    kad.sleep(1e6)
  end
  return { deadline = 1.5, ]]

-- The kinds of hooks that wait, and the default verdict after they are ended.
local ENDED <const> = {
  validate = {
    code = "types = { note = { validate = wait } } }",
    begin = function(world)
      return (world.other:put(KEY, "a", NOTE))
    end,
    default = function(world)
      assert.same({}, world.node:held(KEY, "note"))
    end,
  },
  merge = {
    code = [[types = { note = { merge = function(held, record)
      if record.value ~= "a" then return { record } end
      wait() end } } }]],
    prepare = function(world)
      assert(world.node:put(KEY, "first", NOTE))
    end,
    begin = function(world)
      return (world.other:put(KEY, "a", NOTE))
    end,
    default = function(world)
      assert.equal("first", world.node:held(KEY, "note")[1].value)
    end,
  },
  expire = {
    code = "types = { note = { ttl = 500, expire = wait } } }",
    begin = function(world)
      return (world.other:put(KEY, "a", NOTE))
    end,
    default = function(world)
      local held = world.node:held(KEY, "note")[1]
      assert.is_true(held.ttl > 400 and held.ttl <= 500)
    end,
  },
  rpc = {
    code = "rpc = { hello = wait } }",
    begin = function(world)
      return (world.other:call(world.node:addresses()[1], "hello"))
    end,
    default = function() end,
  },
}

local function closed(events)
  local count = 0
  for _, event in ipairs(events) do
    count = count + (event.message == "closed" and 1 or 0)
  end
  return count
end

describe("a hook that does not end by itself", function()
  for name, kind in pairs(ENDED) do
    local function ended_by(what, finish, check)
      it(("of %s is ended by %s, and the default holds"):format(name, what),
        with(ENDLESS .. kind.code, function(world)
          if kind.prepare then
            kind.prepare(world)
          end
          local asking = kad.spawn(kind.begin, world)
          kad.sleep(0.6)
          assert.equal(1, world.node:stats().pending_hooks)
          finish(world)
          kad.sleep(3)

          check(world, kind)
          assert.is_true(asking:status() ~= "running" or asking:cancel())
          world.after = function()
            assert.equal(1, closed(world.events))
          end
        end))
    end

    ended_by("its deadline", function()
      kad.sleep(1)
    end, function(world)
      assert.equal(0, world.node:stats().pending_hooks)
      kind.default(world)
      for _, hook in pairs(world.hooks()) do
        assert.is_true(hook.overruns == hook.errors)
      end
    end)

    ended_by("the end of its node", function(world)
      world.node:close()
    end, function() end)
  end

  it("is ended when the source of the query closes", with([[
    local kad = require("kadenza")
    return { deadline = 100, types = { note = { select = function()
      local _ <close> = setmetatable({}, { __close = function()
        kad.log.info("closed")
      end })
      kad.sleep(1e6)
    end } } } ]], function(world)
      assert(world.node:put(KEY, "a", NOTE))
      local asking = kad.spawn(world.node.get, world.node, KEY, NOTE)
      kad.sleep(0.6)
      assert.equal(1, world.node:stats().pending_hooks)
      asking:cancel()
      kad.sleep(0.6)

      assert.equal(0, world.node:stats().pending_hooks)
      assert.equal(0, world.hooks()["policy: note.select"].errors)
      world.after = function()
        assert.equal(1, closed(world.events))
        assert.same({}, failures(world.events))
      end
    end))

  it("continues in its policy after a reload, until its "
    .. "deadline", with(ENDLESS .. "rpc = { hello = wait } }", function(world)
      local asking = kad.spawn(world.other.call, world.other,
        world.node:addresses()[1], "hello")
      kad.sleep(0.6)
      assert(world.node:reload())
      assert.equal("running", asking:status())
      kad.sleep(3)

      local reply, _, _, info = asking:await()
      assert.is_nil(reply)
      assert.equal(202, info.krpc)
      assert.equal(0, world.node:stats().pending_hooks)
      world.after = function()
        assert.equal(1, closed(world.events))
      end
    end))
end)
