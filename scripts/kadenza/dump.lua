--- Dumps of records: a text with one JSON document a line, to keep, to read
--- with other programs, and to load into another node.
--
-- The first line names the format and its version, the last one counts the
-- records, so that a dump that was cut is recognised:
--
--     {"kadenza":"dump","version":1,"id_bits":160,"time":1764500000}
--     {"key":"0beec7…","type":"value","value":"foo","origin":"192.0.2.1:6881",
--      "stored_at":1764499000,"expires_at":1764586000}   (one line)
--     {"kadenza":"end","records":1}
--
-- Keys, publishers and signatures are hexadecimal. `type`, `value` and `salt`
-- are texts if they are UTF-8, else base64 under the names `type_base64`,
-- `value_base64` and `salt_base64`. `seq` is a string beyond 2^53. Times are
-- whole seconds since 1970.

local dkjson = require("dkjson")

local core = require("kadenza.core")
local json = require("kadenza.json")

local M = {}

--- The version of the format that is written, and the newest that is read.
M.VERSION = 1

--- Bytes of the longest line that is read. A record takes less than 9,000, also
--- if each byte of its value is escaped.
M.MAX_LINE = 16384

local EXACT <const> = 1 << 53
local HEX <const> = { "key", "publisher", "signature" }
local TEXTS <const> = { "type", "value", "salt" }
local TIMES <const> = { "stored_at", "expires_at", "republish_at" }

-- Lives of records without an end: 30 days, the longest that a node gives.
local LONGEST_LIFE <const> = 2592000

----------------------------------------------------------------- writing --

-- Returns a text as a JSON string. Most need no escapes.
local function quote(text)
  if text:find("^[ !#-%[%]-~]*$") then
    return '"' .. text .. '"'
  end
  return json.encode(text)
end

