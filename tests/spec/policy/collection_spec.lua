-- What the host borrows from a script is held while all garbage is collected at
-- each allocation of the policies' state, in both modes of the collector.
--
-- Tests bindings/policy/hook_run.c, bindings/policy/verdict.c,
-- bindings/policy/view.c, bindings/policy/message.c.

local collector = require("tests.collector")
local kad = require("kadenza")
local policy = require("kadenza.policy")
local support = require("tests.spec.support")
local policies = require("tests.spec.support.policy")

local KEY <const> = kad.key("somewhere")
local NOTE <const> = { type = "note" }
local FIRST <const> = { type = "note", quorum = 1 }

-- The head of each policy. It watches its state. `made(i)` is 80 bytes that it
-- makes. Nothing else holds the items of a `list`, once it is returned: a list
-- that passes through the scheduler first, or has more levels, must be strong.
local HEAD <const> = [[
  local kad = require("kadenza")
  local collector = require("tests.collector")
  collector.watch()
  collector.mode(MODE)
  local function made(i) return ("%04d"):format(i):rep(20) end
  local function weak(t) return setmetatable(t, { __mode = "kv" }) end
  local function list(count)
    local all = {}
    for i = 1, count do all[i] = weak({ value = made(i), ttl = 3600 + i }) end
    return all
  end
  local function weak_list(count) return weak(list(count)) end
  local function note(fields)
    return { types = { note = fields }, deadline = 60 }
  end
]]

local function open_world(files, text, mode)
  local net = kad.sim({ join = false, seed = 1, config = { limits = false } })
  local path = files:write(HEAD:gsub("MODE", ("%q"):format(mode)) .. text)
  local world = { net = net }
  world.node =
    assert(net:open({ policies = { { file = path, trusted = true } } }))
  world.other = assert(net:open({ policies = { policies.plain_policy() } }))
  function world.call(name, args)
    return world.other:call(world.node:addresses()[1], name, args)
  end
  function world.assert_no_errors()
    for name, hook in pairs(policy.stats(world.node).hooks) do
      assert.equal(0, hook.errors, name)
    end
  end
  return world
end

-- Collects at each allocation while `fn` runs, and asserts that it was so.
local function collecting(fn, ...)
  local before = collector.count()
  collector.every(1)
  local _ <close> = setmetatable({}, { __close = function()
    collector.every(0)
  end })
  fn(...)
  assert.is_true(collector.count() > before + 10)
end

-- Defines a test for each mode of the collector: a policy, and what is done to
-- its node. The other node does not join if it is `apart`: their codecs differ.
local function it_holds(name, text, fn, apart)
  for _, mode in ipairs({ "incremental", "generational" }) do
    it(name .. ", " .. mode, support.spec(function()
      local files <close> = policies.files()
      local world = open_world(files, text, mode)
      local net <close> = world.net
      local events = support.logged(function()
        net:perform(function()
          if not apart then
            assert(world.other:bootstrap(world.node:addresses()))
            kad.sleep(5)
          end
          collecting(fn, world)
        end)
      end)
      assert.same({}, policies.failures(events))
      world.assert_no_errors()
    end))
  end
end

local function made(i)
  return ("%04d"):format(i):rep(20)
end

