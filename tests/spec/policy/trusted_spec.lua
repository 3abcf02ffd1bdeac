local kad = require("kadenza")
local policy = require("kadenza.policy")
local shared = require("tests.spec.support")
local support = require("tests.spec.support.policy")

local spec, assert_blames_caller = shared.spec, shared.assert_blames_caller

-- Opens a node with a trusted file and, if there is one, a sandboxed one.
-- Returns the results of net:open.
local function open(text, other, also)
  local files <close> = support.files()
  local before, limit = package.path, policy.INSTRUCTIONS
  policy.INSTRUCTIONS = support.INSTRUCTIONS
  package.path = files.folder .. "/lib/?.lua;" .. before
  os.execute("mkdir -p " .. files.folder .. "/lib")
  files:write("return { folder = os.getenv('PWD') ~= nil, io = io.open }",
    "lib/installed.lua")
  for name, content in pairs(also or {}) do
    files:write(content, name)
  end
  local policies = { { file = files:write(text), trusted = true } }
  if other then
    policies[2] = files:write(other, "other.lua")
  end
  local net <close> = kad.sim({ join = false })
  local node, message, code = net:open({ policies = policies })
  if node then
    net:run(5)
  end
  package.path, policy.INSTRUCTIONS = before, limit
  return node and true, message, code
end

-- Returns true, or the message about a file that evaluates `expression`.
local function holds(expression, also)
  return open("assert(" .. expression .. ", 'no') return {}", nil, also)
end

describe("a trusted policy file", function()
  local has = {
    "os.time() > 0", "io.open", "debug.traceback()", "print", "rawget",
    "xpcall", "collectgarbage('count') > 0", "getmetatable({}) == nil",
    "utf8.char(228) == 'ä'", "package.path",
    "coroutine.wrap(function() coroutine.yield(7) end)() == 7",
    "math.random() < 1", "string.dump(function() end)", "string.rep",
    "load('return os ~= nil')()", "_G.os == os",
    "_VERSION == '" .. _VERSION .. "'",
    "require('kadenza').sleep", "require('kadenza.limit')",
    "require('installed').io == io.open", "require('os') == os",
    "require('beside').fine", "loadfile and dofile",
    "setmetatable({}, { __gc = function() end })",
  }
  if package.searchpath("lfs", package.cpath) then -- a module in C
    has[#has + 1] = "require('lfs').currentdir()"
  end
  for _, expression in ipairs(has) do
    it("has " .. expression, spec(function()
      assert.is_true(holds(expression,
        { ["beside.lua"] = "return { fine = io ~= nil }" }))
    end))
  end

  it("waits in coroutines of a module that it requires", spec(function()
    local path = os.tmpname()
    assert.is_true(open(string.format([[
      local kad = require("kadenza")
      return { on_start = function()
        local file <close> = io.open(%q, "w")
        for value in require("lib.values")(kad.sleep) do
          file:write(value, " ")
        end
      end } ]], path), nil, { ["lib/values.lua"] = [[
        return function(sleep)
          return coroutine.wrap(function()
            for i = 1, 3 do
              sleep(0.1)
              coroutine.yield(i)
            end
          end)
        end ]] }))
    local file <close> = assert(io.open(path))
    local text = file:read("a")
    os.remove(path)
    assert.equal("1 2 3 ", text)
  end))

  it("names undefined globals", spec(function()
    local _, message = open("return oss")
    assert.matches("policy%.lua:1: undefined global 'oss'", message)

    _, message = open("total = 1 return {}")
    assert.matches("policy%.lua:1: global 'total' cannot be set", message)
  end))

  it("names a module that it cannot find", spec(function()
    local _, message = open("require('no.such.module') return {}")
    assert.matches("module 'no%.such%.module' not found", message)
  end))

  it("does not share its environment with other files",
    spec(function()
      local trusted = "io.stdout:write('') require('installed') return {}"
      for _, name in ipairs({ "os", "io", "debug", "load", "package", "_G",
        "print", "rawset", "getmetatable", "dofile" }) do
        local _, message = open(trusted, "return " .. name)
        assert.matches("other%.lua:1: undefined global '" .. name .. "'",
          message)
      end
      for _, name in ipairs({ "installed", "os", "lfs", "kadenza.core" }) do
        local opened = open(trusted, "require('" .. name .. "') return {}")
        assert.is_nil(opened)
      end
    end))

  it("is stopped by its budgets", spec(function()
    local _, message = open("while true do pcall(error) end")
    assert.matches("policy%.lua:1: ran too long", message)

    _, message = open("xpcall(function() while true do end end, print) "
      .. "while true do end")
    assert.matches("ran too long", message)

    local before = policy.MEMORY
    policy.MEMORY = 4000000
    _, message = open("local s = 'x' for _ = 1, 40 do s = s .. s end return {}")
    policy.MEMORY = before
    assert.matches("policy%.lua: out of memory", message)
  end))

  it("keeps its trust in a reload", spec(function()
    local files <close> = support.files()
    local path = files:write("return { types = {} }")
    local net <close> = kad.sim({ join = false })
    local node = assert(net:open({
      policies = { { file = path, trusted = true } } }))
    files:write("assert(os and io) return {}")

    assert.is_true(node:reload())
  end))

  it("is not trusted by default", spec(function()
    local files <close> = support.files()
    local path = files:write("return { name = os.getenv('HOME') }")
    for _, entry in ipairs({ path, { file = path },
      { file = path, trusted = false } }) do
      local fine, message = policy.check({ entry })
      assert.is_nil(fine)
      assert.matches("undefined global 'os'", message)
    end
    assert.is_true(policy.check({ { file = path, trusted = true } }))
  end))

  it("is checked with errors that name the caller", function()
    local net <close> = kad.sim({ join = false })
    local wrong = {
      ["policy 1 has an unknown key 'trust' beside 'file'"] =
        { file = "a.lua", trust = true },
      ["policy 1 has a file that is a number, not a path"] = { file = 1 },
      ["policy 1 has a trusted that is a string, not a boolean"] =
        { file = "a.lua", trusted = "yes" },
    }
    for message, entry in pairs(wrong) do
      assert_blames_caller(message, function()
        net:open({ policies = { entry } })
      end)
    end
    assert_blames_caller("must be all files or all tables", function()
      net:open({ policies = { { file = "a.lua" }, {} } })
    end)
  end)
end)
