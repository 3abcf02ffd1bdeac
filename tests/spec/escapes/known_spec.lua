-- Attacks on other programs that run scripts: the published vulnerabilities of
-- Redis and HAProxy, and the bugs of Lua 5.4.
--
-- Tests scripts/kadenza/sandbox.lua, bindings/policy.

local attempt = require("tests.spec.escapes.attempt")

local LONG <const> = "ran too long"

-- Calls every function with every combination of unexpected values.
local EVERYTHING <const> = [[
  local values = { 0, -1, 1 << 31, math.mininteger, math.maxinteger, 0 / 0,
    math.huge, "", "%", ("x"):rep(300), "\0", {}, { {} }, print_nothing,
    setmetatable({}, { __index = function() return 1 end,
      __len = function() return -1 end, __tostring = function() return 1 end,
    }), function() end, kad.spawn, string, true, ctx, request, ctx.node }
  local calls = 0
  local function try(library)
    for name, fn in pairs(library) do
      if type(fn) == "function" and not SKIP[name] then
        pcall(fn)
        for _, first in ipairs(values) do
          pcall(fn, first)
          for _, second in ipairs(values) do
            calls = calls + 1
            pcall(fn, first, second)
            pcall(fn, first, second, values[calls % #values + 1])
          end
        end
      end
    end
  end
  try(LIBRARY)
  return { value = calls > 100 and "tried" or "" } ]]

-- `skipped` would make the attempt wait.
local function everything(library, skipped)
  return {
    "all functions of " .. library .. " with all that is odd",
    (EVERYTHING:gsub("LIBRARY", library):gsub("SKIP", skipped or "kad")
      :gsub("print_nothing", "kad.log")),
    gives = "tried",
    instructions = 2e8,
  }
end

local ROWS <const> = {
  everything("string"), everything("table"), everything("math"),
  everything("kad.bencode"),
  everything("kad", "({ sleep = 1, wait = 1, spawn = 1, all = 1, race = 1,"
    .. " timeout = 1 })"),
  { "Redis, CVE-2025-49844: a source collected while it is read", [[
    local keep = {}
    for i = 1, 200 do
      keep[i % 3 + 1] = ("x"):rep(100000) .. i
      local fine, message = pcall(require, "broken" .. i % 2)
      if fine then return { value = "read" } end
    end
    return { value = "collected" } ]],
    files = {
      broken0 = "", ["broken0.lua"] = ("local x = 'y' "):rep(150) .. " !",
      ["broken1.lua"] = "return '" .. ("z"):rep(10000),
    },
    instructions = 2e7, gives = "collected" },
  { "Redis, CVE-2025-46817: more results of unpack than an int counts", [[
    return { value = select("#", table.unpack({}, 0, 2147483647)) } ]],
    fails = "the range is too long" },
  { "Redis, CVE-2025-46817: bounds that wrap", [[
    return { value = select("#", table.unpack({}, math.maxinteger,
      math.mininteger)) } ]], gives = 0 },
  { "Redis, CVE-2025-46818: the metatable of strings", [[
    ("x").evil = function() end ]], fails = "attempt to index a string value" },
  { "Redis, CVE-2025-46818: the metatable of numbers",
    "setmetatable(1, { __call = error })",
    fails = "setmetatable needs a table" },
  { "Redis, CVE-2025-46818: the metatable of functions",
    "setmetatable(error, { __index = {} })",
    fails = "setmetatable needs a table" },
  { "Redis, CVE-2025-46819: a long bracket without an end", place = "file",
    "return [" .. ("="):rep(500000), refused = "invalid long string" },
  { "Redis, CVE-2025-46819: a long string without an end", place = "file",
    "return [==[" .. ("]="):rep(200000), refused = "unfinished long string" },
  { "Redis, CVE-2024-46981: a finalizer at the end of the state", [[
    local meta = {}
    keep = meta ]], fails = "global 'keep' cannot be set" },
  { "Redis, CVE-2024-31449: the least of integers", [[
    local least, out = math.mininteger, {}
    for _, f in ipairs({ "%d", "%x", "%o", "%5.40d", "%-99d", "%+.99d", "%i",
      "%a", "%g", "%.99f", "%q", "%s", "%c" })
    do
      out[#out + 1] = f:format(least)
    end
    local x = least // -1 + least % -1 + math.abs(least) + -least
    return { value = x == least and #("x"):rep(least) == 0
      and #("xyz"):sub(least, math.maxinteger) == 3
      and select("#", ("xyz"):byte(least, math.maxinteger)) == 3
      and "counted" } ]], gives = "counted" },
  { "Redis, CVE-2024-31449: the ends of the integers in loops", [[
    local count = 0
    for i = math.maxinteger - 1, math.maxinteger do count = count + 1 end
    for i = math.mininteger, math.maxinteger, math.maxinteger do
      count = count + 1
    end
    for i = math.mininteger + 1, math.mininteger, -1 do count = count + 1 end
    return { value = count } ]], gives = 7 },
  { "Redis, CVE-2024-31228: a pattern that recurs", [[
    return { value = tostring(("a"):rep(1000):find(("a?"):rep(900) .. "b")) }
  ]], fails = LONG },
  { "Redis, CVE-2024-31228: a pattern that recurs in C", [[
    local fine, message = pcall(string.find, ("a"):rep(100),
      ("(a)"):rep(30) .. (".?"):rep(300))
    return { value = fine and "found" or "refused" } ]], gives = "found" },
  { "Redis, CVE-2022-24735: code in what others will run", [[
    for name in pairs(_ENV) do _ENV[name] = error end
    _ENV.tostring = error ]], fails = "global 'tostring' cannot be set" },
  { "Redis, CVE-2022-24736: an error object that is nothing", "error()",
    fails = { "nil", "no error object" } },
  { "Redis, CVE-2021-32626: as many arguments as there may be", [[
    local list = {}
    for i = 1, 20000 do list[i] = 1 end
    local function count(...) return select("#", ...) end
    local most = 0
    for _, f in ipairs({ count, math.max, string.char, kad.spawn, pcall,
      table.pack, ctx.node.ping, kad.bencode.encode, tostring, kad.wait })
    do
      local _, result = pcall(f, table.unpack(list))
      most = math.max(most, type(result) == "number" and result or 0)
    end
    return { value = most } ]], gives = 20000, instructions = 2e7 },
  { "Redis, CVE-2021-32626: results through a wait", [[
    local list = {}
    for i = 1, 20000 do list[i] = i end
    local function results()
      return kad.wait(function(resume)
        kad.spawn(function() kad.sleep(0) resume(table.unpack(list)) end)
      end)
    end
    return { value = select("#", results()) } ]], gives = 20000,
    instructions = 2e7 },
  { "Redis, CVE-2020-14147: a size that wraps in a format", [[
    local out = {}
    for _, f in ipairs({ "i2147483648", "i4294967297", "c2147483648",
      "!99999999999 i4", "s2147483649", "i0", "!3 i4", "Xi17", "X" })
    do
      out[#out + 1] = tostring((pcall(string.pack, f, 1)))
        .. tostring((pcall(string.unpack, f, "xxxx")))
    end
    return { value = table.concat(out):find("true") and "packed" or "refused" }
  ]], instructions = 2e7, gives = "refused" },
  { "Redis, CVE-2018-11219: a position that wraps", [[
    local out = {}
    for _, at in ipairs({ math.maxinteger, math.mininteger, 1 << 32, 6 }) do
      out[#out + 1] = tostring((pcall(string.unpack, "I4", "abcd", at)))
    end
    return { value = table.concat(out, " ") } ]],
    gives = "false true false false" },
  { "Redis, CVE-2018-11218: lists within lists, decoded", [[
    local deep = ("l"):rep(200000) .. ("e"):rep(200000)
    return { value = tostring((kad.bencode.decode(deep))) } ]], gives = "nil" },
  { "Redis, CVE-2018-11218: lists within lists, encoded", [[
    local t = {}
    for _ = 1, 20000 do t = { t } end
    return { value = tostring((pcall(kad.bencode.encode, t))) } ]],
    gives = "false" },
  { "Redis: a script that catches its end", [[
    while true do
      pcall(pcall, pcall, function() while true do pcall(error) end end)
    end ]], fails = LONG },
  { "HAProxy #2356: functions of C that nothing interrupts", [[
    while true do
      local s = ("x"):rep(1000000)
      s:upper():lower():reverse():find("xy", 1, true)
    end ]], fails = LONG },
  { "HAProxy #225: patterns out of hand", [[
    local line = ("GET /" .. ("a/"):rep(500)):rep(20)
    while true do
      line:match("^(%S*)%s*(.-)%s*(.-)%s*(.-)%s*HTTP")
    end ]], fails = LONG },
  { "HAProxy #2745: an allocation that fails in the middle", [[
    local s = ("x"):rep(1000000)
    local kept = {}
    for i = 1, 200 do
      kept[i] = pcall(function() return s .. s .. s .. s .. s .. s end)
    end ]], fails = "memory", instructions = 2e7 },
  { "HAProxy #3306: a wait in a comparator", [[
    table.sort({ 3, 2, 1 }, function(a, b) kad.sleep(1) return a < b end) ]],
    fails = "a task cannot wait inside of" },
  { "HAProxy #3306: a wait in a callback of gsub", [[
    return { value = (("x"):gsub(".", function() kad.sleep(1) return "y" end)) }
    ]], gives = "y" },
  { "HAProxy #3306: a wait in a __tostring", [[
    return tostring(setmetatable({}, { __tostring = function()
      kad.sleep(1)
    end })) ]], fails = "a task cannot wait inside of" },
  { "HAProxy #3306: waits in metamethods that may", [[
    local t = setmetatable({}, { __index = function() kad.sleep(0) return 1 end,
      __add = function() kad.sleep(0) return 2 end,
      __concat = function() kad.sleep(0) return 3 end,
      __eq = function() kad.sleep(0) return true end,
      __call = function() kad.sleep(0) return 4 end,
      __close = function() kad.sleep(0) end,
    })
    local equal = t == setmetatable({}, { __eq = error })
    do local _ <close> = t end
    for i in function(_, i) kad.sleep(0) return not i and 1 or nil end do end
    return { value = t.x + (t + 1) + (t .. "") + t() } ]], gives = 10 },
  { "Lua, CVE-2022-28805: an _ENV that is constant", place = "file", [[
    local _ENV <const> = nil
    local function f() X = "hi" return Y(Z) end
    f() ]], refused = "attempt to index a nil value" },
  { "Lua, CVE-2022-28805: an _ENV that is a number", place = "file", [[
    local _ENV <const> = 11
    X = "hi" ]], refused = "attempt to index a number value" },
  { "Lua, CVE-2022-33099: errors where the stack ends", [[
    local function deep(n, ...)
      local a, b, c = n, n, n
      return deep(n + 1, a, b, c, ...) .. {}
    end
    local messages = {}
    for i = 1, 20 do
      messages[#messages + 1] = select(2, pcall(deep, i))
      messages[#messages + 1] = select(2, pcall(function()
        return deep(i) .. nil
      end))
    end
    for _, message in ipairs(messages) do
      if message ~= "not enough memory" then
        return { value = message }
      end
    end
    error("whole, and every call had " .. messages[#messages]) ]],
    instructions = 2e7, fails = "memory" },
  { "Lua, CVE-2021-44647: the name of what fails", [[
    local names = {}
    for _, f in ipairs({
      function() local x <close> = setmetatable({}, { __close = 1 }) end,
      function() for _ in nil do end end,
      function() for _ in setmetatable({}, { __call = 1 }) do end end,
      function() return -{} end,
      function() return {} .. {} end,
      function() return ("").x.y end,
      function() return (1)() end,
      function() local t = setmetatable({}, { __index = 1 }) return t.x end,
      function() local t = setmetatable({}, { __lt = 1 }) return t < t end,
    }) do
      names[#names + 1] = select(2, pcall(f)):match("attempt to (%w+)")
    end
    return { value = #names } ]], gives = 9 },
  { "Lua, CVE-2021-43519: recursion through C", [[
    local function again(n)
      return select(2, pcall(string.gsub, "x", ".", function()
        return tostring(again(n + 1))
      end))
    end
    again(1)
    return { value = "back" } ]], gives = "back" },
  { "Lua, CVE-2021-45985: an error while a table is filled", [[
    local t = {}
    for i = 1, 1000 do
      pcall(function() t[i] = { error, i, (nil)[i] } end)
    end
    return { value = #t } ]], gives = 0 },
  { "Lua 5.4: many expressions in a for", place = "file", [[
    local n = 0
    for a, b in next, {}, nil, nil, 1, 2, 3, 4 do n = n + 1 end
    return { name = "attack", rpc = { attack = function()
      return { value = n }
    end } } ]], gives = 0 },
  { "Lua 5.4: too many constants", place = "file", (function()
      local lines = { "local t = {}" }
      for i = 1, 12000 do
        lines[#lines + 1] = ("t[%d.5] = %d"):format(i, i * 7 + 100000)
      end
      lines[#lines + 1] = "return { rpc = { attack = function() return "
        .. "{ value = t[11999.5] } end }, name = 'attack' }"
      return table.concat(lines, "\n")
    end)(), gives = 183993, instructions = 2e7 },
  { "Lua 5.4: too many variables", place = "file",
    ("local x = 1 "):rep(201) .. "return {}", refused = "too many local" },
  { "Lua 5.4: too many upvalues", place = "file", (function()
      local lines = {}
      for i = 1, 2 do
        lines[#lines + 1] = "local function f" .. i .. "()"
        for j = 1, 150 do
          lines[#lines + 1] = ("local x%d_%d = 1"):format(i, j)
        end
      end
      lines[#lines + 1] = "return function() return "
      for i = 1, 2 do
        for j = 1, 150 do
          lines[#lines + 1] = ("x%d_%d +"):format(i, j)
        end
      end
      lines[#lines + 1] = "1 end end end"
      return table.concat(lines, "\n")
    end)(), refused = "too many upvalues" },
  { "Lua 5.4: parentheses within parentheses", place = "file",
    "return " .. ("("):rep(50000) .. "1" .. (")"):rep(50000),
    refused = "overflow" },
  { "Lua 5.4: functions within functions", place = "file",
    ("return function() "):rep(20000) .. ("end "):rep(20000),
    refused = "overflow" },
  { "Lua 5.4: powers of powers", place = "file",
    "return {} and " .. ("2^"):rep(50000) .. "2", refused = "overflow" },
  { "Lua 5.4: a constant folded without an end", place = "file",
    "local x = " .. ("1 .. "):rep(150) .. "1 return { name = 'attack', rpc = "
      .. "{ attack = function() return { value = #x } end } }", gives = 151 },
  { "Lua 5.4: labels without number", place = "file", (function()
      local lines = {}
      for i = 1, 20000 do
        lines[i] = ("::l%d::"):format(i)
      end
      return table.concat(lines, " ") .. " return {}"
    end)(), refused = "overflow" },
  { "Lua 5.4: branches without number", place = "file",
    "local x if x then " .. ("elseif x then "):rep(3000) .. "end return {}",
    by = "start", instructions = 2e7 },
  { "Lua 5.4: weak tables that hold one another", [[
    local keys, tables = {}, {}
    for i = 1, 2000 do
      keys[i], tables[i] = {}, setmetatable({}, { __mode = "k" })
    end
    for i = 1, 1999 do
      local key = keys[i]
      tables[i * 1237 % 2000 + 1][key] = keys[i + 1]
    end
    local first = keys[1]
    keys = nil
    for i = 1, 20000 do local _ = {} end
    return { value = "collected" } ]], gives = "collected",
    instructions = 2e7 },
}

describe("a known escape from other programs:", function()
  for _, row in ipairs(ROWS) do
    it(row[1], attempt.spec(row))
  end
end)
