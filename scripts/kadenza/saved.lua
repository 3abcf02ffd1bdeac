--- The form of the files of a state folder: `node.state` has the node's id and
--- contacts, `own.state` its publications. Both are bencoded dictionaries with
--- a `version`. `own.journal` has what has changed in the publications since,
--- a dictionary for each change. Reading keeps what is valid and counts the
--- rest: another program may have written the bytes.
--
-- A publication is saved with `rest`, the seconds that it had left, and the
-- file with the clocks at that moment: see kadenza.clock. The first files had
-- only `ends`, the second of its end by the wall clock.

local clock = require("kadenza.clock")
local core = require("kadenza.core")

local M = {}

local VERSION <const> = 1

--- Largest number of contacts that are kept.
M.MAX_CONTACTS = 200

local MAX_REST <const> = 0xffffffff

-- A table in a file of ours takes more bytes than this. One of a hostile file
-- takes two, and 56 in memory.
local BYTES_A_TABLE <const> = 32

---@class kadenza.Damage
---@field count integer  of what is invalid
---@field error string  the first problem

local function add_damage(damage, problem)
  damage.count = damage.count + 1
  damage.error = damage.error or problem
end

-- Returns the dictionary that `bytes` hold; or nil, what is wrong and whether
-- the file is of a newer version.
local function read_dictionary(bytes)
  if core.bencode_tables(bytes) > #bytes // BYTES_A_TABLE + 2 then
    return nil, "it has too many lists and dictionaries", false
  end
  local value = core.decode(bytes)
  if value == nil then
    return nil, bytes == "" and "it is empty" or "it is cut or overwritten",
      false
  end
  local version = type(value) == "table" and value.version
  if math.type(version) ~= "integer" or version < 1 then
    return nil, "it is not a state of version " .. VERSION, false
  elseif version > VERSION then
    return nil, "it is of the newer version " .. version, true
  end
  return value
end

-- Tells whether a decoded value is a list; an empty dictionary is one, too.
local function is_list(value)
  return type(value) == "table" and (value[1] ~= nil or next(value) == nil)
end

--------------------------------------------------------------- node.state --

