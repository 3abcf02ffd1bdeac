-- Attempts from the functions that run at a reload, and from those that speak
-- for the node.
--
-- Tests scripts/kadenza/sandbox.lua, bindings/policy.

local assert = require("luassert")
local attempt = require("tests.spec.escapes.attempt")
local kad = require("kadenza")
local policy_support = require("tests.spec.support.policy")
local support = require("tests.spec.support")

-- Returns a policy whose save has this body.
local function saving(code)
  return 'return { name = "attack", save = function() ' .. code .. " end, "
    .. "restore = function(state) state = nil end }"
end

-- Returns a policy whose restore has this body.
local function restoring(code)
  return 'local kad = require("kadenza") return { name = "attack", '
    .. "save = function() return { 1 } end, restore = function(state) " .. code
    .. " end }"
end

-- Asserts that a reload succeeds.
local function reloads(world)
  assert(world.node:reload())
  kad.sleep(1)
end

local function stays(text)
  return function(world)
    local before = world.node:stats().policies.memory
    local reloaded, message = world.node:reload()
    assert.is_nil(reloaded)
    assert.is_truthy(message:find(text, 1, true), message)
    assert.is_true(world.node:stats().policies.memory <= before * 1.5)
  end
end

local LOST <const> = "its state is lost"

local function save(name, code, logs)
  return { "save " .. name, saving(code), place = "file", by = "start",
    check = reloads, logs = logs }
end

local function restore(name, code, text)
  return { "restore " .. name, restoring(code), place = "file", by = "start",
    check = stays(text) }
end

local ROWS <const> = {
  save("that never ends", "while true do end", "ran too long"),
  save("that never ends, inside of pcall",
    "while true do pcall(function() while true do end end) end",
    "ran too long"),
  save("that raises", 'error("boom")', "boom"),
  save("that raises what cannot be shown",
    "error(setmetatable({}, { __tostring = error }))", "cannot be shown"),
  save("that waits", 'require("kadenza").sleep(1)', LOST),
  save("of a function", "return { a = { error } }", "is a function"),
  save("of what contains itself", "local t = {} t.t = t return t", LOST),
  save("of lists within lists",
    "local t = {} for _ = 1, 5000 do t = { t } end return t", LOST),
  save("of more than may be",
    'local t = {} for i = 1, 50 do t[i] = ("x"):rep(1e5) end return t',
    LOST),
  save("of a metatable", "return setmetatable({}, { __index = error })",
    LOST),
  save("of metamethods that loop",
    "local function loop() while true do end end "
    .. "return setmetatable({}, { __pairs = loop, __len = loop, "
    .. "__index = loop })", LOST),
  save("of a number that is none", "return { [1 / 0] = 0 / 0, [0.5] = -0.0 }"),
  save("of what stands for another", "return _ENV.error", LOST),
  restore("that never ends", "while true do end", "ran too long"),
  restore("that raises", 'error("boom")', "boom"),
  restore("that raises nothing", "error()", "restore"),
  restore("that waits", "kad.sleep(1)", "restore"),
  restore("that refuses", 'return nil, "no"', "no"),
  restore("that takes all memory",
    "local s = 'x' while true do s = s .. s end", "memory"),
}

describe("an escape by a reload, with a", function()
  for _, row in ipairs(ROWS) do
    it(row[1], attempt.spec(row))
  end
end)

-- Mistakes of a codec, and the error of a query of its node.
local CODECS <const> = {
  { "encode that never ends", encode = "while true do end" },
  { "encode that raises", encode = "error('x')" },
  { "encode that waits", encode = "kad.sleep(1)" },
  { "encode that returns a number", encode = "return 7" },
  { "encode that returns nothing", encode = "" },
  { "encode that returns too much", encode = "return ('x'):rep(100000)" },
  { "encode that returns no bytes", encode = "return ''" },
  { "encode that takes all memory",
    encode = "local s = 'x' while true do s = s .. s end" },
  { "decode that never ends", decode = "while true do end" },
  { "decode that raises", decode = "error({})" },
  { "decode that waits", decode = "kad.sleep(1)" },
  { "decode that returns a number", decode = "return 7" },
  { "decode that returns nothing much", decode = "return {}" },
  { "decode of a kind that is none", decode = "return { kind = 'x' }" },
  { "decode of fields that are all tables", decode = [[
    return setmetatable({}, { __index = function() return {} end }) ]] },
  { "decode of fields that never end", decode = [[
    return setmetatable({}, { __index = function()
      while true do end
    end }) ]] },
  { "decode of lists that never end", decode = [[
    local list = setmetatable({}, { __len = function() return 1 << 40 end,
      __index = function() return { id = ("x"):rep(20) } end })
    return { kind = "reply", transaction = "aa", id = ("x"):rep(20),
      nodes = list, nodes6 = list, peers = list, records = list } ]] },
  { "decode of lists that are long", decode = [[
    local list = {}
    for i = 1, 5000 do list[i] = { value = "x" } end
    return { kind = "reply", transaction = "aa", id = ("x"):rep(20),
      nodes = list, records = list } ]] },
  { "decode of arguments that contain themselves", decode = [[
    local args = {}
    args.args = args
    return { kind = "query", transaction = "aa", id = ("x"):rep(20),
      method = "hello", args = args, target = ("x"):rep(20) } ]] },
  { "decode of numbers out of range", decode = [[
    return { kind = "query", transaction = "aa", id = ("x"):rep(20),
      method = "store", target = ("x"):rep(20), ttl = -1, skip = 1 << 62,
      port = 0 / 0, type = "value", records = { { value = "x", seq = 0.5 } } }
  ]] },
  { "decode of texts that are too long", decode = [[
    return { kind = "error", transaction = ("x"):rep(5000), code = 1 << 40,
      text = ("x"):rep(1000000), id = ("x"):rep(5000) } ]] },
}

-- Runs a node with a codec beside one that uses KRPC.
local function speak(row)
  local files <close> = policy_support.files()
  local path = files:write('local kad = require("kadenza") return { codec = { '
    .. "encode = function(message) " .. (row.encode or "return 'x'") .. " end, "
    .. "decode = function(bytes) " .. (row.decode or "return nil")
    .. " end } }")
  local begun = os.clock()
  support.logged(function()
    attempt.with_budgets({}, function()
      local net <close> = kad.sim({ join = false, seed = 1 })
      net:perform(function()
        local node = assert(net:open({ policies = { path } }))
        local other = assert(net:open({}))
        assert.is_nil((node:ping(other:addresses()[1])))
        assert.is_nil((other:ping(node:addresses()[1])))
        for _ = 1, 5 do
          assert.is_nil((other:find_node(kad.key("x"), { timeout = 1 })))
          other:ping(node:addresses()[1])
        end
        assert.is_true(node:is_open())
        assert.same({}, node:contacts())
      end)
    end)
  end)
  assert.is_true(os.clock() - begun < 5)
end

describe("an escape by a codec, with a", function()
  for _, row in ipairs(CODECS) do
    it(row[1], support.spec(function()
      speak(row)
    end))
  end
end)
