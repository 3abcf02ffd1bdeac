-- Random records for the types of the libraries: bencode of any shape, and
-- valid values with parts changed. Tests scripts/kadenza/crdt.lua,
-- scripts/kadenza/lease.lua, scripts/kadenza/signed.lua.

local crdt = require("kadenza.crdt")
local kad = require("kadenza")
local lease = require("kadenza.lease")
local signed = require("kadenza.signed")
local support = require("tests.spec.support")

local seed = tonumber(os.getenv("SEED")) or os.time() % 1000000
local ROUNDS <const> = 3000

local ann, bob = kad.keypair(("a"):rep(32)), kad.keypair(("b"):rep(32))

local function pick(list)
  return list[math.random(#list)]
end

local function any_string()
  return pick({ "", "a", "c", "v", "o", "s", "12345678", ann.publisher,
    bob.publisher, ("s"):rep(64), ("k"):rep(20), ("x"):rep(300), "\0" })
end

local function any_integer()
  return pick({ 0, 1, 2, -1, kad.time(), kad.time() + 30, 1 << 53,
    math.maxinteger, math.mininteger, math.random(0) })
end

local function any_value(depth)
  local kind = math.random(depth > 3 and 2 or 4)
  if kind == 1 then
    return any_integer()
  elseif kind == 2 then
    return any_string()
  end
  local made = {}
  for i = 1, math.random(0, 4) do
    made[kind == 3 and i or pick({ "a", "c", "e", "k", "o", "s", "t", "v",
      "12345678", "x", ann.publisher, ("k"):rep(40) })] = any_value(depth + 1)
  end
  return made
end

-- Changes a part of a decoded value.
local function change(value)
  if type(value) ~= "table" or math.random() < 0.2 then
    return any_value(2)
  end
  local keys, made = {}, {}
  for key, part in pairs(value) do
    keys[#keys + 1], made[key] = key, part
  end
  table.sort(keys)
  local key = #keys > 0 and pick(keys)
  if key and type(made[key]) == "table" and math.random() < 0.6 then
    made[key] = change(made[key])
  elseif key and (type(key) == "string" or key == #keys)
    and math.random() < 0.3
  then
    made[key] = nil
  elseif key then
    made[key] = any_value(2)
  end
  return made
end

local function flip(bytes)
  local at = math.random(#bytes)
  return bytes:sub(1, at - 1) .. string.char(math.random(0, 255))
    .. bytes:sub(at + 1)
end

-- Types, each with a function that makes values which ann may store.
local function types()
  local certificate = signed.delegate(bob.secret,
    { to = ann.publisher, seconds = 3600 })
  local list = {}
  for name, op in pairs({ gcounter = "add", pncounter = "add", lww = "set",
    orset = "add" })
  do
    local argument = (name == "lww" or name == "orset") and "x" or 2
    for _, is_signed in ipairs({ false, true }) do
      list[name .. (is_signed and ", signed" or "")] = {
        crdt[name].type({ signed = is_signed }),
        function()
          return crdt[name].encode(crdt[name][op]({}, ann.publisher, argument))
        end,
      }
    end
  end
  for _, by in ipairs({ "first", "anyone", bob.publisher }) do
    list["signed, " .. (#by < 32 and by or "one")] = {
      signed.type({ by = by, delegates = true }),
      function()
        return signed.wrap(certificate, "x")
      end,
    }
  end
  list.lease = { lease.type(), function()
    return kad.bencode.encode({ kad.time(), kad.time() + 30, "12345678" })
  end }
  return list
end

local function any_record(make_valid)
  local kind = math.random(4)
  local value = make_valid()
  if kind == 1 then
    value = kad.bencode.encode(any_value(0))
  elseif kind == 2 then
    value = kad.bencode.encode(change(kad.bencode.decode(value)))
  elseif kind == 3 then
    value = flip(value)
  end
  return {
    key = kad.key("k"), type = "t", ttl = pick({ 0, 60 }),
    value = #value <= 1000 and value or "", -- the core rejects larger ones
    publisher = pick({ ann, ann, bob }).publisher,
    seq = pick({ 1, 2, any_integer() }),
    salt = math.random() < 0.1 and "salt" or nil,
  }
end

-- Stores records one after the other; returns the number that were accepted.
local function store_random(rules, make_valid)
  local held, count = {}, 0
  for round = 1, ROUNDS do
    local record = any_record(make_valid)
    local ctx = { reason = pick({ "store", "store", "get" }), now = round }
    local accepted, reason, code = rules.validate(record, ctx)
    if accepted then
      local list, why = rules.merge(held, record, ctx)
      assert(list or type(why) == "string", "a rejection without a reason")
      held = list or held
      assert(not rules.select or #rules.select(table.move(held, 1, #held, 1,
        {})) >= 1)
      assert(not rules.expire or rules.expire(record) >= 1)
      assert(#held[1].value <= 1000)
      count = count + (list and 1 or 0)
    else
      assert(accepted == nil and type(reason) == "string"
        and math.type(code) == "integer")
    end
    if round % 50 == 0 then
      held = {}
    end
  end
  return count
end

describe("random records (seed " .. seed .. ")", function()
  it("are rejected or valid, and raise nothing", support.spec(function()
    math.randomseed(seed)
    support.in_virtual_time(function()
      local cases, names = types(), {}
      for name in pairs(cases) do
        names[#names + 1] = name
      end
      table.sort(names)
      for _, name in ipairs(names) do
        local case = cases[name]
        local succeeded, count = pcall(store_random, case[1], case[2])
        assert(succeeded, name .. ", seed " .. seed .. ": " .. tostring(count))
        assert.is_true(count > 10, name .. " accepted " .. count)
      end
    end)
  end))
end)
