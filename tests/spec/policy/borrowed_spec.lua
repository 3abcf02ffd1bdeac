-- What a hook returns lives until the engine has copied it, whatever the
-- collector does.
--
-- Tests bindings/policy/verdict.c, bindings/policy/message.c.

local kad = require("kadenza")
local support = require("tests.spec.support.policy")

local note, with = support.note, support.with

local KEY <const> = kad.key("somewhere")
local NOTE <const> = { type = "note" }
local FIRST <const> = { type = "note", quorum = 1 }

-- Makes `weak(count)`: a weak list of so many records that nothing else holds.
local WEAK <const> = [[
  local kad = require("kadenza")
  local function weak(count, mode)
    local list = {}
    for i = 1, count do
      list[i] = { value = ("%04d"):format(i):rep(20) }
    end
    for i = 1, count do
      setmetatable(list[i], { __mode = mode or "v" })
    end
    return setmetatable(list, { __mode = mode or "v" })
  end
]]

local function whole(value)
  return value == value:sub(1, 4):rep(20)
end

describe("what a hook returns from weak tables", function()
  for _, mode in ipairs({ "v", "k", "kv" }) do
    it("is kept until merge has stored it: " .. mode, with(WEAK
      .. "return { types = { note = { max_values = 4, merge = function() "
      .. "return weak(300, '" .. mode .. "') end } } }", function(world)
        for i = 1, 40 do
          assert(world.node:put(kad.key("key " .. i), "x", NOTE))
        end
        for i = 1, 40 do
          local value = assert(world.node:get(kad.key("key " .. i), FIRST))
          assert.is_true(whole(value), value)
        end
        assert.equal(0, world.hooks()["policy: note.merge"].errors)
      end))
  end

  it("is kept until select has shown it", with(WEAK
    .. "return { types = { note = { select = function() "
    .. "return weak(40) end } } }", function(world)
      assert(world.node:put(KEY, "x", NOTE))
      for _ = 1, 40 do
        local value = assert(world.node:get(KEY, FIRST))
        assert.is_true(whole(value), value)
      end
      assert.equal(0, world.hooks()["policy: note.select"].errors)
    end))

  it("is kept when the hook was pending", with(WEAK
    .. "return { types = { note = { merge = function() "
    .. "kad.sleep(0.01) return weak(40) end, select = function() "
    .. "kad.sleep(0.01) return weak(40)[7] end } } }", function(world)
      for i = 1, 20 do
        assert(world.node:put(kad.key("key " .. i), "x", NOTE))
        local value = assert(world.node:get(kad.key("key " .. i), FIRST))
        assert.equal(("0007"):rep(20), value)
      end
      assert.equal(0, world.hooks()["policy: note.merge"].errors)
      assert.equal(0, world.hooks()["policy: note.select"].errors)
    end))

  it("is kept until a reply, or a reason, is sent", with([[
    local function weak(t) return setmetatable(t, { __mode = "kv" }) end
    return { rpc = {
      reply = function(request)
        local text = ("%04d"):format(request.args.i):rep(20)
        return weak({ text = text, list = weak({ text, text }) })
      end,
      refuse = function(request)
        return nil, ("%04d"):format(request.args.i):rep(20), 299
      end,
    } } ]], function(world)
      for i = 1, 40 do
        local text = ("%04d"):format(i):rep(20)
        local reply = assert(support.call(world, "reply", { i = i }))
        assert.equal(text, reply.text)
        local _, _, _, info = support.call(world, "refuse", { i = i })
        assert.equal(text, info.reason)
      end
    end))
end)

describe("the metatable of what a hook returns", function()
  it("is not asked for fields or lengths", with(note([[
    merge = function(_, record)
      local t = { __len = function() return 7 end }
      t.__index = function() error("asked") end
      return setmetatable({ setmetatable({ value = "merged" }, t) }, t)
    end,
    select = function()
      local t = { __index = function() error("asked") end }
      return setmetatable({ setmetatable({ value = "selected" }, t) }, t)
    end ]]), function(world)
      assert(world.node:put(KEY, "x", NOTE))
      assert.equal("selected", (assert(world.node:get(KEY, FIRST))))
      assert.equal(0, world.hooks()["policy: note.merge"].errors)
      assert.equal(0, world.hooks()["policy: note.select"].errors)
    end))
end)
