-- Code that is typed at a console: node:evaluate and node:complete.
--
-- Tests scripts/kadenza/policy/prompt.lua, scripts/kadenza/policy/console.lua.

local kad = require("kadenza")
local policies = require("tests.spec.support.policy")
local spec = require("tests.spec.support").spec
local support = require("tests.spec.support")

local with = policies.with

local POLL <const> = [[
local kad = require("kadenza")
local calls = 0
return { name = "poll",
  rpc = { run = function()
    calls = calls + 1
    return { calls = calls }
  end },
  http = { ["GET /poll/:name"] = function() return {} end },
} ]]

-- Runs a text that must succeed; returns what it shows.
local function shown(world, text)
  local succeeded, result = world.node:evaluate(text)
  assert.is_true(succeeded, result)
  return result
end

-- Runs a text that must fail; returns what it shows.
local function problem(world, text)
  local succeeded, result = world.node:evaluate(text)
  assert.is_false(succeeded)
  return result
end

-- Wraps a spec: the node runs the policy, which must still be served after it.
local function with_poll(fn, config)
  return with(POLL, function(world)
    fn(world)
    assert(policies.call(world))
  end, config)
end

describe("code at a console", function()
  it("is an expression or statements", with_poll(function(world)
    assert.equal("2", shown(world, "1 + 1"))
    assert.equal('1\t"a"\tnil\ttrue', shown(world, '1, "a", nil, true'))
    assert.equal("", shown(world, "local a = 1"))
    assert.equal("3", shown(world, "local a = 1\nreturn a + 2"))
    assert.equal("", shown(world, ""))
    assert.equal("", shown(world, "-- nothing"))
  end))

  it("keeps the globals that it sets, until a reload", with_poll(
    function(world)
      shown(world, "total = 7; function twice(n) return 2 * n end")
      assert.equal("14", shown(world, "twice(total)"))
      assert(world.node:reload())
      local succeeded, text = world.node:evaluate("total")
      assert.is_false(succeeded)
      assert.equal("the policies were reloaded: the globals of the prompt are "
        .. "gone\nconsole:1: undefined global 'total'", text)
      assert.equal("1", shown(world, "1"))
    end))

  it("has the node, its statistics and the policies", with_poll(
    function(world)
      assert.equal(kad.hex(world.node:id()), shown(world, "kad.hex(node:id())")
        :gsub('"', ""))
      assert.equal(tostring(world.node), shown(world, "node"))
      assert.equal("1", shown(world, "stats().contacts"))
      assert.equal('"poll"', shown(world, "policies.poll.name"))
      assert.matches('{ ["GET /poll/:name"] = function (', shown(world,
        "policies.poll.http"), 1, true)
      assert.equal("true", shown(world, 'require("kadenza") == kad'))
      assert.matches("^{ ", shown(world, 'require("kadenza.crdt")'))
    end))

  it("cannot change the policies", with_poll(function(world)
    shown(world, "policies.poll.rpc.run = nil; policies.poll = nil")
    assert.equal(1, assert(policies.call(world)).calls)
    assert.equal(200, world.node:serve_http({ method = "GET",
      path = "/poll/x" }).status)
    assert(world.node:reload())
    assert.equal('"poll"', shown(world, "policies.poll.name"):match("[^\n]*$"))
  end))

  it("shows what it prints", with_poll(function(world)
    assert.equal('a\t1\tnil\nb\n"c"',
      shown(world, "print('a', 1, nil) print('b') return 'c'"))
    assert.equal("before\nconsole:1: no", problem(world,
      "print('before') error('no')"))
    assert.equal("\\x1b[2J", shown(world, "print('\\27[2J')"))
    local long = shown(world, "for i = 1, 500 do print(('x'):rep(1e3)) end")
    assert.is_true(#long < 66000)
    assert.matches("… (the rest is not shown)", long, 1, true)
  end))

  it("may wait for other nodes and sleep", with_poll(function(world)
    local began = world.net:now()
    assert.equal('"stored"', shown(world, [[
      assert(node:put(kad.key("a"), "stored"))
      kad.sleep(1)
      return (node:get(kad.key("a")))
    ]]))
    assert.is_true(world.net:now() - began >= 1)
  end))

  it("is interrupted after 30 seconds, or by its caller", with_poll(
    function(world)
      for _, text in ipairs({ "kad.sleep(1e6)",
        "while true do kad.sleep(0.01) end",
        "while true do pcall(kad.sleep, 1) end",
        "local a <close> = setmetatable({}, { __close = function() "
          .. "while true do end end }) kad.sleep(1e6)",
        "coroutine.wrap(function() kad.sleep(1e6) end)()" })
      do
        local began = world.net:now()
        assert.equal("it did not end within 30 seconds", problem(world, text))
        assert.is_near(30, world.net:now() - began, 0.1)
      end
      local work = kad.spawn(function()
        world.node:evaluate("done = false kad.sleep(1) done = true")
      end)
      kad.sleep(0.5)
      work:cancel()
      kad.sleep(2)
      assert.equal("false", shown(world, "done"))
    end))

  it("runs several texts at once, but not too many", with_poll(function(world)
    local results = {}
    for i = 1, 20 do
      world.node:evaluate("kad.sleep(1) return " .. i, function(_, text)
        results[i] = text
      end)
    end
    kad.sleep(2)
    assert.equal("16", results[16])
    assert.equal("too much code runs already", results[17])
    assert.equal("5", shown(world, "5"))
  end))

  it("says what is wrong with it", with_poll(function(world)
    assert.matches("^console:1: .* near <eof>$", problem(world, "if"))
    assert.matches("console:2: ", problem(world, "x = 1\nx = ="), 1, true)
    assert.equal("console:1: undefined global 'nod' (did you mean 'node'?)",
      problem(world, "nod"))
    assert.matches("console:1: attempt to index a nil value",
      problem(world, "(nil).x"), 1, true)
    assert.equal("an error that is no text: table", problem(world, "error({})"))
    assert.matches("has no module 'os'", problem(world, "require('os')"), 1,
      true)
    assert.matches("attempt to load a binary chunk",
      problem(world, string.dump(function() end)), 1, true)
    assert.equal("the text has more than 65536 bytes",
      problem(world, ("x"):rep(65537)))
  end))

  -- What must neither stop the node nor harm its policies.
  for _, text in ipairs({
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "repeat until false",
    "local function f() return f() end f()",
    "local function f() return pcall(f) end f()",
    "local function f() return f() + 1 end f()",
    "for _ = 1, 1e9 do string.rep('x', 1e5) end",
    "string.rep('x', 1e9)",
    "local s = 'x' while true do s = s .. s end",
    "local t = {} while true do t[#t + 1] = ('x'):rep(1e5) end",
    "t = {} while true do t[#t + 1] = ('x'):rep(1e5) end",
    "t = {} while true do t = { t } end",
    "error(setmetatable({}, { __tostring = function() "
      .. "while true do end end }))",
    "error(setmetatable({}, { __tostring = function() return {} end }))",
    "error(setmetatable({}, { __tostring = error }))",
    "error(setmetatable({}, { __name = ('x'):rep(1e6) }))",
    "error(('x'):rep(1e6))",
    "error(nil)",
    "print(setmetatable({}, { __tostring = function() "
      .. "while true do end end }))",
    "return setmetatable({}, { __tostring = function() "
      .. "while true do end end })",
    "return setmetatable({}, { __tostring = error, __pairs = error })",
    "coroutine.wrap(function() while true do end end)()",
    "local function f() coroutine.wrap(f)() end f()",
    "while true do coroutine.wrap(coroutine.yield)() end",
    "coroutine.yield()",
    "table.sort({ 1, 2, 3 }, function() while true do end end)",
    "('a'):rep(1e4):find(('.-'):rep(50) .. 'b')",
    "local a <close> = setmetatable({}, { __close = function() while true do "
      .. "end end }) error('x')",
    "for i = 1, 2000 do kad.spawn(function() kad.sleep(1e6) end) end",
    "while true do kad.spawn(function() while true do end end) end",
    "setmetatable(_ENV, nil)",
    "rawset(_G, 'node', nil)",
    "node.get = nil",
    "string.rep = nil",
    "kad.sleep = nil",
    "node:close()",
    "node:evaluate('1')",
    "os.exit()",
    "load('while true do end')()",
    ("("):rep(1000) .. "1" .. (")"):rep(1000),
    "return " .. ("{"):rep(500) .. ("}"):rep(500),
  }) do
    it("fails alone: " .. text:sub(1, 70), with_poll(function(world)
      local ended
      world.node:evaluate(text, function(_, result)
        ended = result
      end)
      local deadline = world.net:now() + 31
      while not ended and world.net:now() < deadline do
        kad.sleep(0.1)
      end
      assert.is_string(ended)
      assert.is_true(#ended < 66000)
      assert(policies.call(world))
      assert.equal("2", shown(world, "1 + 1"))
    end))
  end

  it("gives back the memory of globals that filled it", with_poll(
    function(world)
      for _ = 1, 3 do
        local text = problem(world,
          "t = {} while true do t[#t + 1] = ('x'):rep(1e5) end")
        assert.matches("the globals of the prompt were dropped", text, 1, true)
        assert.matches("undefined global 't'", problem(world, "t"), 1, true)
        assert(policies.call(world))
      end
    end, { policy_memory = 4 << 20, policy_instructions = 20000000 }))

  it("runs on a node without policies, and on one with tables", spec(
    function()
      local net <close> = kad.sim({ join = false })
      net:perform(function()
        local tables = { { name = "t", rpc = { run = function()
          return {}
        end } } }
        for _, list in ipairs({ false, tables, {} }) do
          local node = assert(net:open({ policies = list or nil }))
          local world = { node = node }
          assert.equal("6", shown(world, "x = 5 return x + 1"))
          assert.equal("5", shown(world, "x"))
          assert.equal("{}", shown(world, "policies"))
          assert.same({ "node" }, (node:complete("nod")))
          node:close()
        end
      end)
    end))

  it("loses its globals when the first policies are loaded", spec(function()
    local files <close> = policies.files()
    local path = files:write(POLL)
    local net <close> = kad.sim({ join = false })
    net:perform(function()
      local node = assert(net:open({}))
      shown({ node = node }, "x = 5")
      assert(require("kadenza.policy").attach(node, { path }))
      assert.matches("undefined global 'x'", problem({ node = node }, "x"), 1,
        true)
      assert.equal('"poll"', shown({ node = node }, "policies.poll.name"))
    end)
  end))

  it("ends with its policies, or with its node", spec(function()
    local files <close> = policies.files()
    local path = files:write(POLL)
    local net <close> = kad.sim({ join = false })
    net:perform(function()
      local node = assert(net:open({ policies = { path } }))
      local result
      local function begin()
        result = nil
        node:evaluate("kad.sleep(20)", function(_, text)
          result = text
        end)
        kad.sleep(1)
        assert.is_nil(result)
      end
      begin()
      assert(node:reload())
      kad.sleep(1)
      assert.equal("interrupted", result)
      begin()
      node:close()
      assert.equal("the policies were reloaded: the globals of the prompt are "
        .. "gone\nthe node is closing", result)
      kad.sleep(60)
      support.assert_blames_caller("closed node", function()
        node:evaluate("1")
      end)
      support.assert_blames_caller("closed node", function()
        node:complete("1")
      end)
    end)
  end))

  it("needs a text", with_poll(function(world)
    support.assert_blames_caller("text must be a string", function()
      world.node:evaluate(7)
    end)
    support.assert_blames_caller("text must be a string", function()
      world.node:complete()
    end)
  end))

  it("is completed", with_poll(function(world)
    shown(world, "notes = { first = 1, second = setmetatable({}, "
      .. "{ __index = error, __pairs = error }) }")
    local function words(text)
      local found, start = world.node:complete(text)
      return table.concat(found, " "), start
    end
    for text, wanted in pairs({
      ["node:get_"] = "get_immutable get_mutable get_peers",
      ["x = node:pi"] = "ping", ["kad.js"] = "json",
      ["kad.json.en"] = "encode", ["notes."] = "first second",
      ["not"] = "notes", ["print(notes.s"] = "second", ["notes.second."] = "",
      ["string.rep"] = "rep", ["policies.poll.n"] = "name",
      ["nothing.at"] = "", ["f()."] = "", ["1."] = "",
    }) do
      assert.equal(wanted, (words(text)), text)
    end
    assert.equal(6, select(2, words("node:get_")))
    assert.equal(1, select(2, words("not")))
    assert.equal(1, select(2, words("")))
    assert.matches("kad math next node", (words("")), 1, true)
    local many = {}
    for i = 1, 300 do
      many[i] = "a" .. i .. "= 1"
    end
    shown(world, table.concat(many, "\n"))
    assert.equal(200, #world.node:complete("a"))
    assert.same({}, (world.node:complete(("x"):rep(70000))))
  end))
end)
