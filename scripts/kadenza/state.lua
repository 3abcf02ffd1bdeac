--- The state folder of a node: `node.state` has its id and contacts,
--- `own.state` its publications, which are many and seldom change, and
--- `node.lock` excludes other nodes.
--
-- A file is written beside the old one, flushed to the disk and renamed over
-- it: a reader finds the old state or the new one. No file is written over one
-- that was not read whole. A file that cannot be read, or belongs to another
-- node or version, is left as it is, and the node does not start. What is
-- corrupt is set aside, and the node starts without it.

local core = require("kadenza.core")
local durable = require("kadenza.durable")
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

-- Copies of corrupt files that are kept, the newest without a number.
local MAX_ASIDE <const> = 8

---@class kadenza.State
---@field id? string  nil: none is saved
---@field contacts string[]
---@field clock fun(): kadenza.Reading
---@field is_incomplete? boolean  the publications have to be saved
local State = {}
State.__index = State

--------------------------------------------------------------- set aside --

local function aside_name(path, number)
  return number == 1 and path .. ".corrupt"
    or ("%s.corrupt.%d"):format(path, number)
end

-- Renames a file. On failure returns nil, a message and the error's number.
local function rename(from, to)
  local renamed, message, errno = os.rename(from, to)
  if not renamed then
    return nil, ("%s: rename to %s: %s"):format(from, to, message), errno
  end
  return true
end

-- Renames the copies of corrupt files; the oldest of MAX_ASIDE is lost. Returns
-- the free name, or nil and a message.
local function make_room(path)
  for number = MAX_ASIDE - 1, 1, -1 do
    local renamed, message, errno =
      rename(aside_name(path, number), aside_name(path, number + 1))
    if not renamed and errno ~= 2 and number == 1 then -- 2: ENOENT
      return nil, message
    end
  end
  return aside_name(path, 1)
end

-- Sets a corrupt file aside, as a copy if `bytes` of it stay in use. Returns
-- the new name; or nil, a message and a code.
local function set_aside(path, bytes)
  local aside, problem = make_room(path)
  if not aside then
    return nil, problem, "KAD_ESYSTEM"
  end
  local done, message, code
  if bytes then
    done, message, code = core.write_file(aside, bytes, "private")
  else
    done, message = rename(path, aside)
  end
  if not done then
    return nil, message, type(code) == "string" and code or "KAD_ESYSTEM"
  end
  return aside
end

local function log_corrupt(path, aside, why)
  log.warn("the saved state is corrupt and was set aside",
    { file = path, aside = aside, error = why })
end

local function log_damage(path, aside, damage, kept)
  log.warn("parts of the saved state are invalid and were set aside", {
    file = path,
    aside = aside,
    error = damage.error,
    invalid = damage.count,
    kept = kept,
  })
end

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
  local aside, message, kind = set_aside(path)
  if not aside then
    return nil, message, kind
  end
  log_corrupt(path, aside, problem)
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
    local aside, message, kind = set_aside(path, bytes)
    if not aside then
      return nil, message, kind
    end
    log_damage(path, aside, state.damage, #state.contacts)
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
  local aside, message = set_aside(path, loaded.bytes)
  if not aside then
    self.is_kept_whole = message
    log.error("the publications cannot be saved: parts of the file are invalid "
      .. "and could not be set aside", { file = path, error = message })
    return
  end
  self.is_incomplete = true
  log_damage(path, aside, {
    count = damage.count + rejected.count,
    error = damage.error or rejected.error,
  }, kept)
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
  local written, problem, kind = core.write_file(
    self.folder .. "/" .. PUBLICATIONS_FILE,
    saved.write_publications(records, self.clock()), "private")
  if not written then
    return nil, problem, kind
  end
  self.is_incomplete = nil
  return true
end

return M
