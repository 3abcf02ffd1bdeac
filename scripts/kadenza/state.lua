--- The state folder of a node: `node.state` has its id and contacts,
--- `own.state` its publications, which are many, and `node.lock` excludes other
--- nodes.
--
-- What changes in the publications is appended to `own.journal` before the
-- program is told that it has changed: it survives the end of the process. The
-- next save of `own.state` has it, and empties the journal.
--
-- A file is written beside the old one, flushed to the disk and renamed over
-- it: a reader finds the old state or the new one. No file is written over one
-- that was not read whole. A file that cannot be read, or belongs to another
-- node or version, is left as it is, and the node does not start. What is
-- corrupt is set aside, and the node starts without it.

local aside = require("kadenza.aside")
local core = require("kadenza.core")
local durable = require("kadenza.durable")
local journal = require("kadenza.publication_journal")
local log = require("kadenza.log")
local saved = require("kadenza.saved")

local M = {}

local FILE <const> = "node.state"
local PUBLICATIONS_FILE <const> = "own.state"
local LOCK_FILE <const> = "node.lock"

-- Largest sizes of the files. A publication takes less than 2 KiB.
local MAX_BYTES <const> = 4 << 20
local MAX_PUBLICATIONS_BYTES <const> = 64 << 20
local BYTES_A_PUBLICATION <const> = 2048

---@class kadenza.State
---@field id? string  nil: none is saved
---@field contacts string[]
---@field clock fun(): kadenza.Reading
---@field is_incomplete? boolean  the publications have to be saved
local State = {}
State.__index = State

----------------------------------------------------------------- loading --

-- Reads a file of the folder with `parse(bytes, ...)`. Returns what `parse`
-- returns and the bytes. Returns false if there is no file, or it was corrupt
-- and is set aside; nil, a message and a code if the node must not start.
local function load_file(path, max, parse, ...)
  local bytes, written, code = core.read_saved(path, max)
  if not bytes then
    return bytes, written, code
  end
  local parsed, problem, is_newer = parse(bytes, written, ...)
  if parsed then
    return parsed, bytes
  elseif is_newer then
    return nil, ("%s: %s: run a newer kadenza, or use another folder"):format(
      path, problem), "KAD_EMALFORMED"
  end
  local copy, message, kind = aside.set(path)
  if not copy then
    return nil, message, kind
  end
  aside.log_corrupt(path, copy, problem)
  return false
end

local function read_node(bytes)
  return saved.read_node(bytes)
end

local function wrong_width(path, bits, wanted)
  return nil, ("%s: of a node with ids of %d bits, not %d: use another folder, "
    .. "or id_bits = %d"):format(path, bits, wanted, bits), "KAD_EINVAL"
end

