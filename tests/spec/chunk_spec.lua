-- Tests scripts/kadenza/chunk.lua: what is wrong with a file names the file.

local chunk = require("kadenza.chunk")
local policies = require("tests.spec.support.policy")
local policy = require("kadenza.policy")

-- Returns the message of a policy that cannot be loaded, without the folder of
-- its files. `part` is the text of a module beside it.
local function problem(text, part)
  local files <close> = policies.files()
  local path = files:write(text)
  if part then
    files:write(part, "part.lua")
  end
  local fine, message = policy.check(path)
  assert(fine == nil, "the policy is valid")
  return (message:gsub("^" .. files.folder:gsub("%p", "%%%0") .. "/", ""))
end

-- A policy that nests tables so deep that Lua cannot read it.
local DEEP <const> = "return " .. ("{"):rep(300) .. ("}"):rep(300)
local TOO_DEEP <const> = "it is nested too deep: C stack overflow"
local BYTECODE <const> = string.dump(function()
  return {}
end)
local NO_TEXT <const> = {
  ["error({})"] = "an error that is no text: table",
  ["error(setmetatable({}, { __name = 'x' }))"] =
    "an error that is no text: x",
  ["error(function() end)"] = "an error that is no text: function",
  ["error(coroutine.create(error))"] =
    "an error that is no text: thread",
  ["error(nil)"] = "an error that is no text: nil",
  ["error()"] = "an error that is no text: nil",
  ["error('text', 0)"] = "text",
  ["error(42)"] = "42",
  ["error(false)"] = "false",
  ["error(setmetatable({}, { __tostring = function() return 'its' end }))"] =
    "its",
  ["error(setmetatable({}, { __tostring = function() error() end }))"] =
    "an error that cannot be shown",
}

describe("a policy that cannot be loaded", function()
  for code, text in pairs(NO_TEXT) do
    it("is named: " .. code, function()
      assert.equal("policy.lua: " .. text, problem(code))
      assert.equal("policy.lua: " .. text,
        problem("return function() " .. code .. " end"))
      assert.equal("part.lua: " .. text,
        problem('require("part")', code):gsub("^.*/", ""))
    end)
  end

  it("is named when it is nested too deep", function()
    assert.equal("policy.lua: " .. TOO_DEEP, problem(DEEP))
    assert.equal("policy.lua: " .. TOO_DEEP,
      problem("return " .. ("("):rep(1000) .. "1" .. (")"):rep(1000)))
    assert.equal("part.lua: " .. TOO_DEEP,
      problem('require("part")', DEEP):gsub("^.*/", ""))
  end)

  it("is named when it is bytecode", function()
    for _, bytes in ipairs({ BYTECODE, "\27Lua", "\u{FEFF}" .. BYTECODE }) do
      assert.equal(
        "policy.lua: attempt to load a binary chunk: give its source",
        problem(bytes))
    end
    assert.matches("^policy%.lua:2: unexpected symbol",
      problem("#!x\n" .. BYTECODE))
    assert.matches("^part%.lua: attempt to load a binary chunk",
      (problem('require("part")', BYTECODE):gsub("^.*/", "")))
  end)

  it("is named for its module that is missing", function()
    assert.matches("^policy%.lua: module 'gone': .*No such file",
      problem('return require("gone")'))
  end)

  it("keeps the line of an error", function()
    assert.equal("policy.lua:2: boom", problem('\nerror("boom")'))
    assert.equal("policy.lua:2: unexpected symbol near '='",
      problem("\nx = = 1"))
  end)

  it("has no traceback of the program's own code", function()
    local found, message = xpcall(chunk.load, debug.traceback, DEEP, "x.lua")
    assert.is_true(found)
    assert.is_nil(message)
    assert.equal("x.lua: " .. TOO_DEEP,
      select(2, chunk.load(DEEP, "x.lua")))
  end)
end)
