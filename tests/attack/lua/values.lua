--- Texts of Lua values that break things: edges of numbers, long and binary
--- strings, patterns, tables that lie. Each function takes dice and returns the
--- text of an expression.

local M = {}

local NUMBERS <const> = { "0", "1", "-1", "2", "7", "100", "1000", "65536",
  "2^31", "2^53", "0.5", "-0.0", "1e300", "1/0", "-1/0", "0/0", "1e9",
  "math.maxinteger", "math.mininteger", "255", "256", "4294967296" }

local STRINGS <const> = { '""', '"x"', '"value"', '"note"', '"kept"', '"\\0"',
  '"a\\0b"', '"\\xff\\xfe"', '"\\n\\27[31m"', '"%"', '"%s%d%q"',
  '"127.0.0.1:1"',
  '"20.0.1.1:6881"', '"[::1]:1"', '("x"):rep(20)', '("x"):rep(32)',
  '("x"):rep(64)', '("x"):rep(1000)', '("x"):rep(70000)', '("x"):rep(1048576)',
  '("\\0"):rep(20)', '("long "):rep(300)', '"__gc"', '"kv"', '"k"', '"nan"',
  '"0x7fffffffffffffff"', '"\27Lua"', '"collect"', '"d2:idi1ee"', '"li1ee"' }

local PIECES <const> = { "a", ".", "%d", "%a*", "a*", "a-", "a?", "(", ")",
  "()", "%b()", "%f[%w]", "[^a]", "[a-z]+", "%1", ".-", "^", "$", "%", "[",
  "(a*)*", "\0", "x?", "%s" }

M.METAMETHODS = { "__index", "__newindex", "__gc", "__close", "__mode",
  "__len", "__eq", "__lt", "__le", "__concat", "__call", "__pairs", "__name",
  "__tostring", "__metatable", "__add", "__unm", "__idiv", "__bnot", "__shl" }

function M.number(dice)
  return dice:one_in(3) and tostring(dice:below(64)) or dice:pick(NUMBERS)
end

function M.string(dice)
  if dice:one_in(4) then
    return (("%q"):format(dice:bytes(dice:below(40))):gsub("\n", "n"))
  end
  return dice:pick(STRINGS)
end

function M.pattern(dice)
  local pieces = {}
  for i = 1, 1 + dice:below(4) do
    local piece = dice:pick(PIECES)
    pieces[i] = dice:one_in(5) and piece:rep(1 + dice:below(60)) or piece
  end
  return ("%q"):format(table.concat(pieces))
end

-- Fields that the core reads, with values that are nearly right.
local FIELDS <const> = {
  value = M.string, salt = M.string, seq = M.number, ttl = M.number,
  publisher = function() return '("p"):rep(32)' end,
  signature = function() return '("s"):rep(64)' end,
  key = function() return '("k"):rep(20)' end,
  type = M.string, id = M.string, address = M.string, records = M.string,
  n = M.number, timeout = M.number, quorum = M.number, deadline = M.number,
  secret = function() return '("s"):rep(64)' end,
  all = function() return "true" end,
  code = M.number, kind = M.string, transaction = M.string,
}
local NAMES <const> = {}
for name in pairs(FIELDS) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)

M.FIELDS = NAMES

--- Returns the text of a table as the core reads them. `item` makes others.
function M.record(dice, item)
  local fields = {}
  if not dice:one_in(8) then
    fields[1] = "value = " .. M.string(dice)
  end
  for _ = 1, dice:below(4) do
    local name = dice:pick(NAMES)
    fields[#fields + 1] = name .. " = "
      .. (dice:one_in(4) and item() or FIELDS[name](dice))
  end
  return "{ " .. table.concat(fields, ", ") .. " }"
end

return M
