-- Attempts to run without end, or longer than the budget.
--
-- Tests scripts/kadenza/sandbox.lua, bindings/policy.

local attempt = require("tests.spec.escapes.attempt")

local LONG <const> = "ran too long"
local LENGTH <const> = "a length of its own"

local ROWS <const> = {
  { "a loop", "while true do end", fails = LONG },
  { "a loop of goto", "::again:: goto again", fails = LONG },
  { "a loop of goto continue", [[
    for i = 1, math.huge do
      if i % 2 then goto continue end
      ::continue::
    end ]], fails = LONG },
  { "a loop inside of pcall inside of a loop", [[
    while true do
      pcall(function() while true do end end)
    end ]], fails = LONG },
  { "nested pcalls", [[
    local function nest(depth)
      if depth > 0 then
        return pcall(nest, depth - 1)
      end
      while true do end
    end
    while true do nest(150) end ]], fails = LONG },
  { "errors raised and caught", "while true do pcall(error) end",
    fails = LONG },
  { "__index that loops", [[
    local t = setmetatable({}, { __index = function() while true do end end })
    return t.x ]], fails = LONG },
  { "__index and __newindex that call each other", [[
    local meta = {}
    local t = setmetatable({}, meta)
    meta.__index = function(_, k) t[k] = 1 end
    meta.__newindex = function(_, k) return t[k] end
    while true do pcall(function() return t.x end) end ]], fails = LONG },
  { "__eq that loops", [[
    local meta = { __eq = function() while true do end end }
    return setmetatable({}, meta) == setmetatable({}, meta) ]], fails = LONG },
  { "__lt as the comparator of table.sort", [[
    local meta = { __lt = function() while true do end end }
    table.sort({ setmetatable({}, meta), setmetatable({}, meta) }) ]],
    fails = LONG },
  { "__concat that loops", [[
    return "" .. setmetatable({}, { __concat = function()
      while true do end
    end }) ]], fails = LONG },
  { "__len that loops", [[
    return #setmetatable({}, { __len = function() while true do end end }) ]],
    fails = LONG },
  { "__call that loops, inside of pcall", [[
    local f = setmetatable({}, { __call = function() while true do end end })
    while true do pcall(f) end ]], fails = LONG },
  { "__call of __call of __call", [[
    local f = function() while true do end end
    for _ = 1, 100 do f = setmetatable({}, { __call = f }) end
    f() ]], fails = { LONG, "'__call' chain too long" } },
  { "__call of __call, few", [[
    local f = function() while true do end end
    for _ = 1, 10 do f = setmetatable({}, { __call = f }) end
    f() ]], fails = LONG },
  { "__close that loops at the end of a scope", [[
    do
      local _ <close> = setmetatable({}, { __close = function()
        while true do end
      end })
    end ]], fails = LONG },
  { "__close that loops after an error", [[
    local _ <close> = setmetatable({}, { __close = function()
      while true do end
    end })
    error("x") ]], fails = "x" },
  { "__close that loops after the hook is killed", [[
    local _ <close> = setmetatable({}, { __close = function()
      while true do end
    end })
    while true do end ]], fails = LONG },
  { "__pairs that loops", [[
    for _ in pairs(setmetatable({}, { __pairs = function()
      while true do end
    end })) do end ]], fails = LONG },
  { "__tostring that loops", [[
    return tostring(setmetatable({}, { __tostring = function()
      while true do end
    end })) ]], fails = LONG },
  { "__tostring of string.format", [[
    return ("%s"):format(setmetatable({}, { __tostring = function()
      while true do end
    end })) ]], fails = LONG },
  { "__tostring of an error object", [[
    error(setmetatable({}, { __tostring = function()
      while true do end
    end })) ]], fails = "an error that cannot be shown" },
  { "__tostring that raises itself", [[
    local e = {}
    error(setmetatable(e, { __tostring = function() error(e) end })) ]],
    fails = "an error that cannot be shown" },
  { "__name that is no string", [[
    error(setmetatable({}, { __name = {} })) ]], fails = "no text: table" },
  { "arithmetic metamethods", [[
    local meta = {}
    local t = setmetatable({}, meta)
    for _, name in ipairs({ "__add", "__unm", "__bnot", "__shl", "__idiv" }) do
      meta[name] = function() while true do end end
    end
    pcall(function() return t + 1 end)
    pcall(function() return ~t end)
    return t // 1 ]], fails = LONG },
  { "a comparator of table.sort that loops", [[
    table.sort({ 3, 2, 1 }, function() while true do end end) ]],
    fails = LONG },
  { "a comparator of table.sort that lies", [[
    local t = {}
    for i = 1, 5000 do t[i] = i end
    while true do
      pcall(table.sort, t, function() return true end)
    end ]], fails = LONG },
  { "a callback of string.gsub that loops", [[
    return (("x"):gsub(".", function() while true do end end)) ]],
    fails = LONG },
  { "a callback of string.gsub that calls string.gsub", [[
    local function again() return (("xx"):gsub(".", again)) end
    while true do pcall(again) end ]], fails = LONG },
  { "a table of string.gsub whose __index loops", [[
    return (("x"):gsub(".", setmetatable({}, { __index = function()
      while true do end
    end }))) ]], fails = LONG },
  { "patterns that backtrack, of find", [[
    return ("a"):rep(50000):find((".-"):rep(20) .. "b") ]], fails = LONG },
  { "patterns that backtrack, of match", [[
    return ("a"):rep(50000):match(("a*"):rep(20) .. "b") ]], fails = LONG },
  { "patterns that backtrack, of gmatch", [[
    for _ in ("a"):rep(50000):gmatch(("a?"):rep(30) .. "a*a*a*b") do end ]],
    fails = LONG },
  { "patterns that backtrack, of gsub", [[
    return (("a"):rep(50000):gsub("(.-)(.-)(.-)b", "%1")) ]], fails = LONG },
  { "balances of patterns", [[
    while true do local _ = ("("):rep(3000):find("%b()%b()") end ]],
    fails = LONG },
  { "frontiers and sets of patterns", [[
    local set = "[" .. ("x"):rep(5000) .. "]"
    while true do local _ = ("a"):rep(5000):find("%f" .. set) end ]],
    fails = LONG },
  { "back references of patterns", [[
    while true do local _ = ("a"):rep(3000):find("(.-)%1b") end ]],
    fails = LONG },
  { "a pattern of more repetitions than the subject has bytes", [[
    return { value = ("aaaaaaaaaaaa"):match(("a*"):rep(80) .. "b") } ]],
    fails = LONG },
  { "the same with one item more or less than bytes", [[
    local s = ("a"):rep(24)
    for n = 20, 28 do local _ = s:find(("a?"):rep(n) .. ("a"):rep(n) .. "b") end
    ]], fails = LONG },
  { "a pattern on a number", [[
    return { value = string.find(1234567890123456789,
      ("%d?"):rep(30) .. "x") } ]], fails = LONG },
  { "a number as a pattern", [[
    return { value = ("a1b"):find(1) } ]], gives = 2 },
  { "a number as the subject of a plain search", [[
    return { value = string.find(12.5, ".", 1, true) } ]], gives = 3 },
  { "a pattern in string.find with a false plain", [[
    return { value = string.find(("a"):rep(30), ("a*"):rep(30) .. "b", 1,
      false) } ]], fails = LONG },
  { "gmatch of repetitions", [[
    for _ in ("a"):rep(40):gmatch(("a-"):rep(40) .. "b") do end ]],
    fails = LONG },
  { "gsub of repetitions", [[
    return { value = ("a"):rep(40):gsub(("a+"):rep(20) .. "b", "") } ]],
    fails = LONG },
  { "patterns of sets as long as the subject", [[
    local set = "[" .. ("%w"):rep(20000) .. "]"
    return { value = ("-"):rep(20000):find(set .. "*" .. set) } ]],
    fails = LONG },
  { "balanced texts at each place", [[
    return { value = ("("):rep(20000):find("%b()") } ]], fails = LONG },
  { "copies of a capture", [[
    return { value = ("a"):rep(20000):find("(.-)%1%1%1b") } ]], fails = LONG },
  { "frontiers of a long set", [[
    return { value = ("-"):rep(20000):find("%f[" .. ("%w"):rep(20000) .. "]") }
    ]], fails = LONG },
  { "a pattern in a coroutine, inside of pcall", [[
    return { value = coroutine.wrap(function()
      return pcall(string.find, ("a"):rep(40), ("a*"):rep(40) .. "b")
    end)() } ]], fails = LONG },
  { "a search for a long plain text", [[
    local s = ("a"):rep(500000)
    while true do local _ = s:find(("a"):rep(20000) .. "b", 1, true) end ]],
    fails = LONG },
  { "string.rep of nothing, without end", [[
    return { value = (""):rep(1 << 62) } ]], gives = "" },
  { "string.format with the widest of fields", [[
    while true do local _ = ("%99.99f"):rep(20):format(1e308, 1e308, 1e308,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1) end ]],
    fails = LONG },
  { "string.format with a width of a hundred", [[
    return ("%100d"):format(1) ]], fails = "invalid conversion" },
  { "string.packsize of a long format", [[
    local f = ("i1"):rep(200000)
    while true do local _ = string.packsize(f) end ]], fails = LONG },
  { "string.pack of a long format that fails at its end", [[
    local f = ("i1!16"):rep(50000) .. "?"
    while true do pcall(string.pack, f) end ]], fails = LONG },
  { "string.unpack of zero-terminated strings", [[
    local s = ("x"):rep(1000000) .. "\0"
    while true do local _ = #string.unpack("z", s) end ]], fails = LONG },
  { "string.byte of all bytes", [[
    local s = ("x"):rep(500000)
    while true do local _ = s:byte(1, -1) end ]], fails = "too many bytes" },
  { "string.byte of many bytes", [[
    local s = ("x"):rep(50000)
    while true do local _ = s:byte(-50000, -1) end ]], fails = LONG },
  { "tonumber of a long string", [[
    local s = (" "):rep(1000000)
    while true do local _ = tonumber(s) end ]], fails = LONG },
  { "tonumber of a long string of digits, with a base", [[
    local s = ("1"):rep(1000000)
    while true do local _ = tonumber(s, 2) end ]], fails = LONG },
  { "select over many arguments", [[
    local t = {}
    for i = 1, 20000 do t[i] = i end
    local function f(...)
      while true do local _ = select(-1, ...) end
    end
    f(table.unpack(t)) ]], fails = LONG },
  { "arguments by the thousand", [[
    local t = {}
    for i = 1, 20000 do t[i] = i end
    local function f(...)
      while true do local _ = { (...), ... } end
    end
    f(table.unpack(t)) ]], fails = LONG },
  { "comparing long strings of zeros", [[
    local a, b = ("\0"):rep(1000000) .. "a", ("\0"):rep(1000000) .. "b"
    while true do local _ = a < b end ]], fails = LONG },
  { "adding to long strings of blanks", [[
    local a = (" "):rep(1000000) .. "1"
    while true do local _ = a + 1 end ]], fails = LONG },
  { "next of a table that was emptied", [[
    local t = {}
    for i = 1, 40000 do t[-i] = i end
    for i = 1, 40000 do t[-i] = nil end
    while true do local _ = next(t) end ]], fails = LONG },
  { "table.concat of a list without an end", [[
    return table.concat(setmetatable({}, { __index = function()
      return "x"
    end }), "", 1, 1 << 60) ]], fails = "too long" },
  { "table.insert into a table that lies about its length", [[
    table.insert(setmetatable({}, { __metatable = {}, __len = function()
      return 1 << 60
    end }), 1, "x") ]], fails = LENGTH },
  { "table.remove from a table that lies about its length", [[
    table.remove(setmetatable({}, { __metatable = {}, __len = function()
      return 1 << 60
    end }), 1) ]], fails = LENGTH },
  { "table.sort of a table that lies about its length", [[
    table.sort(setmetatable({}, { __metatable = {}, __len = function()
      return 1 << 30
    end }), function() return false end) ]], fails = LENGTH },
  { "table.unpack of a table that lies about its length", [[
    return { value = select("#", table.unpack(setmetatable({}, {
      __metatable = {}, __len = function() return 1 << 30 end }))) } ]],
    fails = LENGTH },
  { "table.move that overlaps itself, again and again", [[
    local t = {}
    for i = 1, 10000 do t[i] = i end
    while true do table.move(t, 1, 10000, 2) end ]], fails = LONG },
  { "table.remove at the front of a long list", [[
    local t = {}
    for i = 1, 20000 do t[i] = i end
    while true do table.insert(t, 1, (table.remove(t, 1))) end ]],
    fails = LONG },
  { "recursion", "local function f() return f() + 1 end f()", fails = LONG },
  { "recursion without an end, by tail calls",
    "local function f() return f() end f()", fails = LONG },
  { "recursion, caught again and again", [[
    local function f() return f() + 1 end
    while true do pcall(f) end ]], fails = LONG },
  { "recursion of __index by functions of C", [[
    local meta = {}
    meta.__index = function(t, k) return ("%s"):format(t[k .. "x"]) end
    return setmetatable({}, meta).x ]], fails = "C stack overflow" },
  { "recursion of __tostring", [[
    local t = setmetatable({}, {})
    return tostring(setmetatable(t, { __tostring = tostring })) ]],
    fails = "C stack overflow" },
  { "a chain of __index as long as may be", [[
    local t = {}
    for _ = 1, 5000 do t = setmetatable({}, { __index = t }) end
    while true do pcall(function() return t.x end) end ]], fails = LONG },
  { "signatures", "while true do kad.keypair() end", fails = LONG },
  { "random bytes", "while true do kad.random(65536) end", fails = LONG },
  { "hashes of long strings", [[
    local s = ("x"):rep(1000000)
    while true do kad.key(s) end ]], fails = LONG },
  { "bencode of what contains itself", [[
    local t = {}
    t[1] = t
    return { value = kad.bencode.encode(t) } ]], fails = "contains itself" },
  { "bencode of depth", [[
    while true do kad.bencode.decode(("l"):rep(100000)) end ]], fails = LONG },
  { "options whose __pairs has no end", [[
    local found, message = ctx.node:get(kad.key("x"), setmetatable({}, {
      __pairs = function() return assert, "type", "type" end,
    }))
    return { value = message } ]], gives = "not found" },
  { "a list whose __index has no end", [[
    local found, message =
      ctx.node:bootstrap(setmetatable({}, { __index = tostring }))
    return { value = found and "joined" or message } ]],
    gives = "joined" },
  { "log fields whose __pairs has no end", [[
    kad.log.info("logged", setmetatable({}, { __pairs = function()
      return assert, "x", "x"
    end }))
    return { value = "on" } ]], gives = "on", logs = "logged" },
  { "tasks whose list has no end", [[
    local list = setmetatable({}, { __index = function() return error end,
      __len = function() return 1 << 60 end })
    return { value = tostring(#kad.all(list)) } ]], gives = "0" },
  { "a reply whose metamethods loop", [[
    local function loop() while true do end end
    return setmetatable({ value = "read" }, { __index = loop, __len = loop,
      __pairs = loop }) ]], gives = "read" },
  { "a sleep of no time, without end", "while true do kad.sleep(0) end",
    fails = "did not answer before its deadline" },
  { "a wait that ends at once, without end", [[
    while true do
      kad.wait(function(resume) resume() end)
    end ]], fails = LONG },
  { "a wait that never begins", [[
    kad.wait(function() while true do end end) ]], fails = LONG },
  { "a wait that wakes itself while it begins", [[
    local again
    function again(resume) kad.spawn(resume) kad.wait(again) end
    kad.wait(again) ]], fails = "" },
}

describe("an escape by running time:", function()
  for _, row in ipairs(ROWS) do
    it(row[1], attempt.spec(row))
  end
end)