local function add_text(fields, name, bytes)
  if utf8.len(bytes) then
    fields[#fields + 1] = ('"%s":%s'):format(name, quote(bytes))
  else
    fields[#fields + 1] =
      ('"%s_base64":"%s"'):format(name, core.base64(bytes))
  end
end

local function add_hex(fields, name, bytes)
  if bytes then
    fields[#fields + 1] = ('"%s":"%s"'):format(name, core.hex(bytes))
  end
end

local function add_seq(fields, seq)
  if seq then
    local is_exact = seq <= EXACT and seq >= -EXACT
    fields[#fields + 1] = (is_exact and '"seq":%d' or '"seq":"%d"'):format(seq)
  end
end

--- Returns the first line of a dump.
---@param id_bits 160|256
---@param time integer  seconds since 1970
---@return string line  ends with a newline
function M.header(id_bits, time)
  return ('{"kadenza":"dump","version":%d,"id_bits":%d,"time":%d}\n'):format(
    M.VERSION, id_bits, time)
end

--- Returns the last line of a dump.
---@param records integer
---@return string line  ends with a newline
function M.footer(records)
  return ('{"kadenza":"end","records":%d}\n'):format(records)
end

--- Returns the line of a record.
---@param record kadenza.StoredRecord
---@return string line  ends with a newline
function M.line(record)
  local fields = {}
  add_hex(fields, "key", record.key)
  add_text(fields, "type", record.type)
  add_text(fields, "value", record.value)
  add_hex(fields, "publisher", record.publisher)
  add_hex(fields, "signature", record.signature)
  if record.salt and record.salt ~= "" then
    add_text(fields, "salt", record.salt)
  end
  add_seq(fields, record.seq)
  if record.seed then
    fields[#fields + 1] = '"seed":true'
  end
  if record.origin then
    fields[#fields + 1] = ('"origin":%s'):format(quote(record.origin))
  end
  for _, name in ipairs(TIMES) do
    local time = record[name]
    if time then
      fields[#fields + 1] = ('"%s":%.0f'):format(name, time)
    end
  end
  return "{" .. table.concat(fields, ",") .. "}\n"
end

----------------------------------------------------------------- reading --

-- Returns the object of a line; nil and a reason if it is none.
local function decode(line)
  if #line > M.MAX_LINE then
    return nil, "the line is too long"
  end
  local succeeded, object, position = pcall(dkjson.decode, line, 1, dkjson.null)
  local meta = succeeded and type(object) == "table" and getmetatable(object)
  if not meta or meta.__jsontype ~= "object" or line:find("%S", position) then
    return nil, "not a JSON object"
  end
  return setmetatable(object, nil)
end

local function is_time(value)
  return math.type(value) == "integer" and value >= 0 and value <= EXACT
end

-- Takes fields of an object that are hexadecimal. Returns a reason on failure.
local function take_hex(object, record)
  for _, name in ipairs(HEX) do
    local text = object[name]
    if text ~= nil then
      record[name] = type(text) == "string" and core.unhex(text) or nil
      if not record[name] then
        return name .. " is not hexadecimal"
      end
    end
    object[name] = nil
  end
end

local function take_texts(object, record)
  for _, name in ipairs(TEXTS) do
    local text, coded = object[name], object[name .. "_base64"]
    if text ~= nil and coded ~= nil then
      return ("%s and %s_base64"):format(name, name)
    elseif coded ~= nil then
      text = type(coded) == "string" and core.unbase64(coded) or nil
      if not text then
        return name .. "_base64 is not base64"
      end
    elseif text ~= nil and type(text) ~= "string" then
      return name .. " is not a string"
    end
    record[name] = text
    object[name], object[name .. "_base64"] = nil, nil
  end
end

local function take_seq(object, record)
  local seq = object.seq
  if type(seq) == "string" and seq:find("^%-?%d+$") then
    seq = math.tointeger(tonumber(seq))
  end
  if object.seq ~= nil and math.type(seq) ~= "integer" then
    return "seq is not an integer of 64 bits"
  end
  record.seq, object.seq = seq, nil
end

local function take_times(object, record)
  for _, name in ipairs(TIMES) do
    if object[name] ~= nil and not is_time(object[name]) then
      return name .. " is not a number of seconds"
    end
    record[name], object[name] = object[name], nil
  end
end

local function take_origin(object, record)
  local origin = object.origin
  if origin ~= nil and not (type(origin) == "string" and core.address(origin))
  then
    return "origin is not an address"
  elseif object.seed ~= nil and type(object.seed) ~= "boolean" then
    return "seed is not true or false"
  end
  record.origin, record.seed = origin, object.seed or nil
  object.origin, object.seed = nil, nil
end

local TAKERS <const> =
  { take_hex, take_texts, take_seq, take_times, take_origin }
local NEEDED <const> = { "key", "type", "value", "stored_at" }

--- Reads the line of a record. Checks its form, not what it says.
---@param line string
---@return kadenza.StoredRecord? record
---@return string? reason
function M.parse(line)
  local object, problem = decode(line)
  if not object then
    return nil, problem
  end
  local record = {}
  for _, take in ipairs(TAKERS) do
    local reason = take(object, record)
    if reason then
      return nil, reason
    end
  end
  if next(object) ~= nil then
    return nil, "unknown field" -- of a newer version, which has another header
  end
  for _, name in ipairs(NEEDED) do
    if not record[name] then
      return nil, name .. " is missing"
    end
  end
  record.expires_at = record.expires_at or record.stored_at + LONGEST_LIFE
  if record.expires_at < record.stored_at then
    return nil, "expires_at is before stored_at"
  end
  return record
end

--- Reads the first line of a dump.
---@param line? string
---@return { id_bits: 160|256 }? header
---@return string? reason
function M.parse_header(line)
  local object = line and decode(line)
  if not object or object.kadenza ~= "dump"
    or math.type(object.version) ~= "integer" or object.version < 1
  then
    return nil, "not a dump of kadenza"
  elseif object.version > M.VERSION then
    return nil, ("a dump of version %d: use a newer kadenza"):format(
      object.version)
  elseif object.id_bits ~= 160 and object.id_bits ~= 256 then
    return nil, "a dump without id_bits 160 or 256"
  end
  return { id_bits = object.id_bits }
end

-- Returns the number of records that a last line counts; nil for another line.
local function parse_footer(line)
  if line:find('"kadenza"', 1, true) then
    local object = decode(line)
    local records = object and object.kadenza == "end" and object.records
    return math.type(records) == "integer" and records or nil
  end
end

--- What `load` has done.
---@class kadenza.LoadReport
---@field records integer  lines of records
---@field added integer
---@field held integer  they were there already
---@field older integer  newer ones were there already
---@field expired integer  they were left out
---@field refused integer
---@field reasons table<string, integer>  why records were refused, how often
---@field first? { line: integer, reason: string }  that was refused
---@field is_whole boolean  the last line is there, and its number is right

local MAX_REASONS <const> = 100

local function refuse(report, number, reason)
  local reasons = report.reasons
  report.refused = report.refused + 1
  report.first = report.first or { line = number, reason = reason }
  if not reasons[reason] then
    report.kinds = report.kinds + 1
    reason = report.kinds <= MAX_REASONS and reason or "others"
  end
  reasons[reason] = (reasons[reason] or 0) + 1
end

-- Loads the record of a line.
local function load_line(report, line, number, now, add)
  local record, problem = M.parse(line)
  report.records = report.records + 1
  if not record then
    refuse(report, number, problem)
  elseif record.expires_at <= now then
    report.expired = report.expired + 1
  else
    record.expires_at = math.min(record.expires_at, now + LONGEST_LIFE)
    record.stored_at = math.min(record.stored_at, now)
    local formed, outcome, reason = pcall(add, record)
    if not formed then
      refuse(report, number, tostring(outcome))
    elseif not outcome then
      refuse(report, number, reason)
    else
      report[outcome] = report[outcome] + 1
    end
  end
end

--- Loads the lines after the first one. Memory does not grow with them.
---@param lines fun(): string?  the next line without its newline; false for one
---  that is longer than MAX_LINE; nil at the end
---@param now integer  seconds since 1970
---@param add fun(record: kadenza.StoredRecord): string?, string?  returns
---  "added", "held" or "older"; or nil and a reason, or raises one
---@param on_line? fun(report: kadenza.LoadReport)  called after each line
---@return kadenza.LoadReport report
function M.load(lines, now, add, on_line)
  local report = { records = 0, added = 0, held = 0, older = 0, expired = 0,
    refused = 0, reasons = {}, kinds = 0, is_whole = false }
  local number = 1
  for line in lines do
    number = number + 1
    local count = line and not report.is_whole and parse_footer(line)
    if line == false then
      report.records = report.records + 1
      refuse(report, number, "the line is too long")
    elseif count then
      report.is_whole = count == report.records
    elseif line:find("%S") then
      load_line(report, line, number, now, add)
    end
    if on_line then
      on_line(report)
    end
  end
  report.kinds = nil
  return report
end

return M
