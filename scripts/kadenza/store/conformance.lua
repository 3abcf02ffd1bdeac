--- Tests a record store of a program (`kadenza.store`): what it returns, and
--- what a node makes of it in a simulated overlay.
--
--     local conformance = require("kadenza.store.conformance")
--     assert(conformance.check {
--       open = function() return my_store.create("test.db") end,
--       reopen = function() return my_store.open("test.db") end,
--     })
--
-- `open` returns an empty store. `reopen` returns the same store after a
-- restart of the program; without it, nothing has to survive. The store before
-- is closed then, if it has `close`.

local key = require("kadenza.key")
local node = require("kadenza.node")
local sim = require("kadenza.sim")
local task = require("kadenza.task")

local M = {}

---@class kadenza.StoreFactory
---@field open fun(): kadenza.Store  makes an empty store
---@field reopen? fun(): kadenza.Store  opens what the last one has kept

---@class kadenza.StoreCase
---@field name string  a sentence
---@field run fun()  raises an error if the store does not conform

local MAX_NUMBER <const> = 1 << 53
local NOW <const> = 1800000000

-- Times may be rounded to a second.
local TOLERANCE <const> = 1

local FIELDS <const> =
  { "key", "type", "value", "salt", "publisher", "signature", "seq", "origin" }
local TIMES <const> = { "stored_at", "expires_at", "republish_at" }

local function show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

local function fail(what, expected, found)
  error(("%s: expected %s, found %s"):format(what, show(expected), show(found)),
    0)
end

local function check_equal(what, expected, found)
  if expected ~= found then
    fail(what, expected, found)
  end
end

local function check_times(what, expected, found)
  for _, name in ipairs(TIMES) do
    local a, b = expected[name], found[name]
    if (a == nil) ~= (b == nil) then
      fail(what .. ": " .. name, a, b)
    elseif a and (type(b) ~= "number" or math.abs(a - b) > TOLERANCE) then
      fail(what .. ": " .. name, a, b)
    end
  end
  check_equal(what .. ": seed", expected.seed or false, found.seed or false)
end

local function check_record(what, expected, found)
  if type(found) ~= "table" then
    fail(what, "a record", found)
  end
  for _, name in ipairs(FIELDS) do
    check_equal(what .. ": " .. name, expected[name], found[name])
  end
  if expected.seq and math.type(found.seq) ~= "integer" then
    fail(what .. ": seq", "an integer", found.seq)
  end
  check_times(what, expected, found)
end

local function copy(fields)
  local copied = {}
  for name, value in pairs(fields) do
    copied[name] = value
  end
  return copied
end

-- Calls a method as the node does; raises an error if it fails. A table is a
-- copy, which the store may change.
local function call(store, name, number, fields)
  local result, message = store[name](store, number, fields and copy(fields))
  if result == false or (result == nil and message ~= nil) then
    error(("%s: %s"):format(name, tostring(message)), 0)
  end
  return result
end

local function record_of(seed, more)
  local record = {
    key = key.of("key " .. seed),
    type = "value",
    value = "value " .. seed,
    stored_at = NOW + seed,
    expires_at = NOW + seed + 86400,
  }
  for name, value in pairs(more or {}) do
    record[name] = value
  end
  return record
end

local ALL_BYTES <const> = (function()
  local bytes = {}
  for i = 0, 255 do
    bytes[i + 1] = string.char(i)
  end
  return table.concat(bytes)
end)()

local function full_record()
  return record_of(1, {
    key = ALL_BYTES:sub(200, 231),
    type = "a type's name \0\1\2 of 32 bytes..",
    value = (ALL_BYTES:rep(4)):sub(1, 1000),
    salt = ALL_BYTES:sub(1, 64),
    publisher = ALL_BYTES:sub(1, 32),
    signature = ALL_BYTES:sub(100, 163),
    seq = math.mininteger,
    origin = "[2001:db8::1]:6881",
    republish_at = NOW + 3600.25,
    stored_at = NOW + 0.75,
    seed = true,
  })
end

----------------------------------------------------------------- methods --

local cases = {}