-- Loads the id and the contacts.
local function load_node(self, bits)
  local path = self.folder .. "/" .. FILE
  local state, bytes, code = load_file(path, MAX_BYTES, read_node)
  if state == nil then
    return nil, bytes, code
  elseif not state then
    return true
  elseif #state.id * 8 ~= bits then
    return wrong_width(path, #state.id * 8, bits)
  end
  if state.damage.count > 0 then
    local copy, message, kind = aside.set(path, bytes)
    if not copy then
      return nil, message, kind
    end
    aside.log_damage(path, copy, state.damage, #state.contacts)
  end
  self.id, self.saved_id, self.contacts = state.id, state.id, state.contacts
  return true
end

-- Returns the width of the overlay of other ids to which all records belong, or
-- nil.
local function foreign_width(records, bits)
  local other = bits == 160 and 256 or 160
  for _, record in ipairs(records) do
    if #record.key * 8 ~= other then
      return nil
    end
  end
  return records[1] and other
end

-- Loads the publications, for `take_publications`.
local function load_publications(self, bits, max)
  local path = self.folder .. "/" .. PUBLICATIONS_FILE
  max = math.max(MAX_PUBLICATIONS_BYTES, max * BYTES_A_PUBLICATION)
  local kept, bytes, code =
    load_file(path, max, saved.read_publications, self.clock())
  if kept == nil then
    return nil, bytes, code
  end
  local problem, kind
  kept, problem, kind = journal.load(self, kept, max)
  if kept == nil then
    return nil, problem, kind
  end
  bytes = bytes or ""
  local other = kept and foreign_width(kept.records, bits)
  if other then
    return wrong_width(path, other, bits)
  end
  self.publications = kept and { kept = kept, bytes = bytes } or nil
  return true
end

----------------------------------------------------------------- locking --

-- Returns the first line of a file of the kernel, or "".
local function read_kernel(path)
  local file = io.open(path, "rb")
  if not file then
    return ""
  end
  local text = file:read(200) or ""
  file:close()
  return (text:gsub("[\0\n]+$", ""):gsub("[%c\127-\255]", " "))
end

local function host_name()
  return read_kernel("/proc/sys/kernel/hostname")
end

-- Returns the problem of a folder that another node uses. `text` is what that
-- node wrote to the lock file. Processes of other machines and containers may
-- have the same number.
local function busy_message(folder, text)
  local pid, host, command =
    text:match("^(%d+)\n([^%c\127-\255]*)\n?([^%c\127-\255]*)")
  local user = "another process"
  if pid then
    user = "process " .. pid
      .. (host ~= "" and host ~= host_name() and " on " .. host or "")
      .. (command ~= "" and (" (%s)"):format(command) or "")
  end
  return ("%s: %s uses this folder: stop it, or use another folder"):format(
    folder, user)
end

-- Locks the folder, or returns nil, a message and a code.
local function lock_folder(folder)
  local path = folder .. "/" .. LOCK_FILE
  local text = host_name() .. "\n" .. read_kernel("/proc/self/cmdline")
  local lock, has_locks, code, holder = core.lock_file(path, text)
  if not lock then
    local message = code == "KAD_EBUSY" and busy_message(folder, holder)
      or has_locks
    return nil, message, code
  elseif not has_locks then
    log.warn("the state folder cannot be locked: no other node may use it",
      { folder = folder })
  end
  return lock
end

----------------------------------------------------------------- opening --

---@class kadenza.StateOptions
---@field bits 160|256  width of the node's ids
---@field max_publications integer
---@field clock fun(): kadenza.Reading

--- Opens the state folder of a node: makes it if it is missing, locks it, and
--- loads the state. On failure nothing in it has changed, except for corrupt
--- files that were set aside.
---@param folder string
---@param options kadenza.StateOptions
---@return kadenza.State? state
---@return string? message
---@return kadenza.Code? code
function M.open(folder, options)
  local was_there = core.exists(folder)
  local made, message, code = core.make_folder(folder, "private")
  if not made then
    return nil, message, code
  end
  local lock, problem, kind = lock_folder(folder)
  if not lock then
    if not was_there then
      os.remove(folder)
    end
    return nil, problem, kind
  end
  local self = setmetatable({
    folder = folder,
    lock = lock,
    was_there = was_there,
    contacts = {},
    clock = options.clock,
  }, State)
  for _, load in ipairs({ load_node, load_publications }) do
    local loaded, why, which =
      load(self, options.bits, options.max_publications)
    if not loaded then
      self:discard()
      return nil, why, which
    end
  end
  return self
end

--- Locks a state folder for a program that runs no node: none can start.
---@param folder string
---@return kadenza.core.Lock? lock  must be closed
---@return string? message
---@return kadenza.Code? code
function M.lock(folder)
  return lock_folder(folder)
end

--- Returns the id that is saved in a folder. Changes nothing in it, and needs
--- no lock.
---@param folder string
---@return string? id
---@return string? message
---@return kadenza.Code? code
function M.read_id(folder)
  local path = folder .. "/" .. FILE
  local bytes, written, code = core.read_saved(path, MAX_BYTES)
  if bytes == false then
    return nil, path .. ": open: No such file or directory", "KAD_ENOTFOUND"
  elseif not bytes then
    return nil, written, code
  end
  local state, problem = saved.read_node(bytes)
  if not state then
    return nil, path .. ": " .. problem, "KAD_EMALFORMED"
  end
  return state.id
end

--- Unlocks the folder.
function State:close()
  journal.close(self)
  self.lock:close()
end

--- Unlocks the folder of a node that did not start, and removes it if it was
--- made for this node.
function State:discard()
  self:close()
  if not self.was_there then
    for _, name in ipairs(durable.FILES) do
      os.remove(self.folder .. "/" .. name)
    end
    os.remove(self.folder)
  end
end

------------------------------------------------------------------ saving --

-- Tells whether the folder has another node's state, which a save would lose.
local function is_foreign(self)
  local id = M.read_id(self.folder)
  local path = self.folder .. "/" .. PUBLICATIONS_FILE
  if id then
    return id ~= self.saved_id
  end
  return core.read_saved(self.folder .. "/" .. FILE, MAX_BYTES) ~= false
    or core.read_saved(path, MAX_BYTES) ~= false
end

-- Makes the folder again if it was removed while the node runs, and locks it
-- again. Returns nil, a message and a code if it is another one now.
local function renew(self)
  if self.lock:is_held() then
    return true
  end
  local made, message, code = core.make_folder(self.folder, "private")
  if not made then
    return nil, message, code
  end
  local lock, problem, kind = lock_folder(self.folder)
  if not lock then
    return nil, problem, kind
  elseif is_foreign(self) then
    lock:close()
    return nil, self.folder .. ": the folder was replaced while the node runs: "
      .. "restart the node", "KAD_EBUSY"
  end
  journal.close(self)
  self.lock:close()
  self.lock, self.is_incomplete = lock, true
  return true
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
  for i = 1, math.min(#chosen, saved.MAX_CONTACTS) do
    addresses[i] = chosen[i].address
  end
  return addresses
end

--- Saves an id and contacts; without contacts, those that were loaded.
---@param id string
---@param contacts kadenza.Contact[]
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function State:save_node(id, contacts)
  local renewed, message, code = renew(self)
  if not renewed then
    return nil, message, code
  end
  local chosen = choose_contacts(contacts)
  local written, problem, kind = core.write_file(self.folder .. "/" .. FILE,
    saved.write_node(id, chosen[1] and chosen or self.contacts),
    "private")
  if not written then
    return nil, problem, kind
  end
  self.saved_id = id
  return true
end

--- Returns the publications that were loaded, once.
---@return table[] records  with `ttl`, the seconds that they have left
function State:take_publications()
  local loaded = self.publications
  self.publications = nil
  self.loaded = loaded
  return loaded and loaded.kept.records or {}
end

--- Sets a copy of the publications aside if there is invalid data among them.
--- `rejected` has what the node found, beside what the file's reader found.
--- If that fails, no publications are saved.
---@param rejected kadenza.Damage
---@param kept integer  number of valid records
function State:keep_invalid(rejected, kept)
  local loaded = self.loaded
  self.loaded = nil
  local damage = loaded and loaded.kept.damage
  if not damage or damage.count + rejected.count == 0 then
    return
  end
  local path = self.folder .. "/" .. PUBLICATIONS_FILE
  local copy, message = aside.set(path, loaded.bytes)
  if not copy then
    self.is_kept_whole = message
    log.error("the publications cannot be saved: parts of the file are invalid "
      .. "and could not be set aside", { file = path, error = message })
    return
  end
  self.is_incomplete = true
  aside.log_damage(path, copy, {
    count = damage.count + rejected.count,
    error = damage.error or rejected.error,
  }, kept)
end

--- Notes a change of the publications in the journal. On failure, the next save
--- has it.
---@param record table  with `ttl`, the seconds that it has left
---@param is_published boolean
---@return true? noted
---@return string? message
---@return kadenza.Code? code
function State:note_change(record, is_published)
  if not self.lock:is_held() then
    return nil, self.folder .. ": the folder was removed", "KAD_ENOTFOUND"
  end
  return journal.note(self, record, is_published)
end

--- Tells whether the journal is so long that the publications are to be saved.
---@return boolean
function State:has_long_journal()
  return journal.is_long(self)
end

--- Flushes the journal to the disk: a power failure loses nothing of it then.
---@return true? flushed
---@return string? message
---@return kadenza.Code? code
function State:flush_journal()
  return journal.flush(self)
end

--- Saves publications.
---@param records table[]  with `ttl`, the seconds that they have left
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function State:save_publications(records)
  if self.is_kept_whole then
    return nil, self.is_kept_whole, "KAD_ESYSTEM"
  end
  local renewed, message, code = renew(self)
  if not renewed then
    return nil, message, code
  end
  local bytes = saved.write_publications(records, self.clock())
  local written, problem, kind = core.write_file(
    self.folder .. "/" .. PUBLICATIONS_FILE, bytes, "private")
  if not written then
    return nil, problem, kind
  end
  self.is_incomplete, self.saved_bytes = nil, #bytes
  return journal.clear(self)
end

return M
