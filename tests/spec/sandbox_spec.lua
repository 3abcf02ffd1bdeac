local facade = require("kadenza.policy.facade")
local kad = require("kadenza")
local policy = require("kadenza.policy")
local sandbox = require("kadenza.sandbox")
local support = require("tests.spec.support.policy")

local with, load_policy = support.with, support.load

-- Loads a policy that runs `code` first; returns the message of its failure.
local function problem(code)
  local _, message = load_policy(code .. "\nreturn {}")
  return message
end

-- Runs `code` in a policy and returns its value, a string. The code must end
-- with `return VALUE`.
local function evaluate(code)
  local value
  with('local kad = require("kadenza") local function run() ' .. code .. " end "
    .. "return { rpc = { run = function() return { value = run() } end } }",
    function(world)
      local reply, _, _, info =
        world.other:call(world.node:addresses()[1], "run")
      value = reply and reply.value or info and info.reason
    end)()
  return value
end

-- Returns the globals of policies in `.luacheckrc`.
local function luacheck_globals()
  local settings = {}
  assert(loadfile(".luacheckrc", "t", setmetatable(settings, {
    __index = function(_, name)
      if name == "files" or name == "stds" then
        settings[name] = {}
        return settings[name]
      end
    end,
  })))()
  return settings.stds.kadenza_policy.read_globals
end

-- Returns the sorted names in a table as a policy sees it.
local function names_in(expression)
  local message = problem('local kad = require("kadenza") local names = {} '
    .. "for name in pairs(" .. expression .. ") do "
    .. "names[#names + 1] = name end table.sort(names) "
    .. 'error("<" .. table.concat(names, " ") .. ">")')
  return message:match("<(.*)>")
end

