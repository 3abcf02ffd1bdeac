-- Attempts to use more memory than policies may.
--
-- Tests scripts/kadenza/sandbox.lua, bindings/policy.

local attempt = require("tests.spec.escapes.attempt")

local FULL <const> = "memory" -- "out of" it, or "not enough"
local INSTRUCTIONS <const> = 20000000 -- so that memory ends first

local ROWS <const> = {
  { "tables", "local t = {} while true do t = { t } end", fails = FULL },
  { "a table that grows", "local t = {} for i = 1, 1e9 do t[i] = i end",
    fails = FULL },
  { "a table that grows by table.insert",
    "local t = {} while true do table.insert(t, t) end",
    fails = "the table is too long" },
  { "strings that double", 'local s = "x" while true do s = s .. s end',
    fails = FULL },
  { "strings that are all different", [[
    local t = {}
    for i = 1, 1e9 do t[i] = ("x"):rep(30) .. i end ]], fails = FULL },
  { "short strings, interned", [[
    local t = {}
    for i = 1, 1e9 do t["k" .. i] = true end ]], fails = FULL },
  { "closures with upvalues", [[
    local f = function() end
    while true do
      local g, a, b, c = f, {}, {}, {}
      f = function() return g, a, b, c end
    end ]], fails = FULL },
  { "the stack, by recursion", [[
    local function f(...) return f(1, 2, 3, 4, 5, 6, 7, 8, ...) + 1 end
    f() ]], fails = FULL },
  { "the stack, by arguments", [[
    local t = {}
    for i = 1, 90000 do t[i] = i end
    local function f(...) return (f(table.unpack(t))) end
    f() ]], fails = { FULL, "too many results to unpack" } },
  { "results that table.unpack makes of nothing", [[
    return { value = select("#", table.unpack({}, 1, 1e8)) } ]],
    fails = "too long" },
  { "results between the ends of the integers", [[
    table.unpack({}, math.mininteger, math.maxinteger) ]], fails = "too long" },
  { "table.concat of long strings", [[
    local s, t = ("x"):rep(1000000), {}
    for i = 1, 1000 do t[i] = s end
    return { value = #table.concat(t) } ]], fails = FULL },
  { "string.gsub that makes a long text of a short one", [[
    return { value = #("x"):rep(100000):gsub("x", ("y"):rep(1000)) } ]],
    fails = FULL },
  { "string.gsub, again and again", [[
    local s = "x"
    while true do s = s:gsub(".+", "%0%0%0%0") end ]], fails = FULL },
  { "string.format of long strings", [[
    local s = ("x"):rep(1000000)
    return { value = #("%s%s%s%s%s%s%s%s"):format(s, s, s, s, s, s, s, s) } ]],
    fails = FULL },
  { "string.format that quotes", [[
    local s = "\n"
    while true do s = ("%q"):format(s) end ]], fails = FULL },
  { "string.rep of the longest, kept", [[
    local t = {}
    while true do t[#t + 1] = ("x"):rep(1048576) end ]], fails = FULL },
  { "string.rep beyond what is allowed", 'return ("x"):rep(1 << 40)',
    fails = "more than a mebibyte" },
  { "string.rep by its separator", 'return (""):rep(1 << 30, "x")',
    fails = "more than a mebibyte" },
  { "string.pack of a width", 'return string.pack("!16 i17", 1)',
    fails = "out of limits" },
  { "string.pack of a long padding", [[
    return { value = #string.pack("c1000000000", "x") } ]], fails = FULL },
  { "string.pack of a size that overflows", [[
    local fine, size = pcall(string.packsize, ("c2147483639"):rep(3))
    return { value = fine and size == 3 * 2147483639 and "counted"
      or not fine and size:find("too large") and "counted" or size } ]],
    gives = "counted" },
  { "string.unpack beyond its end", [[
    return { value = string.unpack("c10", "x", 1 << 62) } ]],
    fails = "out of string" },
  { "captures of patterns", [[
    return { value = ("x"):rep(100):match(("(.)"):rep(100)) } ]],
    fails = "too many captures" },
  { "captures that are all kept", [[
    local t = {}
    for a in ("x"):rep(1000000):gmatch("()") do t[#t + 1] = { a } end ]],
    fails = FULL },
  { "bencode of a list that was made of little", [[
    local t = {}
    for i = 1, 1000 do t[i] = ("x"):rep(100000) end
    return { value = #kad.bencode.encode(t) } ]], fails = FULL },
  { "bencode that is all lists", [[
    local value = kad.bencode.decode("l" .. ("le"):rep(500000) .. "e")
    return { value = tostring(value) } ]], fails = FULL },
  { "bencode of lists in lists", [[
    local value, message =
      kad.bencode.decode(("l"):rep(100000) .. ("e"):rep(100000))
    return { value = tostring(value) } ]], gives = "nil" },
  { "bencode of a length that is a lie", [[
    local value = kad.bencode.decode("99999999999:x")
    return { value = tostring(value) } ]], gives = "nil" },
  { "hexadecimals of hexadecimals", [[
    local s = "x"
    while true do s = kad.hex(s) end ]], fails = FULL },
  { "an error object of megabytes", 'error(("x"):rep(1000000))',
    fails = "xxx" },
  { "errors that hold one another", [[
    local e = nil
    while true do
      local fine, err = pcall(error, { e })
      e = err
    end ]], fails = FULL },
  { "memory that a pcall gives up, again and again", [[
    while true do
      pcall(function() local s = "x" while true do s = s .. s end end)
    end ]], fails = FULL },
  { "tasks", "while true do kad.spawn(kad.sleep, 1) end",
    fails = "too many tasks" },
  { "tasks of kad.all", [[
    local list = {}
    for i = 1, 3000 do list[i] = function() kad.sleep(1) end end
    kad.all(list) ]], fails = "too many tasks" },
  { "tasks of kad.race", [[
    local list = {}
    for i = 1, 3000 do list[i] = function() kad.sleep(1) end end
    kad.race(list) ]], fails = "too many tasks" },
  { "tasks of kad.timeout, in one another", [[
    local function deeper() kad.timeout(1, deeper) end
    deeper() ]], fails = "too many tasks", later = 30 },
  { "callbacks of the node's operations", [[
    for i = 1, 1e6 do
      ctx.node:get(kad.key(tostring(i)), function() end)
    end ]], fails = "ran too long" },
  { "what a policy keeps of each call", place = "file", [[
    local kept = {}
    return { name = "attack", rpc = { attack = function(request)
      for _ = 1, 3000 do kept[#kept + 1] = request.args end
      return { value = "kept" }
    end } } ]], times = 60, full = true,
    fails = FULL },
  { "a list of records without an end", place = "file", [[
    return { name = "attack", types = { note = { merge = function()
      local list = {}
      for i = 1, 2000 do list[i] = { value = "x" } end
      return list
    end } } } ]], by = "validate", fails = "more than 1024 records" },
  { "a list of records that says it has none", place = "file", [[
    return { name = "attack", types = { note = { merge = function()
      return setmetatable({}, { __len = function() return 1 << 60 end,
        __index = function() return { value = "x" } end })
    end } } } ]], by = "validate", check = function(world)
      require("luassert").is_truthy(world.stored)
    end },
  { "records larger than records may be", place = "file", [[
    return { name = "attack", types = { note = { merge = function(_, record)
      return { { value = ("x"):rep(100000), key = record.key } }
    end } } } ]], by = "validate", fails = "must have 0 to 8192 bytes" },
  { "a reply larger than a datagram", [[
    return { value = ("x"):rep(100000) } ]], check = function(world)
      require("luassert").is_nil(world.reply)
    end },
}

describe("an escape by memory:", function()
  for _, row in ipairs(ROWS) do
    row.instructions = INSTRUCTIONS
    it(row[1], attempt.spec(row))
  end
end)
