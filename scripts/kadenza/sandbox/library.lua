--- The string, table and math libraries of policy files. Every function whose
--- time does not follow from the number of instructions is bounded and charged.
--- Tested by tests/spec/sandbox_spec.lua, tests/spec/escapes/time_spec.lua.

local core = require("kadenza.core")
local pattern = require("kadenza.policy.pattern")

local M = {}

local MAX_BYTES <const> = 1048576 -- of a string that string.rep makes
local MAX_ITEMS <const> = 100000 -- of a table that a C function walks
local SHORT <const> = 32 -- bytes at once that are not charged
local PLAIN <const> = 16 -- bytes compared in the time of a step
local ITEM_WORK <const> = 2 -- instructions charged for moving an item
local SORT_WORK <const> = 40 -- instructions charged for sorting an item

--- Charges a string that a C function reads from end to end.
---@param bytes any  not charged unless it is a string
function M.charge_bytes(bytes)
  core.charge(type(bytes) == "string" and #bytes or 0)
end

------------------------------------------------------------------ string --

-- Arguments of a wrong type are passed on to string.rep, which names them.
local function rep(text, count, separator)
  local size = #tostring(text) + #tostring(separator or "")
  local times = tonumber(count)
  if size == 0 and times and times > 0 then
    return ""
  elseif times and times * size > MAX_BYTES then
    error("string.rep would make more than a mebibyte", 2)
  end
  return string.rep(text, count, separator)
end

-- Returns a function of string that is charged for the length of its format.
local function guard_format(name)
  local fast = string[name]
  return function(format, ...)
    M.charge_bytes(format)
    return fast(format, ...)
  end
end

-- Charges the subject, too: C searches the end of a zero-terminated string.
local function unpack_string(format, subject, ...)
  M.charge_bytes(format)
  core.charge(type(subject) == "string" and #subject / PLAIN or 0)
  return string.unpack(format, subject, ...)
end

-- Returns the place in a text that an index means.
local function place_of(index, size)
  index = math.tointeger(tonumber(index)) or 0
  return index < 0 and size + index + 1 or index
end

local function byte(subject, first, last)
  if last and type(subject) == "string" then
    local size = #subject
    local count = math.min(place_of(last, size), size)
      - math.max(place_of(first or 1, size), 1)
    if count >= MAX_ITEMS then
      error("too many bytes at once: over " .. MAX_ITEMS, 2)
    elseif count > SHORT then
      core.charge(ITEM_WORK * count)
    end
  end
  return string.byte(subject, first, last)
end

--- Makes the string library.
---@return table library
function M.make_string()
  local library = {}
  for _, name in ipairs({ "char", "format", "len", "lower", "reverse", "sub",
    "upper" })
  do
    library[name] = string[name]
  end
  library.pack = guard_format("pack")
  library.packsize = guard_format("packsize")
  library.unpack, library.byte = unpack_string, byte
  library.find, library.match = pattern.find, pattern.match
  library.gmatch, library.gsub = pattern.gmatch, pattern.gsub
  library.rep = rep
  return library
end

------------------------------------------------------------------- table --

-- Raises for a table that is too long, or whose __len could return any length.
local function check_size(items, level)
  if type(items) ~= "table" then
    return
  end
  if core.has_length(items) then -- also if __metatable hides it
    error("a table with a length of its own cannot be used here", level + 1)
  elseif #items > MAX_ITEMS then
    error("the table is too long: over " .. MAX_ITEMS .. " items", level + 1)
  end
end

-- Returns a function of table that is charged `work` for each item, except when
-- it is called with `quick` arguments behind the table.
local function guard_table(name, work, quick)
  local unguarded = table[name]
  return function(items, ...)
    check_size(items, 2)
    if type(items) == "table" and select("#", ...) ~= quick then
      core.charge(work * #items)
    end
    return unguarded(items, ...)
  end
end

-- Charges a range of items. Bounds may be floats and strings, as in Lua's
-- table.
local function check_span(first, last)
  first, last = math.tointeger(tonumber(first)), math.tointeger(tonumber(last))
  if first and last and first <= last
    and (last - first >= MAX_ITEMS or last - first < 0)
  then
    error("the range is too long: over " .. MAX_ITEMS .. " items", 3)
  elseif first and last and first <= last then
    core.charge(ITEM_WORK * (last - first + 1))
  end
end

-- Names table.sort: an error inside says which function a task cannot wait in.
local function sort(items, is_before)
  check_size(items, 2)
  core.charge(type(items) == "table" and SORT_WORK * #items or 0)
  return table.sort(items, is_before)
end

local function move(from, first, last, ...)
  check_span(first, last)
  return table.move(from, first, last, ...)
end

local function concat(items, separator, first, last)
  check_size(items, 2)
  check_span(first or 1, last or #items)
  return table.concat(items, separator, first, last)
end

local function unpack(items, first, last)
  check_size(items, 2)
  check_span(first or 1, last or #items)
  return table.unpack(items, first, last)
end

--- Makes the table library.
---@return table library
function M.make_table()
  local library = { pack = table.pack, move = move, concat = concat,
    unpack = unpack, sort = sort }
  library.insert = guard_table("insert", ITEM_WORK, 1) -- at the end
  library.remove = guard_table("remove", ITEM_WORK, 0) -- at the end
  return library
end

-------------------------------------------------------------------- math --

-- Raises unless both are integers, the lower one first.
local function check_bounds(low, high)
  if math.type(low) ~= "integer" or math.type(high) ~= "integer" or low > high
  then
    error("math.random needs integers, the lower one first", 3)
  end
end

-- Makes math.random from the random bytes of the network, so that a simulation
-- is repeatable.
local function make_random(network)
  local function bits()
    return (string.unpack("<i8", network:random(8)))
  end

  local function between(low, high)
    local span = high - low + 1 -- wraps around for 2^63 or more
    if span > 0 then
      return low + (bits() >> 1) % span
    end
    local value
    repeat
      value = bits()
    until value >= low and value <= high
    return value
  end

  return function(low, high)
    if low == nil then
      return (bits() >> 11) * 2.0 ^ -53
    elseif low == 0 and high == nil then
      return bits()
    elseif high == nil then
      low, high = 1, low
    end
    check_bounds(low, high)
    return between(low, high)
  end
end

-- The functions of Lua 5.4. Some builds have more, and a policy that used those
-- would not run elsewhere.
local MATH <const> = { "abs", "acos", "asin", "atan", "ceil", "cos", "deg",
  "exp", "floor", "fmod", "huge", "log", "max", "maxinteger", "min",
  "mininteger", "modf", "pi", "rad", "sin", "sqrt", "tan", "tointeger", "type",
  "ult" }

--- Makes the math library.
---@param network kadenza.core.Network  its random bytes feed math.random
---@return table library
function M.make_math(network)
  local library = { random = make_random(network) }
  for _, name in ipairs(MATH) do
    library[name] = math[name]
  end
  return library
end

return M
