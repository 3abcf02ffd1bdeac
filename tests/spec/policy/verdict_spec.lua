-- What hooks may return, and what happens to other values.
--
-- Tests bindings/policy.

local kad = require("kadenza")
local policy = require("kadenza.policy")
local support = require("tests.spec.support.policy")

local with, failures = support.with, support.failures
local call, note, rpc = support.call, support.note, support.rpc

local KEY <const> = kad.key("somewhere")
local NOTE <const> = { type = "note" }

describe("what a hook returns", function()
  -- Returns the logged failures of a hook that returns `code`.
  local function said(text, act)
    local message
    with(text, function(world)
      act(world)
      world.after = function()
        message = failures(world.events)[1]
      end
    end)()
    return message
  end

  local function put(world)
    world.node:put(KEY, "x", NOTE)
  end

  local function put_and_get(world)
    world.node:put(KEY, "x", NOTE)
    world.node:get(KEY, NOTE)
  end

  local wrong = {
    { "validate", "5", "returned number where true, or nil and a reason" },
    { "validate", "", "returned nothing: true, or nil and a reason" },
    { "validate", "nil", "returned nothing: true, or nil and a reason" },
    { "validate", "nil, {}", "returned table where a reason" },
    { "validate", "nil, 'a', 99", "a code that is not an integer in 100" },
    { "validate", "nil, 'a', 1000", "a code that is not an integer in 100" },
    { "validate", "nil, 'a', '201'", "a code that is not an integer in 100" },
    { "validate", "{}", "returned table where true" },
    { "merge", "", "where a list of records is expected" },
    { "merge", "true", "returned boolean where a list of records" },
    { "merge", "{ 1 }", "returned number where a record" },
    { "merge", "{ {} }", "field 'value' is missing" },
    { "merge", "{ { value = 1 } }", "value" },
    { "merge", "{ { value = ('x'):rep(8193) } }", "value" },
    { "merge", "{ { value = 'x', publisher = 'x' } }", "publisher" },
    { "merge", "(function() local t = {} for i = 1, 1025 do t[i] = "
      .. "{ value = 'x' } end return t end)()", "more than 1024 records" },
    { "select", "7", "returned number where a record" },
    { "select", "", "where a record or a list of records" },
    { "expire", "'7'", "returned string where a number of seconds" },
    { "expire", "", "where a number of seconds" },
    { "expire", "true", "returned boolean where a number of seconds" },
  }

  for _, case in ipairs(wrong) do
    local hook, code, text = table.unpack(case)
    it(("%s may not be %s"):format(hook, code == "" and "nothing" or code),
      function()
        local message = said(note(hook .. " = function() return " .. code
          .. " end"), hook == "select" and put_and_get or put)

        assert.is_string(message)
        assert.is_truthy(message:find(text, 1, true), message)
        assert.is_nil(message:find("traceback:$"), message)
      end)
  end

  it("of a query must be a table that can be encoded", function()
    local function ask(world)
      call(world)
    end
    assert.matches("returned string where a reply", said(rpc("return 'x'"),
      ask))
    assert.matches("reply.f", said(rpc("return { f = 1.5 }"), ask))
    assert.matches("reply.f", said(rpc("return { f = print }")
      :gsub("print", "kad.sleep"), ask))
    assert.matches("reply", said(rpc("return { 1, 2 }"), ask))
    assert.matches("reply", said(
      rpc("local t = {} t.t = t return t"), ask))
  end)

  it("of on_contact must be true or false", function()
    assert.matches("returned nil where true or false",
      said("return { on_contact = function() return nil end }", function() end))
  end)

  it("of on_request may drop the query", with([[
    return { on_request = function(request)
      return request.method ~= "run"
    end, rpc = { run = function() return {} end } } ]], function(world)
      local reply, _, code = call(world)

      assert.is_nil(reply)
      assert.equal("KAD_ETIMEOUT", code)
    end))

  it("of merge may reject with a reason and a code", with(note([[
    merge = function(held, record)
      if held[1] then return nil, "taken", 299 end
      return { record }
    end ]]), function(world)
      assert(world.node:put(KEY, "x", NOTE))
      local reply, _, _, info = world.node:put(KEY, "y", NOTE)
      assert.is_truthy(reply or info.krpc == 299)
      assert.equal("x", (world.node:get(KEY, { type = "note", quorum = 1 })))
      assert.equal(0, world.hooks()["policy: note.merge"].errors)
    end))

  -- Events about seconds out of range.
  local function warnings(world)
    local list = {}
    for _, event in ipairs(world.events) do
      if event.message == "a policy returned seconds out of range" then
        list[#list + 1] = event.fields
      end
    end
    return list
  end

  local MONTH <const> = 2592000
  local clamped = {
    ["0"] = 1, ["-1"] = 1, ["0.5"] = 1, ["0/0"] = 1, ["1/0"] = MONTH,
    ["1e300"] = MONTH, ["-1e300"] = 1, ["math.mininteger"] = 1,
    ["math.maxinteger"] = MONTH, ["2592001"] = MONTH,
  }
  for value, used in pairs(clamped) do
    it("is clamped to its range: an expiry of " .. value, with(
      note("\n\nexpire = function() return " .. value .. " end"),
      function(world)
        assert(world.node:put(KEY, "x", NOTE))

        assert.equal(1, policy.stats(world.node).clamped)
        assert.equal(0, world.hooks()["policy: note.expire"].errors)
        world.after = function()
          local list = warnings(world)
          assert.equal(1, #list)
          assert.equal("policy: note.expire", list[1].hook)
          assert.equal(used, list[1].used)
          assert.matches("policy%.lua:4$", list[1].defined)
        end
      end))
  end

  for _, value in ipairs({ "1", "2592000", "1.5", "86400" }) do
    it("is in range: an expiry of " .. value, with(
      note("expire = function() return " .. value .. " end"), function(world)
        assert(world.node:put(KEY, "x", NOTE))

        assert.equal(0, policy.stats(world.node).clamped)
      end))
  end

  for _, value in ipairs({ "0", "-1", "0/0", "1e300" }) do
    it("is clamped to its range: a republish of " .. value, with(
      note("ttl = 2592000, republish = function() return " .. value .. " end"),
      function(world)
        assert(world.node:put(KEY, "x", NOTE))
        kad.sleep(4500)

        assert.is_true(policy.stats(world.node).clamped >= 1)
        assert.equal(0, world.hooks()["policy: note.republish"].errors)
        world.after = function()
          assert.equal("policy: note.republish", warnings(world)[1].hook)
        end
      end))
  end

  it("is logged as out of range at most once in ten seconds", with(
    note("expire = function() return 0 end"), function(world)
      for i = 1, 5 do
        assert(world.node:put(KEY, "a" .. i, NOTE))
      end
      kad.sleep(11)
      assert(world.node:put(KEY, "b", NOTE))

      assert.equal(6, policy.stats(world.node).clamped)
      world.after = function()
        local list = warnings(world)
        assert.equal(2, #list)
        assert.is_nil(list[1].before)
        assert.equal(4, list[2].before)
      end
    end))
end)
