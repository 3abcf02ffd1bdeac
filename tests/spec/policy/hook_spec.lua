-- Every kind of failure in every hook: the default verdict holds, the failure
-- is logged, and the node serves on.
--
-- Tests bindings/policy.

local kad = require("kadenza")
local support = require("tests.spec.support.policy")

local with, failures = support.with, support.failures
local note = support.note

local KEY <const> = kad.key("somewhere")

local function put(world, value, options)
  options = options or {}
  options.type = "note"
  return world.node:put(options.key or KEY, value, options)
end

local function get(world)
  return world.node:get(KEY, { type = "note" })
end

local function answers_pings(world)
  assert.truthy(world.other:ping(world.node:addresses()[1]))
end

-- The kinds of failures, as Lua code.
local FAULTS <const> = {
  ["never ends"] = "while true do end",
  ["never ends in pcall"] = "while true do pcall(function() while true do end "
    .. "end) end",
  ["spawns without end"] = "while true do kad.spawn(function() end) end",
  ["spawns what never ends"] = "while true do kad.spawn(function() "
    .. "while true do end end) end",
  ["raises a string"] = 'error("boom")',
  ["raises nil"] = "error()",
  ["raises a table"] = "error({})",
  ["raises a table that fails to speak"] = "error(setmetatable({}, "
    .. "{ __tostring = function() error({}) end }))",
  ["raises a table that never stops speaking"] = "error(setmetatable({}, "
    .. "{ __tostring = function() while true do end end }))",
  ["recurses without end"] = "local function f() return 1 + f() end f()",
  ["takes all memory and catches that"] = "while true do pcall(function() "
    .. 'local s = "x" while true do s = s .. s end end) end',
  ["recurses into pcall"] = "local function f() pcall(f) pcall(f) end "
    .. "f() error()",
  ["takes all memory"] = "local t = {} for i = 1, 1e9 do t[i] = { i } end",
  ["doubles a string"] = 'local s = "x" while true do s = s .. s end',
  ["never ends in __close"] = "local x <close> = setmetatable({}, "
    .. "{ __close = function() while true do end end }) while true do end",
  ["never ends in __index"] = "local t = setmetatable({}, { __index = "
    .. "function() while true do end end }) return t.x",
  ["never ends in a sort"] = "table.sort({ 1, 2, 3 }, function() "
    .. "while true do end end)",
  ["never ends in gsub"] = '("aaa"):gsub("a", function() '
    .. "while true do end end)",
  ["never ends after it has waited"] = "kad.sleep(0) while true do end",
  ["never ends in pcall after it has waited"] = "kad.sleep(0) while true do "
    .. "pcall(function() while true do end end) end",
  ["raises after it has waited"] = 'kad.sleep(0) error("boom")',
  ["raises a table after it has waited"] = "kad.sleep(0) error({})",
  ["raises what never stops speaking after it has waited"] = "kad.sleep(0) "
    .. "error(setmetatable({}, { __tostring = function() while true do end "
    .. "end }))",
  ["takes all memory after it has waited"] = "kad.sleep(0) "
    .. "local t = {} for i = 1, 1e9 do t[i] = { i } end",
}

-- The kinds of hooks: a policy around FAULT, and an action that calls the hook.
local KINDS <const> = {
  validate = {
    name = "policy: note.validate",
    policy = note("validate = function(record) FAULT end"),
    check = function(world)
      local stored, _, _, info = put(world, "x")
      assert.is_nil(stored)
      assert.equal(202, info.krpc)
    end,
  },
  merge = {
    wins = true, -- at times: not every call fails
    name = "policy: note.merge",
    policy = note("merge = function(held, record) "
      .. 'if record.value == "good" then return { record } end FAULT end'),
    check = function(world)
      assert(put(world, "good"))
      put(world, "bad")
      assert.equal("good", get(world))
    end,
  },
  select = {
    name = "policy: note.select",
    policy = note("select = function(records) FAULT end"),
    check = function(world)
      assert(put(world, "x"))
      assert.equal("x", get(world))
    end,
  },
  expire = {
    name = "policy: note.expire",
    policy = note("ttl = 500, expire = function(record) FAULT end"),
    check = function(world)
      assert(put(world, "x"))
      local _, info = get(world)
      assert.is_true(info.ttl > 490 and info.ttl <= 500)
    end,
  },
  republish = {
    name = "policy: note.republish",
    policy = note("republish = function(record) FAULT end"),
    check = function(world)
      assert(put(world, "x"))
      kad.sleep(3600 * 2.5)
      assert.is_true(world.hooks()["policy: note.republish"].calls >= 2)
    end,
  },
  on_store = {
    name = "policy: on_store",
    policy = note("} }, on_store = function(record) FAULT end, x = { {")
      :gsub(", x = { { } } }$", " }"),
    check = function(world)
      assert(put(world, "x"))
      assert.equal("x", get(world))
    end,
  },
  on_expire = {
    name = "policy: on_expire",
    policy = note("ttl = 10 } }, on_expire = function(record) FAULT end, "
      .. "x = { {"):gsub(", x = { { } } }$", " }"),
    check = function(world)
      assert(put(world, "x", { ttl = 10 }))
      kad.sleep(60)
      assert.is_nil((get(world)))
    end,
  },
  on_request = {
    wins = true,
    name = "policy: on_request",
    policy = 'local kad = require("kadenza") return { on_request = '
      .. 'function(request) if request.method ~= "hello" then return true end '
      .. "FAULT end, rpc = { hello = function() return {} end } }",
    check = function(world)
      local reply, _, _, info =
        world.other:call(world.node:addresses()[1], "hello")
      assert.is_nil(reply)
      assert.is_truthy(info.krpc == 201 or info.krpc == 202)
    end,
  },
  on_contact = {
    name = "policy: on_contact",
    policy = 'local kad = require("kadenza") return { on_contact = '
      .. "function(contact) FAULT end }",
    check = function(world)
      assert.same({}, world.node:contacts())
    end,
  },
  rpc = {
    name = "policy: rpc.hello",
    policy = 'local kad = require("kadenza") return { rpc = { hello = '
      .. "function(request) FAULT end } }",
    check = function(world)
      local reply, _, _, info =
        world.other:call(world.node:addresses()[1], "hello")
      assert.is_nil(reply)
      assert.equal(202, info.krpc)
    end,
  },
  http = {
    name = "policy: http.GET /hello/:name",
    policy = 'local kad = require("kadenza") return { http = '
      .. '{ ["GET /hello/:name"] = function(request, ctx) FAULT end } }',
    check = function(world)
      local response, message, status =
        world.node:serve_http({ method = "GET", path = "/hello/Ann" })
      assert.is_nil(response)
      assert.equal("the policy failed", message)
      assert.equal(500, status)
    end,
  },
}

describe("a hook", function()
  for kind, case in pairs(KINDS) do
    for fault, code in pairs(FAULTS) do
      local text = case.policy:gsub("FAULT", (code:gsub("%%", "%%%%")))
      it(("%s that %s affects only its own verdict"):format(kind, fault),
        with(text, function(world)
          case.check(world)
          answers_pings(world)
          kad.sleep(3)

          local hook = world.hooks()[case.name]
          assert.is_true(hook.errors >= 1)
          assert.equal(case.wins and hook.errors or hook.calls, hook.errors)
          world.after = function()
            assert.is_true(#failures(world.events) >= 1)
          end
        end))
    end
  end
end)
