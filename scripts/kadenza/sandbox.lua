--- What a policy file sees: an allow-list, and nothing else.
--
-- It protects the node from mistakes; it is no border against a hostile author.
-- Whatever could run for long without an instruction being counted is bounded.

local core = require("kadenza.core")
local errors = require("kadenza.errors")
local facade = require("kadenza.policy.facade")
local key = require("kadenza.key")
local pattern_library = require("kadenza.policy.pattern")
local safe = require("kadenza.safe")
local suggest = require("kadenza.suggest")
local trusted_files = require("kadenza.policy.trusted")

local M = {}

--- The globals of a policy. `.luacheckrc` has the same list.
M.GLOBALS = {
  "assert", "error", "ipairs", "next", "pairs", "pcall", "require", "select",
  "setmetatable", "tonumber", "tostring", "type", "coroutine", "math",
  "string", "table",
}

--- The libraries for policies: `require "kadenza.limit"` and so on. They run
--- in the policy's environment, as its own code: metered, and stopped with it.
M.LIBRARIES = {
  "blob",
  "crdt",
  "crdt.kind",
  "lease",
  "limit",
  "pubsub",
  "signed",
}

--- What libraries require besides.
M.PARTS = { "blob.reader", "blob.tree", "check", "pubsub.board",
  "pubsub.event", "pubsub.feed" }

local PREFIX <const> = "kadenza."
local MAX_BYTES <const> = 1048576 -- of a string that string.rep makes
local MAX_ITEMS <const> = 100000 -- of a table that a C function walks
local MAX_STEPS <const> = 1e7 -- of a pattern match in C, at the worst
local STEPS <const> = 5 -- of a match at the worst, that count as an instruction
local SHORT <const> = 32 -- bytes of a pattern whose own length does not count
local PLAIN <const> = 16 -- bytes compared in the time of a step
local ITEM_WORK <const> = 2 -- instructions that moving an item is worth
local SORT_WORK <const> = 40 -- instructions that sorting an item is worth
local KEY_WORK <const> = 10000 -- instructions that a signature is worth
-- What Lua says, without a place.
local NO_MEMORY <const> = "not enough memory"
-- What makes a pattern of a text.
local SPECIAL <const> = "[%^%$%*%+%?%.%(%[%%%-]"
local CARET <const> = ("^"):byte()