local function add(name, run)
  cases[#cases + 1] = { name = name, run = run }
end

add("keeps every field of a record", function(store)
  local record = full_record()
  call(store, "put", 1, record)
  check_record("get(1)", record, call(store, "get", 1))
end)

add("keeps records that lack any of the fields", function(store)
  local full = full_record()
  local optional = { "salt", "publisher", "signature", "seq", "origin",
    "republish_at", "seed" }
  for number = 1, 1 << #optional do
    local record = record_of(number)
    for i, name in ipairs(optional) do
      record[name] = number & 1 << (i - 1) ~= 0 and full[name] or nil
    end
    call(store, "put", number, record)
    check_record(("get(%d)"):format(number), record,
      call(store, "get", number))
  end
end)

add("keeps values of any bytes and length", function(store)
  local values = { "", "\0", "\255", "'", "\"", "%", "\\", "\r\n", "\u{20AC}",
    ("x"):rep(1000), ("\0"):rep(1000), ("'"):rep(1000), ALL_BYTES }
  for number, value in ipairs(values) do
    call(store, "put", number, record_of(number, { value = value, seq = 0 }))
  end
  for number, value in ipairs(values) do
    check_equal(("get(%d).value"):format(number), value,
      call(store, "get", number).value)
  end
end)

add("keeps sequence numbers exactly", function(store)
  local numbers = { 0, 1, -1, math.maxinteger, math.mininteger, (1 << 53) + 1 }
  for number, seq in ipairs(numbers) do
    call(store, "put", number, record_of(number, { seq = seq }))
    check_record(("seq %d"):format(seq), record_of(number, { seq = seq }),
      call(store, "get", number))
  end
end)

add("keeps large numbers apart", function(store)
  local numbers = { 1, 2, 1 << 31, 1 << 32, MAX_NUMBER - 1, MAX_NUMBER }
  for i, number in ipairs(numbers) do
    call(store, "put", number, record_of(i))
  end
  for i, number in ipairs(numbers) do
    check_record(("get(%d)"):format(number), record_of(i),
      call(store, "get", number))
  end
end)

add("returns nil for a number that has no record", function(store)
  check_equal("get(1)", nil, call(store, "get", 1))
  call(store, "put", 2, record_of(2))
  check_equal("get(1)", nil, call(store, "get", 1))
end)

add("replaces the record of a number", function(store)
  call(store, "put", 1, full_record())
  call(store, "put", 1, record_of(2))
  check_record("get(1)", record_of(2), call(store, "get", 1))
end)

add("removes records, also if there is none", function(store)
  call(store, "remove", 1)
  call(store, "put", 1, record_of(1))
  call(store, "put", 2, record_of(2))
  call(store, "remove", 1)
  call(store, "remove", 1)
  check_equal("get(1)", nil, call(store, "get", 1))
  check_record("get(2)", record_of(2), call(store, "get", 2))
end)

add("iterates over each record once", function(store)
  if not store.each then
    return
  end
  for number = 1, 100 do
    call(store, "put", number, record_of(number))
  end
  for number = 1, 100, 3 do
    call(store, "remove", number)
  end
  local seen, count = {}, 0
  for number, record in store:each() do
    check_equal("math.type(number)", "integer", math.type(number))
    check_equal(("seen %d"):format(number), nil, seen[number])
    check_record(("record %d"):format(number), record_of(number), record)
    seen[number], count = true, count + 1
  end
  check_equal("records", 66, count)
end)

add("iterates over nothing when it is empty", function(store)
  if store.each then
    for number in store:each() do
      fail("each", nil, number)
    end
  end
end)

add("touches the times, the origin and the seed only", function(store)
  if not store.touch then
    return
  end
  local full = full_record()
  call(store, "put", 1, full)
  call(store, "put", 2, record_of(2))
  local times = { stored_at = NOW + 50, expires_at = NOW + 500 }
  call(store, "touch", 1, times)
  full.stored_at, full.expires_at = times.stored_at, times.expires_at
  full.republish_at, full.origin, full.seed = nil, nil, nil
  check_record("get(1)", full, call(store, "get", 1))
  times = { stored_at = NOW + 60, expires_at = NOW + 600, seed = true,
    republish_at = NOW + 90, origin = "192.0.2.7:1" }
  call(store, "touch", 2, times)
  local other = record_of(2, times)
  check_record("get(2)", other, call(store, "get", 2))
end)

----------------------------------------------------------------- restart --

-- Commits and closes a store, and returns it after a restart.
local function restart(store, factory)
  if store.commit then
    call(store, "commit")
  end
  if store.close then
    store:close()
  end
  return factory.reopen()
end

add("has after a restart what it had before", function(store, factory)
  if not factory.reopen then
    return
  end
  local full = full_record()
  call(store, "put", 1, full)
  call(store, "put", 2, record_of(2))
  call(store, "put", 3, record_of(3))
  call(store, "remove", 2)
  call(store, "put", 3, record_of(4))
  store = restart(store, factory)
  check_record("get(1)", full, call(store, "get", 1))
  check_equal("get(2)", nil, call(store, "get", 2))
  check_record("get(3)", record_of(4), call(store, "get", 3))
  local count = 0
  for number, record in store:each() do
    check_record(("record %d"):format(number), number == 1 and full
      or record_of(4), record)
    count = count + 1
  end
  check_equal("records", 2, count)
  return store
end)

----------------------------------------------------------------- a node --

-- Runs `fn(holder, client)` as a task of a new simulation, in which `holder`
-- has the store, and closes it.
local function with_node(store, fn)
  local net <close> = sim.new({ seed = 1 })
  net:perform(function()
    local listen = "20.0.0.1:6881"
    local holder = assert(node.open({ listen = listen, store = store }))
    local client = assert(node.open({ listen = "20.0.1.1:6881",
      read_only = true }))
    assert(client:bootstrap(listen))
    fn(holder, client)
    check_equal("store_failures", 0, holder:stats().store_failures)
    holder:close()
  end)
end

local function put_values(client, from, to)
  for i = from, to do
    assert(client:put(key.of("key " .. i), ("a value, number %d"):format(i)))
  end
end

local function check_values(client, from, to)
  for i = from, to do
    local found = assert(client:get(key.of("key " .. i)))
    check_equal("get", ("a value, number %d"):format(i), found)
  end
end

add("serves the values that a node holds", function(store)
  with_node(store, function(holder, client)
    put_values(client, 1, 20)
    check_equal("records", 20, holder:stats().records)
    check_values(client, 1, 20)
  end)
  return false
end)

add("loses the records of a node when they expire", function(store)
  with_node(store, function(holder, client)
    for i = 1, 5 do
      assert(client:put(key.of("key " .. i), "short life", { ttl = 60 }))
    end
    task.sleep(70)
    check_equal("records", 0, holder:stats().records)
  end)
  return false
end)

add("serves after a restart what a node held before", function(store, factory)
  if not factory.reopen then
    return
  end
  with_node(store, function(_, client)
    put_values(client, 1, 20)
  end)
  with_node(factory.reopen(), function(holder, client)
    check_equal("records", 20, holder:stats().records)
    check_values(client, 1, 20)
    put_values(client, 21, 22)
  end)
  with_node(factory.reopen(), function(holder)
    check_equal("records", 22, holder:stats().records)
  end)
  return false
end)

------------------------------------------------------------------ public --

-- Runs a case with a store of its own, which is closed at the end unless the
-- case has closed it.
local function run_case(case, factory)
  local store = factory.open()
  local left = case.run(store, factory)
  if left ~= false then
    store = left or store
    if store.close then
      store:close()
    end
  end
end

--- Returns the cases, each with a store of its own. A spec has
--- `it(case.name, case.run)` for each of them.
---@param factory kadenza.StoreFactory
---@return kadenza.StoreCase[] cases
function M.cases(factory)
  local list = {}
  for i, case in ipairs(cases) do
    list[i] = {
      name = case.name,
      run = function()
        run_case(case, factory)
      end,
    }
  end
  return list
end

--- Runs all cases.
---@param factory kadenza.StoreFactory
---@return true? conforms
---@return string? message  the cases that failed, one a line
function M.check(factory)
  local problems = {}
  for _, case in ipairs(M.cases(factory)) do
    local succeeded, problem = pcall(case.run)
    if not succeeded then
      problems[#problems + 1] = ("%s: %s"):format(case.name, tostring(problem))
    end
  end
  if problems[1] then
    return nil, table.concat(problems, "\n")
  end
  return true
end

return M
