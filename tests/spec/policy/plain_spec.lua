-- Plain values, packed to go from one Lua state to another.
--
-- Tests bindings/lua/plain.c.

local core = require("kadenza.core")

local function copy(value)
  return core.unpack_plain(core.pack_plain(value, "value"))
end

-- Returns a random plain value.
local function make(random, depth)
  local kind = random(depth > 0 and 7 or 5)
  if kind == 1 then
    return random(2) == 1
  elseif kind == 2 then
    return random(0)
  elseif kind == 3 then
    return random() * 10 ^ random(-300, 300)
  elseif kind == 4 then
    return ("%c"):rep(3):format(random(256) - 1, random(256) - 1,
      random(256) - 1)
  elseif kind == 5 then
    return ""
  end
  local made = {}
  for i = 1, random(0, 6) do
    local key = random(3) == 1 and i or make(random, 0)
    made[key] = make(random, depth - 1)
  end
  return made
end

-- A generator with a seed, so that a failure can be repeated.
local function generator(seed)
  math.randomseed(seed)
  return math.random
end

describe("plain values", function()
  it("are unpacked as they were packed", function()
    for seed = 1, 500 do
      local value = make(generator(seed), 5)
      assert.same(value, copy(value), "seed " .. seed)
    end
  end)

  it("keep the subtype of a number", function()
    for _, value in ipairs({ 1, 1.0, -0.0, 1 / 0, -1 / 0, math.maxinteger,
      math.mininteger, 2 ^ 53, 5e-324 }) do
      local copied = copy(value)
      assert.equal(math.type(value), math.type(copied))
      assert.equal(string.pack("n", value), string.pack("n", copied))
    end
    local nan = copy(0 / 0)
    assert.is_true(nan ~= nan)
    assert.is_nil(copy(nil))
  end)

  it("share no tables: a table that occurs twice becomes two", function()
    local shared = { 1 }
    local copied = copy({ shared, shared })
    assert.same({ { 1 }, { 1 } }, copied)
    assert.not_equal(copied[1], copied[2])
    assert.not_equal(shared, copied[1])
  end)

  it("call no metamethods", function()
    local called = false
    local function call()
      called = true
    end
    local value = setmetatable({}, { __pairs = call, __index = call,
      __len = call, __metatable = call })
    assert.has_error(function()
      core.pack_plain({ value }, "it")
    end, "it[1] has a metatable: a plain table is needed")
    assert.is_false(called)
  end)

  it("have at most one mebibyte", function()
    -- A string is preceded by a tag and four bytes of its length.
    assert.equal(1048571, #copy(("x"):rep(1048571)))
    assert.has_error(function()
      core.pack_plain(("x"):rep(1048572), "it")
    end, "it is too large: over a mebibyte in all")
    local list = {}
    for i = 1, 60000 do
      list[i] = i
    end
    assert.has_error(function()
      core.pack_plain({ list = list }, "it")
    end)
    list[58000] = nil
    assert.equal(57999, #copy(table.move(list, 1, 57999, 1, {})))
  end)

  it("show a long or binary key shortened in messages", function()
    local fine, message = pcall(core.pack_plain,
      { [("k"):rep(1000)] = { [1.5] = print } }, "it")
    assert.is_false(fine)
    assert.matches("^it%.k+%.%.%.%[a number%] is a function: ", message)
    assert.is_true(#message < 250)
    fine, message = pcall(core.pack_plain, { ["a\0b\n"] = print }, "it")
    assert.is_false(fine)
    assert.matches("^it%.a\\x00b\\x0a is a function: ", message)
  end)

  it("are rejected if their bytes are malformed", function()
    local bytes = core.pack_plain({ a = { 1, "two", 3.5, true } }, "it")
    for len = 0, #bytes - 1 do
      assert.is_false(pcall(core.unpack_plain, bytes:sub(1, len)))
    end
    for _, wrong in ipairs({ "", "x", "}", "{}}", "{i", "s\255\255\255\255",
      ("{"):rep(100), "{nt}" }) do
      local fine, value = pcall(core.unpack_plain, wrong)
      assert.is_true(not fine or type(value) == "table", wrong)
    end
    local random = generator(7)
    for _ = 1, 2000 do
      local place = random(#bytes)
      pcall(core.unpack_plain, bytes:sub(1, place - 1)
        .. string.char(random(256) - 1) .. bytes:sub(place + 1))
    end
  end)
end)