local function assert_list(records, count)
  local seen = {}
  for _, record in ipairs(records) do
    seen[#seen + 1] = record.value or record
  end
  table.sort(seen)
  for i = 1, count do
    assert.equal(made(i), seen[i])
  end
  assert.equal(count, #seen)
end

describe("with a collection at each allocation", function()
  it_holds("merge gives its list", [[
    return note({ merge = function() return weak_list(20) end }) ]],
    function(world)
      assert(world.node:put(KEY, "x", NOTE))
      assert_list(world.node:held(KEY, "note"), 20)
    end)

  it_holds("merge gives what it was given", [[
    return note({ max_values = 8, merge = function(held, record)
      local all = weak({ record, weak(record:copy()) })
      for i = 1, #held do all[#all + 1] = held[i] end
      all[2].value = made(2)
      return all
    end }) ]], function(world)
      assert(world.node:put(KEY, made(1), NOTE))
      assert_list(world.node:held(KEY, "note"), 2)
    end)

  it_holds("merge gives its list after waiting", [[
    return note({ merge = function()
      kad.sleep(0.1)
      return list(7)
    end }) ]], function(world)
      assert(world.other:put(KEY, "x", NOTE))
      assert_list(world.node:held(KEY, "note"), 7)
    end)

  it_holds("select gives records", [[
    return note({ select = function() return weak_list(7) end }) ]],
    function(world)
      assert(world.node:put(KEY, "x", NOTE))
      assert_list(assert(world.node:get(KEY, { type = "note", all = true })),
        7)
    end)

  it_holds("select gives a record after waiting", [[
    return note({ select = function(records)
      kad.sleep(0.1)
      return weak({ value = made(#records) })
    end }) ]], function(world)
      assert(world.node:put(KEY, "x", NOTE))
      assert.equal(made(1), (assert(world.node:get(KEY, FIRST))))
    end)

  it_holds("validate gives a reason", [[
    return note({ validate = function(record)
      return nil, made(#record.value), 299
    end }) ]], function(world)
      local stored, message = world.node:put(KEY, "xyz", NOTE)
      assert.is_nil(stored)
      assert.is_truthy(message:find(made(3), 1, true), message)
    end)

  it_holds("seconds are taken, and records are shown", [[
    local seen = {}
    return {
      types = { note = {
        expire = function(record) return #record.value * 100.0 end,
        republish = function(record) return #record.value * 10.0 end,
      } },
      on_store = function(record, ctx)
        seen[#seen + 1] = record:copy().value .. ctx.reason
      end,
      on_expire = function(record, ctx)
        seen[#seen + 1] = record:copy().value .. ctx.reason
      end,
      rpc = { seen = function() return { seen = weak(seen) } end },
    } ]], function(world)
      assert(world.node:put(KEY, "xyz", NOTE))
      assert.equal(300, world.node:held(KEY, "note")[1].ttl)
      kad.sleep(301)
      assert.same({ "xyzstore", "xyzexpire" }, world.call("seen").seen)
    end)

  it_holds("rpc gives replies and reasons", [[
    return { rpc = {
      now = function(request)
        local n = request.args.n
        return { text = made(n), list = weak({ made(n), made(n) }) }
      end,
      later = function(request)
        kad.sleep(0.1)
        return weak({ text = made(request.args.n) })
      end,
      never = function(request) return nil, made(request.args.n), 299 end,
    } } ]], function(world)
      local reply = assert(world.call("now", { n = 4 }))
      assert.same({ made(4), made(4) }, reply.list)
      assert.equal(made(4), reply.text)
      assert.equal(made(5), assert(world.call("later", { n = 5 })).text)
      local _, _, _, details = world.call("never", { n = 6 })
      assert.equal(made(6), details.reason)
    end)

  it_holds("on_request gives a reason", [[
    return { on_request = function(request, ctx)
      if request.method ~= "sing" then return true end
      return nil, made(#ctx.from.id), 299
    end } ]], function(world)
      local _, _, _, details = world.call("sing")
      assert.equal(made(20), details.reason)
    end)

  it_holds("timers and coroutines go on", [[
    local sum = 0
    return {
      every = { { seconds = 1, run = function(node)
        for value in coroutine.wrap(function()
          for i = 1, 3 do
            kad.sleep(0.01)
            coroutine.yield(weak({ made(i) }))
          end
        end) do
          sum = sum + #value[1]
        end
      end } },
      rpc = { sum = function() return { sum = sum } end },
    } ]], function(world)
      kad.sleep(5)
      assert.is_true(assert(world.call("sum")).sum >= 3 * 240)
    end)

  it_holds("a state is taken along", [[
    local calls = 0
    return {
      name = "count", version = 1,
      rpc = { run = function()
        calls = calls + 1
        return { calls = calls }
      end },
      save = function()
        return { calls = calls, list = { made(1), made(2) } }
      end,
      restore = function(state)
        assert(state.list[1] == made(1) and state.list[2] == made(2))
        calls = state.calls
      end,
    } ]], function(world)
      assert.equal(1, world.call("run").calls)
      collector.every(50) -- to compile with all of them takes too long
      assert(world.node:reload())
      collector.every(1)
      assert.equal(2, world.call("run").calls)
    end)

  it_holds("a codec gives bytes and messages", [[
    return { codec = {
      encode = function(message)
        for _, name in ipairs({ "want4", "want6", "implied_port",
          "read_only" }) do
          message[name] = message[name] and 1
        end
        return kad.bencode.encode(message)
      end,
      decode = function(bytes)
        local message = kad.bencode.decode(bytes)
        if not message then return nil end
        for _, name in ipairs({ "want4", "want6", "implied_port",
          "read_only" }) do
          message[name] = message[name] == 1 or nil
        end
        for _, record in ipairs(message.records or {}) do
          weak(record)
        end
        return message
      end,
    } } ]], function(world)
      collector.every(50)
      local node = assert(world.net:open({ policies = world.node.policies }))
      collector.every(1)
      assert(node:bootstrap(world.node:addresses()))
      assert(node:put(KEY, "plain"))
      assert.equal("plain", (assert(world.node:get(KEY))))
    end, true)
end)
