--- Attacks the reader of dumps: lines that are cut, changed and joined, and
--- objects with fields of any kind. Whatever is read must be a record that a
--- node takes, or is refused with a reason, and is written as it was read.
--
-- Tests scripts/kadenza/dump.lua, bindings/lua/loader.c.

local attacker = require("tests.attack.lua.attacker")
local core = require("kadenza.core")
local Dice = require("tests.attack.lua.dice")
local dump = require("kadenza.dump")
local line_reader = require("kadenza.line_reader")
local sorted = require("kadenza.sorted")

local NOW <const> = 1764500000
local OUTCOMES <const> = { "added", "held", "older" }

local Case = {}
Case.__index = Case

function Case:__close()
  self.lines = nil
end

local function pick(dice, list)
  return list[1 + dice:below(#list)]
end

local function bytes_of(dice, max)
  local bytes = {}
  for i = 1, dice:below(max + 1) do
    bytes[i] = string.char(dice:below(256))
  end
  return table.concat(bytes)
end

-- Parts of lines, of which some make no sense.
local PARTS <const> = { "{", "}", "[", "]", ":", ",", "\"", "\\", "\\u0000",
  "\\ud800", "null", "true", "1e999", "-0", "9223372036854775808", "0.1",
  "key", "value", "value_base64", "type", "seq", "kadenza", "end", "records",
  "\0", "\255", " ", "\t", "//", "/*" }

-- Makes fields that a record may have.
local OPTIONAL <const> = {
  publisher = function()
    return ("p"):rep(32)
  end,
  signature = function()
    return ("s"):rep(64)
  end,
  salt = function(dice)
    return bytes_of(dice, 64)
  end,
  seq = function(dice)
    return dice:next()
  end,
  seed = function()
    return true
  end,
  origin = function()
    return "192.0.2.1:6881"
  end,
}
local NAMES <const> = sorted(OPTIONAL)

local function record_of(dice)
  local now = NOW - dice:below(1000)
  local record = {
    key = core.key(bytes_of(dice, 8), pick(dice, { 160, 256 })),
    type = pick(dice, { "value", "peers", "immutable", "mutable", "\0\255" }),
    value = bytes_of(dice, 40),
    stored_at = now,
    expires_at = now + dice:below(2000),
  }
  for _, name in ipairs(NAMES) do
    if dice:below(3) == 0 then
      record[name] = OPTIONAL[name](dice)
    end
  end
  return record
end

-- Changes some bytes of a line.
local function mutate(dice, line)
  for _ = 1, dice:below(6) do
    local at = dice:below(#line + 1)
    local rest = line:sub(at + 1 + dice:below(3))
    local kind = dice:below(4)
    if kind == 0 then
      line = line:sub(1, at) .. pick(dice, PARTS) .. rest
    elseif kind == 1 then
      line = line:sub(1, at) .. bytes_of(dice, 4) .. rest
    elseif kind == 2 then
      line = line:sub(1, at)
    else
      line = line:sub(1, at) .. line:sub(1 + dice:below(#line + 1))
    end
  end
  return line
end

local function nonsense(dice)
  local parts = {}
  for i = 1, dice:below(60) do
    parts[i] = pick(dice, PARTS)
  end
  local text = table.concat(parts)
  return dice:below(8) == 0 and text:rep(1 + dice:below(400)) or text
end

-- What is written of a record is read as that record.
local function check_written(record)
  local line = dump.line(record)
  assert(not line:sub(1, -2):find("[%c\127]"), "a control")
  local again = assert(dump.parse(line:sub(1, -2)))
  for _, name in ipairs({ "key", "type", "value", "publisher", "signature",
    "seq", "origin", "seed", "stored_at", "expires_at", "republish_at" }) do
    assert(again[name] == record[name], name)
  end
  assert((again.salt or "") == (record.salt or ""), "salt")
end

local function check_parsed(line)
  local record, reason = dump.parse(line)
  assert(record or type(reason) == "string", "no reason")
  if record then
    check_written(record)
    for _, bits in ipairs({ 160, 256 }) do
      local _, taken, why = pcall(core.check_record, record, bits)
      assert(taken == true or type(taken or why) == "string", "no reason")
    end
  end
end

-- Loads all lines, in pieces of any size.
local function check_loaded(dice, lines)
  local text, at = table.concat(lines, "\n"), 1
  local reader = line_reader.new({ read = function()
    local size = 1 + dice:below(5000)
    local piece = text:sub(at, at + size - 1)
    at = at + size
    return piece ~= "" and piece or nil
  end }, dump.MAX_LINE)
  local next_line = reader:lines()
  dump.parse_header(next_line() or nil)
  local report = dump.load(next_line, NOW, function(record)
    assert(record.expires_at > NOW and record.stored_at <= NOW)
    local taken, why = core.check_record(record, 160)
    if not taken then
      return nil, why
    end
    return pick(dice, OUTCOMES)
  end)
  local sum = report.added + report.held + report.older + report.expired
    + report.refused
  assert(sum == report.records, "a record is not counted")
  local reasons = 0
  for _, count in pairs(report.reasons) do
    reasons = reasons + count
  end
  assert(reasons == report.refused, "a reason is not counted")
end

attacker.run({
  name = "dump",
  steps = 30,
  begin = function()
    return setmetatable({ lines = {} }, Case)
  end,
  step = function(case, seed)
    local dice = Dice.new(seed)
    local kind = dice:below(4)
    local line
    if kind == 0 then
      line = nonsense(dice)
    else
      local record = record_of(dice)
      check_written(record)
      line = dump.line(record):sub(1, -2)
      line = kind == 1 and line or mutate(dice, line)
    end
    check_parsed(line)
    case.lines[#case.lines + 1] = line
    check_loaded(dice, case.lines)
  end,
  finish = function() end,
})