-- What is read from end to end counts by the byte.
local function charge_bytes(bytes)
  core.charge(type(bytes) == "string" and #bytes or 0)
end

-- Returns a table that shows another and cannot be changed.
local function read_only(shown, name)
  return setmetatable({}, {
    __index = shown,
    __newindex = function(_, field)
      error(string.format("'%s.%s' cannot be set: '%s' is read-only", name,
        tostring(field), name), 2)
    end,
    __pairs = function(proxy)
      return function(_, field)
        return next(shown, field)
      end, proxy, nil
    end,
    __metatable = false,
  })
end

------------------------------------------------------------------ string --

-- Returns how long a match may take at the worst: every repetition in the
-- pattern can end anywhere in the subject, in their order, and the match begin
-- anywhere before.
local function steps(subject, pattern)
  local anchored = string.byte(pattern) == CARET
  local cost, count = anchored and 1 or #subject + 1, anchored and 0 or 1
  for _ in string.gmatch(pattern, "[%*%+%-%?]") do
    count = count + 1
    cost = cost * (#subject + 1) / count
  end
  for _ in string.gmatch(pattern, "%%b") do -- looks for its end each time
    cost = cost * (#subject + 1)
  end
  for _ in string.gmatch(pattern, "%%%d") do -- compares what it has captured
    cost = cost * (#subject / PLAIN + 1)
  end
  return #pattern > SHORT and cost * #pattern or cost
end

-- A plain text is searched for in C, however long that takes.
local function check_plain(subject, text)
  local most = (#subject + 1) * #text / PLAIN
  if most > MAX_STEPS then
    error("the text is too long to be found in so long a subject", 3)
  end
  core.charge(most / STEPS)
end

-- A function of string that does as the library's where that cannot take long,
-- and otherwise the same in Lua, where every step is counted.
local function guard_pattern(name)
  local fast, counted = string[name], pattern_library[name]
  return function(subject, pattern, ...)
    if type(subject) == "string" and type(pattern) == "string" then
      local most = steps(subject, pattern)
      if not string.find(pattern, SPECIAL) then
        check_plain(subject, pattern)
      elseif most > MAX_STEPS then
        return counted(subject, pattern, ...)
      else
        core.charge(most / STEPS)
      end
    end
    return fast(subject, pattern, ...)
  end
end

local guarded_find = guard_pattern("find")

local function find(subject, pattern, init, plain)
  if plain and type(subject) == "string" and type(pattern) == "string" then
    check_plain(subject, pattern)
    return string.find(subject, pattern, init, true)
  end
  return guarded_find(subject, pattern, init)
end

-- What is neither text nor number is left to string.rep, to be named there.
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

-- A function of string whose time goes by the length of its format.
local function guard_format(name)
  local fast = string[name]
  return function(format, ...)
    charge_bytes(format)
    return fast(format, ...)
  end
end

-- A zero-terminated string may end anywhere.
local function unpack_string(format, subject, ...)
  charge_bytes(format)
  core.charge(type(subject) == "string" and #subject / PLAIN or 0)
  return string.unpack(format, subject, ...)
end

-- Returns the place in a text that an index stands for.
local function place(index, size)
  index = math.tointeger(tonumber(index)) or 0
  return index < 0 and size + index + 1 or index
end

local function byte(subject, first, last)
  if last and type(subject) == "string" then
    local size = #subject
    local count = math.min(place(last, size), size)
      - math.max(place(first or 1, size), 1)
    if count >= MAX_ITEMS then
      error("too many bytes at once: over " .. MAX_ITEMS, 2)
    elseif count > SHORT then
      core.charge(ITEM_WORK * count)
    end
  end
  return string.byte(subject, first, last)
end

local function make_string()
  local library = {}
  for _, name in ipairs({ "char", "format", "len", "lower", "reverse", "sub",
    "upper" })
  do
    library[name] = string[name]
  end
  library.pack = guard_format("pack")
  library.packsize = guard_format("packsize")
  library.unpack, library.byte = unpack_string, byte
  for _, name in ipairs({ "match", "gmatch", "gsub" }) do
    library[name] = guard_pattern(name)
  end
  library.find, library.rep = find, rep
  return library
end

------------------------------------------------------------------- table --

-- A table that lies about its length would be walked for ever.
local function check_size(items, level)
  if type(items) ~= "table" then
    return
  end
  if core.has_length(items) then -- whatever its __metatable says
    error("a table with a length of its own cannot be used here", level + 1)
  elseif #items > MAX_ITEMS then
    error("the table is too long: over " .. MAX_ITEMS .. " items", level + 1)
  end
end

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

-- Bounds may be floats and texts: they are taken as table's functions do.
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

local function make_table()
  local library = { pack = table.pack, move = move, concat = concat,
    unpack = unpack }
  library.insert = guard_table("insert", ITEM_WORK, 1) -- at the end
  library.remove = guard_table("remove", ITEM_WORK, 0) -- at the end
  library.sort = guard_table("sort", SORT_WORK)
  return library
end

-------------------------------------------------------------------- math --

-- Raises unless both are integers, in order.
local function check_bounds(low, high)
  if math.type(low) ~= "integer" or math.type(high) ~= "integer" or low > high
  then
    error("math.random needs integers, the lower one first", 3)
  end
end

-- A generator fed by the node, so that a simulation can be repeated.
local function make_random(network)
  local function bits()
    return (string.unpack("<i8", network:random(8)))
  end

  local function between(low, high)
    local span = high - low + 1 -- wraps when there are 2^63 or more
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

-- What Lua 5.4 has by itself: some builds have more, and a policy would run on
-- those alone.
local MATH <const> = { "abs", "acos", "asin", "atan", "ceil", "cos", "deg",
  "exp", "floor", "fmod", "huge", "log", "max", "maxinteger", "min",
  "mininteger", "modf", "pi", "rad", "sin", "sqrt", "tan", "tointeger", "type",
  "ult" }

local function make_math(network)
  local library = { random = make_random(network) }
  for _, name in ipairs(MATH) do
    library[name] = math[name]
  end
  return library
end

----------------------------------------------------------------- globals --

-- A finalizer runs with the meter off: scripts have none.
local function set_metatable(object, meta)
  if type(object) ~= "table" then
    error("setmetatable needs a table, not " .. type(object), 2)
  elseif type(meta) == "table" and meta.__gc ~= nil then
    error("a policy cannot have finalizers (__gc)", 2)
  end
  return setmetatable(object, meta)
end

local function make_log()
  local log = {}
  for _, level in ipairs({ "error", "warn", "info", "debug" }) do
    log[level] = safe.log[level]
  end
  return read_only(log, "kad.log")
end

-- What calculates with keys takes the time of many instructions.
local function charged(fn)
  return function(first, second, ...)
    charge_bytes(first)
    charge_bytes(second)
    core.charge(KEY_WORK)
    return fn(first, second, ...)
  end
end

-- The functions that take long for what they are given.
local function add_charged(library, node)
  library.key = function(name)
    charge_bytes(name)
    return key.of(name, node:id_bits())
  end
  library.hash = function(bytes)
    charge_bytes(bytes)
    return safe.hash(bytes)
  end
  library.keypair = charged(safe.keypair)
  library.sign = charged(safe.sign)
  library.verify = charged(safe.verify)
  library.random = function(count)
    core.charge(math.type(count) == "integer" and math.min(count, MAX_ITEMS)
      or 0)
    return safe.random(count) -- which says what is no count
  end
end

-- The part of the library that a policy has.
local function make_kadenza(node, network, owner)
  local library = {}
  for name, value in pairs(safe) do
    library[name] = value
  end
  for name, fn in pairs(facade.tasks(owner)) do
    library[name] = fn
  end
  library.log = make_log()
  library.bencode = read_only(safe.bencode, "kad.bencode")
  add_charged(library, node)
  library.now = function()
    return network:now()
  end
  library.time = function()
    return network:time()
  end
  return read_only(library, "kad")
end

-- Stands for a module whose file is being run.
local LOADING <const> = {}

local function contains(list, sought)
  for _, item in ipairs(list) do
    if item == sought then
      return true
    end
  end
  return false
end

-- Raises unless `name` may be required, in the name of who requires it.
local function check_module(name)
  if type(name) ~= "string" or not name:find("^[%w_]+[%w_.]*$")
    or name:find("..", 1, true)
  then
    error("'" .. tostring(name) .. "' is no name of a module", 3)
  end
  local library = name:match("^kadenza%.(.*)$")
  if not library or contains(M.LIBRARIES, library)
    or contains(M.PARTS, library)
  then
    return
  end
  error(string.format("policies have no module '%s', but kadenza.%s", name,
    table.concat(M.LIBRARIES, ", kadenza.")), 3)
end

-- Runs a text; raises what goes wrong, a string.
local function run_text(text, path, environment)
  local chunk, message = core.load_text(text, "@" .. path, environment)
  if not chunk then
    error(message, 0)
  end
  return chunk()
end

-- Returns the text and the path of what a policy requires, or nil and why not.
-- It is a library, which the VM has been given, or a file beside the policy.
local function read_module(name, folder)
  local path = name:gsub("%.", "/") .. ".lua"
  if name:sub(1, #PREFIX) == PREFIX then
    return core.source(name), path
  end
  local text, problem = core.read_source(folder .. path)
  return text, text and folder .. path or problem
end

-- `require` of a policy: the libraries, and modules beside its file.
local function make_require(loaded, folder, environment)
  return function(name)
    check_module(name)
    if loaded[name] == LOADING then
      error("module '" .. name .. "' requires itself", 2)
    elseif loaded[name] == nil then
      local text, path = read_module(name, folder)
      if not text then
        error("module '" .. name .. "': " .. path, 2)
      end
      loaded[name] = LOADING
      local fine, value = pcall(run_text, text, path, environment)
      if not fine then
        loaded[name] = nil
        error(value, 0)
      end
      loaded[name] = value == nil or value
    end
    return loaded[name]
  end
end

-- A number has some digits; a long text takes as long to refuse.
local function to_number(text, ...)
  if type(text) == "string" and #text > SHORT then
    core.charge(#text)
  end
  return tonumber(text, ...)
end

local BASE <const> = {
  assert = assert,
  error = error,
  ipairs = ipairs,
  next = next,
  pairs = pairs,
  pcall = core.pcall,
  select = select,
  setmetatable = set_metatable,
  tonumber = to_number,
  tostring = tostring,
  type = type,
}

local function make_environment(globals)
  return setmetatable({}, {
    __index = setmetatable(globals, {
      __index = function(_, name)
        error("undefined global '" .. tostring(name) .. "'"
          .. suggest.hint(tostring(name), globals), 2)
      end,
    }),
    __newindex = function(_, name)
      error("global '" .. tostring(name) .. "' cannot be set: use 'local'", 2)
    end,
    __metatable = false,
  })
end

local function run_file(path, environment)
  local text, problem = core.read_source(path)
  if not text then
    error(problem, 0)
  end
  return run_text(text, path, environment)
end

local function environment_of(path, trusted, node, network)
  local globals = {}
  for name, value in pairs(BASE) do
    globals[name] = value
  end
  local strings = make_string()
  core.freeze_strings(strings)
  globals.string = read_only(strings, "string")
  globals.table = read_only(make_table(), "table")
  globals.coroutine = read_only(core.coroutine, "coroutine")
  globals.math = read_only(make_math(network), "math")
  local environment = make_environment(globals)
  local folder = path:match("^.*/") or ""
  globals.require = make_require({
    kadenza = make_kadenza(node, network, path),
  }, folder, environment)
  if trusted then
    trusted_files.extend(globals, environment, folder)
  end
  return environment
end

--- Loads a policy file: a table, or a function of the node that returns one.
---@param file { path: string, trusted: boolean? }
---@param node kadenza.Node
---@param network kadenza.core.Network
---@return table? policy
---@return string? message  with file and line
function M.load_policy(file, node, network)
  local path = file.path
  local fine, policy = pcall(function()
    local returned =
      run_file(path, environment_of(path, file.trusted, node, network))
    if type(returned) == "function" then
      returned = returned(node)
    end
    return returned
  end)
  if not fine then
    local text = errors.text_of(policy)
    return nil, text == NO_MEMORY and path .. ": out of memory" or text
  elseif type(policy) ~= "table" then
    return nil, string.format("%s: it returns %s where a policy, a table, is "
      .. "needed", path, policy == nil and "nothing" or "a " .. type(policy))
  end
  return policy
end

return M
