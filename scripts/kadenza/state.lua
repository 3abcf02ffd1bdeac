--- The state folder of a node: one bencoded file with its id and contacts, and
--- one with its publications, which are many and seldom change.
--
-- A file is written beside the old one, flushed to the disk and renamed over
-- it: a reader finds the old state or the new one. A corrupt file is renamed
-- and logged; the node starts without it.

local core = require("kadenza.core")
local log = require("kadenza.log")

local M = {}

local FILE <const> = "node.state"
local PUBLICATIONS_FILE <const> = "own.state"
local VERSION <const> = 1

--- Largest number of contacts that are saved.
M.MAX_CONTACTS = 200

-- Returns the addresses of a decoded list of contacts; nil if it is malformed.
local function read_contacts(list)
  if type(list) ~= "table" then
    return nil
  end
  local addresses = {}
  for _, text in ipairs(list) do
    local address = type(text) == "string" and core.address(text)
    if not address then
      return nil
    end
    addresses[#addresses + 1] = address
  end
  return addresses
end

-- Returns the state that `bytes` hold, or nil and what is wrong.
local function read_state(bytes)
  local value = core.decode(bytes)
  if type(value) ~= "table" or value.version ~= VERSION then
    return nil, "it is not a state of version " .. VERSION
  end
  local contacts = read_contacts(value.contacts)
  local id = value.id
  if not contacts or type(id) ~= "string" or (#id ~= 20 and #id ~= 32) then
    return nil, "its fields are wrong"
  end
  return { id = id, contacts = contacts }
end

local function rename_corrupt(path, why)
  local aside = path .. ".corrupt"
  local renamed, message = os.rename(path, aside)
  log.warn("the saved state is corrupt and was set aside", {
    file = path,
    aside = renamed and aside or message,
    error = why,
  })
end

-- Reads a file with `parse(bytes, ...)`, which returns nil and what is wrong
-- with a corrupt file. Returns false for such a file and if there is none; nil,
-- a message and a code if the file cannot be read.
local function load_file(path, parse, ...)
  local file, why, number = io.open(path, "rb")
  if not file then
    if number == 2 then -- ENOENT
      return false
    end
    return nil, why, "KAD_EACCESS"
  end
  local bytes, failure = file:read("a")
  file:close()
  if not bytes then
    return nil, path .. ": " .. failure, "KAD_ESYSTEM"
  end
  local loaded, problem = parse(bytes, ...)
  if not loaded then
    rename_corrupt(path, problem)
  end
  return loaded or false
end

--- Loads the state in `folder`, and makes the folder if it does not exist. The
--- result has no id and no contacts if there is no state or it is corrupt.
---@param folder string
---@return { id?: string, contacts: string[] }? state
---@return string? message
---@return kadenza.Code? code
function M.load(folder)
  local made, message, code = core.make_folder(folder)
  if not made then
    return nil, message, code
  end
  local state, why, kind = load_file(folder .. "/" .. FILE, read_state)
  if state == nil then
    return nil, why, kind
  end
  return state or { contacts = {} }
end

-- Returns the addresses of good contacts, then of others; within each group, of
-- those that replied last.
local function choose_contacts(contacts)
  local chosen = table.move(contacts, 1, #contacts, 1, {})
  table.sort(chosen, function(a, b)
    if a.good ~= b.good then
      return a.good
    elseif a.idle ~= b.idle then
      return a.idle < b.idle
    end
    return a.address < b.address
  end)
  local addresses = {}
  for i = 1, math.min(#chosen, M.MAX_CONTACTS) do
    addresses[i] = chosen[i].address
  end
  return addresses
end

--- Saves a state in `folder`. If there are no contacts, saves `before`, those
--- of the last state.
---@param folder string
---@param state { id: string, contacts: kadenza.Contact[], before: string[] }
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function M.save(folder, state)
  local contacts = choose_contacts(state.contacts)
  return core.write_file(folder .. "/" .. FILE, core.encode({
    version = VERSION,
    id = state.id,
    contacts = contacts[1] and contacts or state.before,
  }))
end

------------------------------------------------------------ publications --

-- The fields of a record that are saved, with their types.
local FIELDS <const> = {
  key = "string",
  type = "string",
  value = "string",
  salt = "string",
  publisher = "string",
  signature = "string",
  seq = "number",
  ends = "number",
}

-- Returns a record as it is saved: with the second in which it expires, `ends`,
-- instead of its `ttl`.
local function pack(record, now)
  local packed = {}
  for name in pairs(FIELDS) do
    packed[name] = record[name]
  end
  packed.ends = record.ttl and now + record.ttl
  return packed
end

local function is_record(packed)
  if type(packed) ~= "table" then
    return false
  end
  for name, kind in pairs(FIELDS) do
    if packed[name] ~= nil and type(packed[name]) ~= kind then
      return false
    end
  end
  return packed.key and packed.type and packed.value
end

-- Returns the records that `bytes` hold, without those that have expired; or
-- nil and what is wrong.
local function read_publications(bytes, now)
  local value = core.decode(bytes)
  if type(value) ~= "table" or value.version ~= VERSION
    or type(value.records) ~= "table" then
    return nil, "they are no records of version " .. VERSION
  end
  local records = {}
  for _, record in ipairs(value.records) do
    if not is_record(record) then
      return nil, "the fields of a record are wrong"
    end
    local ends = record.ends
    record.ends = nil
    record.ttl = ends and ends - now
    if not ends or ends > now then
      records[#records + 1] = record
    end
  end
  return records
end

--- Loads the publications in `folder` that have not expired. A corrupt file is
--- renamed and logged.
---@param folder string
---@param now integer  seconds since 1970
---@return table[] records
function M.load_publications(folder, now)
  local records, why =
    load_file(folder .. "/" .. PUBLICATIONS_FILE, read_publications, now)
  if records == nil then
    log.error("the publications cannot be read", { error = why })
  end
  return records or {}
end

--- Saves publications in `folder`.
---@param folder string
---@param records table[]
---@param more table[]  saved records that the node could not publish
---@param now integer  seconds since 1970
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function M.save_publications(folder, records, more, now)
  local packed = {}
  for _, list in ipairs({ records, more }) do
    for _, record in ipairs(list) do
      packed[#packed + 1] = pack(record, now)
    end
  end
  return core.write_file(folder .. "/" .. PUBLICATIONS_FILE,
    core.encode({ version = VERSION, records = packed }))
end

return M