-- Returns the valid addresses of a decoded list, the first ones.
local function read_contacts(list, damage)
  local addresses = {}
  if not is_list(list) then
    add_damage(damage, "it has no contacts")
    return addresses
  end
  for _, text in ipairs(list) do
    local address = type(text) == "string" and core.address(text)
    if not address then
      add_damage(damage, "a contact is not an address")
    elseif #addresses < M.MAX_CONTACTS then
      addresses[#addresses + 1] = address
    end
  end
  return addresses
end

--- Returns the state in the bytes of a `node.state`, and what of it is invalid.
--- Without a valid id, returns nil, what is wrong, and whether the file is of a
--- newer version.
---@param bytes string
---@return { id: string, contacts: string[], damage: kadenza.Damage }? state
---@return string? problem
---@return boolean? is_newer
function M.read_node(bytes)
  local value, problem, is_newer = read_dictionary(bytes)
  if not value then
    return nil, problem, is_newer
  end
  local id = value.id
  if type(id) ~= "string" or #id ~= 20 and #id ~= 32 then
    return nil, "it has no id of 20 or 32 bytes", false
  end
  local damage = { count = 0 }
  local contacts = read_contacts(value.contacts, damage)
  return { id = id, contacts = contacts, damage = damage }
end

--- Returns the bytes of a `node.state`.
---@param id string
---@param contacts string[]
---@return string bytes
function M.write_node(id, contacts)
  return core.encode({ version = VERSION, id = id, contacts = contacts })
end

---------------------------------------------------------------- own.state --

-- The fields of a record that are saved, with their types.
local FIELDS <const> = {
  key = "string",
  type = "string",
  value = "string",
  salt = "string",
  publisher = "string",
  signature = "string",
  seq = "number",
}

local function is_count(value)
  return math.type(value) == "integer" and value >= 0
end

-- Returns the reading of the clocks when the file was saved. The first files
-- have none: then the file system knows when it was `written`.
local function read_clocks(value, written)
  if is_count(value.time) and is_count(value.boot) then
    local boot_id = type(value.boot_id) == "string" and value.boot_id or nil
    return { wall = value.time, boot = value.boot, boot_id = boot_id }
  end
  return { wall = written, boot = 0 }
end

-- Returns the seconds that a record had left at `saved`; nil: without end.
local function rest_at(record, saved)
  if is_count(record.rest) then
    return record.rest
  elseif is_count(record.ends) then
    return math.max(record.ends - saved.wall, 0)
  end
  return nil
end

-- Returns the problem of the life of a decoded record, or nil.
local function life_problem(given)
  for _, name in ipairs({ "rest", "ends" }) do
    if given[name] ~= nil and not is_count(given[name]) then
      return ("field '%s' of a record is not a number of seconds"):format(name)
    end
  end
end

-- Returns a copy of a decoded record, without a life; or nil and what is wrong.
local function read_record(given)
  if type(given) ~= "table" then
    return nil, "a record is not a dictionary"
  end
  local record = {}
  for name, kind in pairs(FIELDS) do
    if given[name] ~= nil and type(given[name]) ~= kind then
      return nil, ("field '%s' of a record is not a %s"):format(name, kind)
    end
    record[name] = given[name]
  end
  if not (record.key and record.type and record.value) then
    return nil, "a record has no key, type or value"
  end
  local problem = life_problem(given)
  if problem then
    return nil, problem
  end
  return record
end

-- Adds a decoded record to `kept`, unless it has ended or is invalid.
local function keep_record(kept, given, saved, now)
  local record, problem = read_record(given)
  if not record then
    add_damage(kept.damage, problem)
    return
  end
  local rest = rest_at(given, saved)
  if rest then
    record.ttl = math.min(rest, MAX_REST) - clock.elapsed(saved, now)
  end
  if not rest or record.ttl > 0 then
    table.insert(kept.records, record)
  end
end

--- Returns the records in the bytes of an `own.state` that have not ended, and
--- what of it is invalid. Returns nil, what is wrong, and whether the file is
--- of a newer version, if it has no list of records.
---@param bytes string
---@param written integer  when the file was written, in seconds since 1970
---@param now kadenza.Reading
---@return { records: table[], damage: kadenza.Damage }? kept
---@return string? problem
---@return boolean? is_newer
function M.read_publications(bytes, written, now)
  local value, problem, is_newer = read_dictionary(bytes)
  if not value then
    return nil, problem, is_newer
  elseif not is_list(value.records) then
    return nil, "it has no records", false
  end
  local kept = { records = {}, damage = { count = 0 } }
  local saved = read_clocks(value, written)
  for _, given in ipairs(value.records) do
    keep_record(kept, given, saved, now)
  end
  return kept
end

-- Returns a record as it is saved.
local function pack(record, now)
  local packed = {}
  for name in pairs(FIELDS) do
    packed[name] = record[name]
  end
  packed.rest = record.ttl
  packed.ends = record.ttl and now.wall + record.ttl
  return packed
end

--- Returns the bytes of an `own.state`.
---@param records table[]  with `ttl`, the seconds that they have left
---@param now kadenza.Reading
---@return string bytes
function M.write_publications(records, now)
  local packed = {}
  for i, record in ipairs(records) do
    packed[i] = pack(record, now)
  end
  return core.encode({ version = VERSION, records = packed, time = now.wall,
    boot = now.boot, boot_id = now.boot_id })
end

-------------------------------------------------------------- own.journal --

-- Returns what identifies a record, which its life and its signature do not.
local function identity_of(record)
  return core.encode({ record.key, record.type, record.value,
    record.salt or "", record.publisher or "", record.seq or "" })
end

--- Returns the bytes of a change in an `own.journal`: that a record is
--- published, or not any more.
---@param record table  with `ttl`, the seconds that it has left
---@param is_published boolean
---@param now kadenza.Reading
---@return string bytes
function M.write_change(record, is_published, now)
  return core.encode({ version = VERSION, record = pack(record, now),
    published = is_published and 1 or 0, time = now.wall, boot = now.boot,
    boot_id = now.boot_id })
end

-- Applies a change to records that have their places by identity.
local function apply_change(list, change, damage, now)
  local kept = { records = {}, damage = damage }
  local before = damage.count
  keep_record(kept, change.record, read_clocks(change, 0), now)
  if damage.count > before then
    return
  end
  local name = identity_of(kept.records[1] or change.record)
  local place = list.places[name]
  if change.published == 1 and kept.records[1] then
    place = place or #list.records + 1
    list.places[name], list.records[place] = place, kept.records[1]
  elseif place then
    list.places[name], list.records[place] = nil, false
  end
end

--- Applies the changes of an `own.journal`, in their order, to the records of
--- an `own.state`. A file may have some of the changes already. Returns nil,
--- what is wrong and true if a change is of a newer version.
---@param records table[]  of M.read_publications
---@param changes string[]  their bytes
---@param now kadenza.Reading
---@return { records: table[], damage: kadenza.Damage }? kept
---@return string? problem
---@return boolean? is_newer
function M.apply_changes(records, changes, now)
  local list = { records = {}, places = {} }
  local damage = { count = 0 }
  for i, record in ipairs(records) do
    list.records[i], list.places[identity_of(record)] = record, i
  end
  for _, bytes in ipairs(changes) do
    local change, problem, is_newer = read_dictionary(bytes)
    if is_newer then
      return nil, problem, true
    elseif change then
      apply_change(list, change, damage, now)
    else
      add_damage(damage, problem)
    end
  end
  local kept = { records = {}, damage = damage }
  for _, record in ipairs(list.records) do
    if record then
      table.insert(kept.records, record)
    end
  end
  return kept
end

return M