describe("the sandbox", function()
  it("has the globals that .luacheckrc lists, and no others", function()
    local listed = {}
    for key, value in pairs(luacheck_globals()) do
      listed[#listed + 1] = type(key) == "string" and key or value
    end
    local known = table.move(sandbox.GLOBALS, 1, #sandbox.GLOBALS, 1, {})
    table.sort(listed)
    table.sort(known)

    assert.same(known, listed)
    for _, name in ipairs(known) do
      assert.is_nil(problem("assert(" .. name .. " ~= nil)"))
    end
  end)

  for name, value in pairs(luacheck_globals()) do
    if type(value) == "table" then
      it("has the functions of " .. name .. " that .luacheckrc lists, and no "
        .. "other", function()
          table.sort(value.fields)
          assert.equal(table.concat(value.fields, " "), names_in(name))
        end)
    end
  end

  it("has the functions of the library that the guide lists, and no others",
    function()
      local file <close> = assert(io.open("docs/policies.md", "rb"))
      local names = { "_VERSION" }
      local list = file:read("a"):match('`require "kadenza"` gives (.-)%.')
      for name in list:gmatch("`([%w_]+)`") do
        names[#names + 1] = name
      end
      table.sort(names)
      assert.equal(table.concat(names, " "), names_in("kad"))
    end)

  it("has the listed methods of nodes, and no others", function()
    local shown = {}
    for _, list in ipairs({ facade.NODE, facade.WITHHELD }) do
      table.move(list, 1, #list, #shown + 1, shown)
    end
    local net <close> = kad.sim({ join = false })
    local methods = {}
    for name, value in pairs(getmetatable(net:open({}))) do
      if type(value) == "function" and not name:find("^__") then
        methods[#methods + 1] = name
      end
    end
    table.sort(shown)
    table.sort(methods)
    assert.same(methods, shown)
  end)

  for wrong, right in pairs({ sting = "string", tabel = "table",
    xpcall = "pcall", setmetatabel = "setmetatable" })
  do
    it("suggests " .. right .. " for " .. wrong, function()
      assert.matches(("undefined global '%s' %%(did you mean '%s'%%?%%)")
        :format(wrong, right), problem("local x = " .. wrong))
    end)
  end

  for _, name in ipairs({ "os", "io", "debug", "load", "loadfile", "dofile",
    "loadstring", "collectgarbage", "utf8", "package", "rawset",
    "rawget", "rawequal", "rawlen", "getmetatable", "xpcall", "print", "_G",
    "warn" })
  do
    it("has no " .. name, function()
      assert.matches("policy%.lua:2: undefined global '" .. name .. "'",
        problem("\nlocal x = " .. name))
    end)
  end

  it("names a global that is set, with file and line", function()
    assert.matches("/policy%.lua:3: global 'total' cannot be set: use 'local'",
      problem("\n\ntotal = 1"))
    assert.matches("/policy%.lua:1: global 'string' cannot be set",
      problem("string = {}"))
    assert.matches("/policy%.lua:1: global 'f' cannot be set",
      problem("function f() end"))
  end)

  it("names globals that are set through _ENV", function()
    assert.matches("policy%.lua:1: global 'x' cannot be set",
      problem("_ENV.x = 1"))
    assert.matches("policy%.lua:1: undefined global 'os'",
      problem("local x = _ENV.os"))
    assert.matches("protected metatable", problem("setmetatable(_ENV, {})"))
    assert.matches("attempt to call", problem("local _ENV = {} error()"))
  end)

  it("has an empty _ENV to iterate", function()
    assert.is_nil(problem("for k in pairs(_ENV) do error(k) end"))
  end)

  for _, name in ipairs({ "string", "table", "math" }) do
    it("protects " .. name .. " from changes", function()
      assert.matches("policy%.lua:1: '" .. name .. "%.x' cannot be set: '"
        .. name .. "' is read%-only", problem(name .. ".x = 1"))
      assert.matches("protected metatable",
        problem("setmetatable(" .. name .. ", {})"))
      assert.matches("read%-only",
        problem("local _, inner = pairs(" .. name .. ") inner.x = 1"))
      assert.is_nil(problem("local n = 0 for k in pairs(" .. name
        .. ") do n = n + 1 end assert(n > 5)"))
    end)
  end

  it("protects the library from changes", function()
    assert.matches("'kad%.x' cannot be set: 'kad' is read%-only",
      problem('local kad = require("kadenza") kad.x = 1'))
    assert.matches("'kad%.log%.x' cannot be set",
      problem('require("kadenza").log.x = 1'))
    assert.matches("'kad%.bencode%.x' cannot be set",
      problem('require("kadenza").bencode.x = 1'))
  end)

  it("guards the methods of strings", function()
    assert.matches("more than a mebibyte",
      problem('local s = ("x"):rep(1 << 30)'))
    assert.matches("attempt to call a nil value %(method 'dump'%)",
      problem('local s = ("x"):dump()'))
  end)

  it("rejects finalizers", function()
    assert.matches("policy%.lua:1: a policy cannot have finalizers %(__gc%)",
      problem("setmetatable({}, { __gc = function() end })"))
  end)

  it("has no string.dump, math.randomseed or unbounded tables", function()
    assert.is_nil(problem("assert(string.dump == nil)"))
    assert.is_nil(problem("assert(math.randomseed == nil)"))
  end)

  local bombs = {
    ['string.rep("x", 1e10)'] = "mebibyte",
    ['string.rep("x", "10000000000")'] = "mebibyte",
    ['string.rep("", 1 << 62)'] = false,
    ['string.rep("", "1e18")'] = false,
    ['string.rep("x", 1e5, ("y"):rep(1e5))'] = "mebibyte",
    ['string.rep("", 1e12, "y")'] = "mebibyte",
    ["table.concat({}, 'x', 1, 1e15)"] = "too long",
    ["table.concat({}, 'x', 1, 1 << 62)"] = "too long",
    ["table.concat({}, 'x', '1', '100000000000')"] = "too long",
    ["table.concat({}, 'x', math.mininteger, math.maxinteger)"] = "too long",
    ["table.move({}, 1, 1e15, 1, {})"] = "too long",
    ["table.move({}, 1, 1 << 62, 1, {})"] = "too long",
    ["table.move({}, '1', '1000000000000', 1, {})"] = "too long",
    ["table.move({}, -(1 << 62), 1 << 62, 1, {})"] = "too long",
    ["table.unpack({}, 1, 1e9)"] = "too long",
    ["table.unpack({}, 1, 5e4)"] = false,
    ["table.insert(setmetatable({}, { __len = function() return 1 << 62 end "
      .. "}), 1, 2)"] = "a length of its own",
    ["table.remove(setmetatable({}, { __len = function() return 1 << 62 end "
      .. "}), 1)"] = "a length of its own",
    ["table.sort(setmetatable({}, { __len = function() return 1 << 30 end "
      .. "}))"] = "a length of its own",
    ["table.concat(setmetatable({}, { __len = function() return 1 << 62 end, "
      .. "__index = function() return 'x' end }))"] = "a length of its own",
    ['string.find(("a"):rep(1e5), (".-"):rep(20) .. "b")'] = "",
    ['string.match(("a"):rep(1e4), ("a*"):rep(30) .. "b")'] = "",
    ['string.gsub(("a"):rep(1e5), ".-.-.-.-b", "")'] = "",
    ['for _ in string.gmatch(("a"):rep(1e5), ".-.-.-.-b") do end'] = "",
    ['string.find(("a"):rep(1e6), ".-b")'] = "",
    ['string.format("%s", setmetatable({}, { __tostring = function() '
      .. "while true do end end }))"] = "ran too long",
  }

  local many = "local t, s = {}, ('x'):rep(1e6) "
    .. "for i = 1, 5e4 do t[i] = i end local kad = require('kadenza') "
    .. "for _ = 1, 1e5 do local _ = "
  for _, call in ipairs({ "s:rep(1)", "s:upper()", "kad.hex(s)", "kad.key(s)",
    "table.concat(t)", "table.sort(t)", "table.insert(t, 1, table.remove(t))",
    "table.unpack(t, 1, 4e4)", "table.move(t, 1, 4e4, 2, {})",
    "kad.hash(s)", "kad.verify(('p'):rep(32), s, ('s'):rep(64))",
    "kad.bencode.encode(t)", "s:find('y', 1, true)",
    "s:find(('x'):rep(4e5) .. 'y', 1, true)", "s:find(('x'):rep(4e5) .. 'y')",
    "s:find(('.'):rep(5000) .. 'y')",
    "('a'):rep(200):find('a*a*b')" })
  do
    bombs["for _ = 1, 1 do " .. many .. call .. " end end"] = "ran too long"
  end

  for code, text in pairs(bombs) do
    it("ends in bounded time: " .. code:sub(-70), function()
      local begun = os.clock()

      local message = problem(code:find("^for") and code
        or "local x = " .. code)

      if text then
        assert.is_string(message)
        assert.is_truthy(message:find(text, 1, true), message)
      else
        assert.is_nil(message)
      end
      assert.is_true(os.clock() - begun < 2)
    end)
  end

  it("says where what needs a network can be called", function()
    for _, call in ipairs({ "kad.random(8)", "kad.keypair()" }) do
      assert.matches("no network while a policy file is loaded: call this in "
        .. "on_start", problem('local kad = require("kadenza") ' .. call))
    end
  end)

  it("uses Lua's matcher for ordinary patterns and long subjects", function()
    assert.equal("ann|example.org", evaluate([[
      local text = ("x"):rep(200) .. " ann@example.org "
      return table.concat({ text:match("(%w+)@([%w.]+)%s*$") }, "|") ]]))
    assert.equal("k=v", evaluate([[
      local k, v = (" k  =  v "):match("^%s*(%w+)%s*=%s*(%w+)%s*$")
      return k .. "=" .. v ]]))
    assert.equal("3", evaluate([[
      return tostring(select(2, ("a,b,c"):gsub("%a", "x"))) ]]))
    assert.equal("5 5", evaluate([[
      return ("a+b.c"):find(".", 5, true) and "5 5" or
        table.concat({ ("a+b*c"):find("c", 1, true) }, " ") ]]))
  end)

  it("fails only the hook that uses too much memory", function()
    local before = policy.MEMORY
    policy.MEMORY = 3 * 1024 * 1024
    local message = problem('local s = "x" for i = 1, 60 do s = s .. s end')
    policy.MEMORY = before

    assert.matches("policy%.lua: out of memory", message)
  end)

  describe("require", function()
    local function try(name, files)
      local place <close> = support.files()
      for file, text in pairs(files or {}) do
        place:write(text, file)
      end
      local path = place:write(("return { name = require(%q).name }")
        :format(name))
      return policy.check(path)
    end

    it("finds modules beside the policy", function()
      assert.is_true(try("words", { ["words.lua"] = 'return { name = "a" }' }))
    end)

    it("runs a module once", function()
      assert.is_true(try("outer", {
        ["outer.lua"] = 'assert(require("inner") == require("inner")) '
          .. 'return { name = "a" }',
        ["inner.lua"] = "return {}",
      }))
    end)

    it("rejects a module that requires itself", function()
      local fine, message = try("loop", { ["loop.lua"] = 'require("loop")' })

      assert.is_nil(fine)
      assert.matches("loop%.lua:1: module 'loop' requires itself", message)
    end)

    for _, name in ipairs({ "../x", "..", "a..b", "/etc/passwd", "a/b", ".a",
      "a\0b", "" })
    do
      it(("rejects '%s'"):format((name:gsub("%c", "?"))), function()
        local fine, message = try(name)

        assert.is_nil(fine)
        assert.matches("policy%.lua:1: .* is not the name of a module", message)
      end)
    end

    for _, name in ipairs({ "kadenza.core", "kadenza.task", "kadenza.host",
      "kadenza.policy", "kadenza.sandbox" })
    do
      it("has no " .. name, function()
        local fine, message = try(name)

        assert.is_nil(fine)
        assert.matches("policies have no module '" .. name .. "'", message)
      end)
    end

    for _, name in ipairs({ "os", "io", "debug", "string", "_G", "package" }) do
      it("does not find the standard library " .. name, function()
        local fine, message = try(name)

        assert.is_nil(fine)
        assert.matches("No such file", message)
      end)
    end

    it("loads no binary chunks", function()
      local place <close> = support.files()
      local path = place:write(string.dump(function()
        return {}
      end))

      local fine, message = policy.check(path)

      assert.is_nil(fine)
      assert.matches("attempt to load a binary chunk", message)
    end)

    it("rejects a file of more than a mebibyte", function()
      local place <close> = support.files()
      local path = place:write("-- " .. ("x"):rep(1 << 20) .. "\nreturn {}")

      local fine, message = policy.check(path)

      assert.is_nil(fine)
      assert.matches("larger than a mebibyte", message)
    end)
  end)

  describe("math.random", function()
    local function numbers(seed)
      local place <close> = support.files()
      local path = place:write([[
        return { rpc = { random = function()
          return { value = table.concat({ math.random(1000000),
            math.random(5, 9), tostring(math.random()),
            math.random(0), math.random(math.mininteger, math.maxinteger),
          }, " ") }
        end } } ]])
      local net <close> =
        kad.sim({ seed = seed, nodes = 2, policies = { path } })
      return net:perform(function()
        return net.nodes[2]:call(net.nodes[1]:addresses()[1], "random").value
      end)
    end

    it("gives the same numbers for the same seed only",
      function()
        assert.equal(numbers(1), numbers(1))
        assert.not_equal(numbers(1), numbers(2))
      end)

    it("stays in its range", function()
      assert.is_nil(problem([[
        for i = 1, 1000 do
          local a, b, c = math.random(6), math.random(-2, 2), math.random()
          assert(a >= 1 and a <= 6 and math.type(a) == "integer")
          assert(b >= -2 and b <= 2)
          assert(c >= 0 and c < 1)
        end ]]))
      assert.matches("needs integers", problem("math.random(2, 1)"))
      assert.matches("needs integers", problem("math.random(1.5)"))
    end)
  end)

  describe("pcall", function()
    it("works as in Lua, and its function may wait", function()
      assert.equal("false|boom|true|7|false|false", evaluate([[
        local out = {}
        local function add(...)
          for i = 1, select("#", ...) do
            out[#out + 1] = tostring((select(i, ...)))
          end
        end
        add(pcall(error, "boom"))
        add(pcall(function() kad.sleep(0) return 7 end))
        add(pcall(function() kad.sleep(0) error(false) end))
        return table.concat(out, "|") ]]))
    end)

    it("raises in deep recursion", function()
      assert.matches("too many nested calls", problem(
        "local function f(n) if n > 0 then return 1 + f(n - 1) end "
        .. "return assert(pcall(f, 0)) end f(300)"))
    end)
  end)
end)
