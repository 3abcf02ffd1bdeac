-- Policies that refine the built-in types: their hooks run after the core's own
-- checks, on stores and on gets.
--
-- Tests scripts/kadenza/policy/compose.lua, bindings/policy, core/replication.

local kad = require("kadenza")
local policy = require("kadenza.policy")
local shared = require("tests.spec.support")
local support = require("tests.spec.support.policy")

local with = support.with

local KEY <const> = kad.key("a torrent")

local function refine(kind, fields)
  return 'local kad = require("kadenza")\nreturn { types = { ' .. kind
    .. " = { " .. fields .. " } } }"
end

-- Announces each port from a node of its own, because a host is one peer, then
-- returns the ports that a get finds.
local function ports_read(world, ports)
  for _, port in ipairs(ports) do
    local peer = assert(world.net:open({}))
    assert(peer:bootstrap(world.node:addresses()))
    peer:announce(KEY, port)
  end
  local peers, message, code = world.node:get_peers(KEY)
  if not peers then
    return nil, message, code
  end
  local read = {}
  for i, peer in ipairs(peers) do
    read[i] = tonumber(peer:match(":(%d+)$"))
  end
  table.sort(read)
  return read
end

local PORT <const> = [[
  local function port(record) return string.unpack(">I2", record.value, 5) end
]]

describe("a policy that refines peers", function()
  it("filters announces", with(PORT .. refine("peers", [[
    validate = function(record, ctx)
      if ctx.reason == "store" and port(record) < 1024 then
        return nil, "a port of a service", 299
      end
      return true
    end ]]), function(world)
      assert(world.other:announce(KEY, 7000))
      local announced, _, _, info = world.other:announce(KEY, 80)
      assert.is_truthy(not announced or info == nil or announced.stored == 1)
      assert.equal(1, #world.node:held(KEY, "peers"))
    end))

  it("filters peers that are read", with(PORT .. refine("peers", [[
    validate = function(record, ctx)
      return ctx.reason ~= "get" or port(record) % 2 == 0
    end ]]), function(world)
      assert.same({ 7000, 7002 }, ports_read(world, { 7000, 7001, 7002 }))
    end))

  it("may remove every peer", with(refine("peers", [[
    validate = function(record, ctx) return ctx.reason ~= "get" end ]]),
    function(world)
      local peers, _, code = ports_read(world, { 7000 })
      assert.is_nil(peers)
      assert.equal("KAD_ENOTFOUND", code)
    end))

  it("selects among peers that are read, even after a wait", with(
    PORT .. refine("peers", [[
      select = function(records, ctx)
        kad.sleep(0.5)
        table.sort(records, function(a, b) return port(a) > port(b) end)
        return { records[1], records[2] }
      end ]]), function(world)
      assert.same({ 7002, 7003 },
        ports_read(world, { 7000, 7001, 7002, 7003 }))
    end))

  it("may return peers of its own, if they are valid", with(refine("peers", [[
    select = function()
      return { { value = "\8\8\8\8\31\64" }, { value = "no peer" } }
    end ]]), function(world)
      assert.same({ 8000 }, ports_read(world, { 7000 }))
    end))

  it("returns all peers if it fails or waits too long", with(refine("peers", [[
    select = function() kad.sleep(1000) end ]]), function(world)
      assert.same({ 7000, 7001 }, ports_read(world, { 7000, 7001 }))
      assert.equal(1, world.hooks()["policy: peers.select"].overruns)
    end))

  it("may wait while its node closes", with(refine("peers", [[
    validate = function(record, ctx)
      if ctx.reason == "get" then kad.sleep(1) end
      return true
    end ]]), function(world)
      world.other:announce(KEY, 7000)
      local ended
      kad.spawn(function()
        ended = table.pack(world.node:get_peers(KEY))
      end)
      kad.sleep(0.5)
      world.node:close()
      kad.sleep(0.1)
      assert.is_nil(ended[1])
      assert.equal("KAD_ECLOSED", ended[3])
    end))

  it("sets their time to live", with(refine("peers",
    "expire = function() return 60 end"), function(world)
      assert(world.other:announce(KEY, 7000))
      kad.sleep(59)
      assert.equal(1, #world.node:held(KEY, "peers"))
      kad.sleep(2)
      assert.equal(0, #world.node:held(KEY, "peers"))
    end))
end)

describe("a policy that refines value", function()
  it("runs after the core's own checks", with(refine("value", [[
    max_size = 10,
    validate = function(record)
      kad.log.info("asked", { size = #record.value })
      return #record.value ~= 5 or nil, "not five"
    end ]]), function(world)
      local VALUE = { type = "value" }
      local stored, _, _, info = world.node:put(KEY, ("x"):rep(11), VALUE)
      assert.is_nil(stored)
      assert.is_true(info == nil or info.krpc ~= 201)
      stored, _, _, info = world.node:put(KEY, ("x"):rep(5), VALUE)
      assert.is_nil(stored)
      assert.equal("not five", info.reason)
      assert(world.node:put(KEY, ("x"):rep(10), VALUE))
      world.after = function()
        local sizes = {}
        for _, event in ipairs(world.events) do
          if event.message == "asked" then
            sizes[#sizes + 1] = event.fields.size
          end
        end
        assert.same({ 5, 10 }, sizes)
      end
    end))

  it("selects one of several", with(refine("value", [[
    select = function(records)
      table.sort(records, function(a, b) return a.value < b.value end)
      return records[1]
    end ]]), function(world)
      for _, value in ipairs({ "c", "a", "b" }) do
        assert(world.other:put(KEY, value))
      end
      assert.equal("a", (world.node:get(KEY)))
      local all = assert(world.node:get(KEY, { all = true }))
      assert.equal(1, #all)
      assert.equal("a", all[1].value)
    end))

  it("is named with the other candidates when a joined hook fails", function()
    local files <close> = support.files()
    local filter = "\nreturn { types = { value = { validate = function(record) "
      .. "return %s end } } }"
    local events = shared.logged(function()
      local net <close> = kad.sim({ join = false })
      local node = assert(net:open({ policies = {
        files:write(filter:format("true"), "a.lua"),
        files:write("\n" .. filter:format("7"), "b.lua"),
      } }))
      net:perform(function()
        assert.is_nil((node:put(KEY, "x")))
      end)
    end)
    assert.equal("a+b: value.validate", events[1].fields.hook)
    assert.matches("returned number where true", events[1].fields.error)
    assert.matches("a%.lua:2, .*b%.lua:3$", events[1].fields.defined)
  end)

  it("may be combined with policies that only filter", function()
    local files <close> = support.files()
    local filter = "return { types = { value = { validate = function(record) "
      .. "return record.value ~= '%s' or nil, '%s' end } } }"
    local net <close> = kad.sim({ join = false })
    local node = assert(net:open({ policies = {
      files:write(filter:format("a", "first"), "a.lua"),
      files:write(refine("value", "select = function(all) return all[1] end"),
        "b.lua"),
      files:write(filter:format("b", "third"), "c.lua"),
    } }))
    net:perform(function()
      for value, reason in pairs({ a = "first", b = "third" }) do
        local stored, _, _, info = node:put(KEY, value)
        assert.is_nil(stored)
        assert.equal(reason, info.reason)
      end
      assert.is_true(policy.stats(node).hooks["a+c: value.validate"].calls >= 2)
    end)
  end)
end)
