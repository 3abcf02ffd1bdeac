--- The journal of a node's publications: what has changed in them since
--- `own.state` was saved. `kadenza.state` uses it.
--- Tested by tests/spec/publication_spec.lua.

local aside = require("kadenza.aside")
local core = require("kadenza.core")
local saved = require("kadenza.saved")

local M = {}

local JOURNAL_FILE <const> = "own.journal"

-- The publications are saved when the journal is longer than this, and than
-- they were when they were saved: so all of them are written once for as many
-- bytes of changes.
local LONG_JOURNAL_BYTES <const> = 1 << 20

-- A longer journal takes no change: it could not be read again.
local MAX_JOURNAL_BYTES <const> = 32 << 20

-- Sets a copy of the journal aside, because a part of it does not count: a
-- write that the end of the machine has cut, or damage.
local function rescue_journal(path, bytes, problem)
  local copy, message, code = aside.set(path, bytes)
  if not copy then
    return nil, message, code
  end
  aside.log_corrupt(path, copy, problem)
  return true
end

--- Returns the publications of a file with what has changed since.
---@param self kadenza.State
---@param kept { records: table[], damage: kadenza.Damage }|false
---@param max integer  bytes of the journal
---@return { records: table[], damage: kadenza.Damage }|false|nil kept
---@return string? message
---@return kadenza.Code? code
function M.load(self, kept, max)
  local path = self.folder .. "/" .. JOURNAL_FILE
  local bytes, written, code = core.read_saved(path, max)
  if bytes == nil then
    return nil, written, code
  elseif not bytes or bytes == "" then
    return kept
  end
  kept = kept or { records = {}, damage = { count = 0 } }
  local changes, counted = core.read_journal(bytes)
  local changed, problem, is_newer =
    saved.apply_changes(kept.records, changes, self.clock())
  if is_newer then
    return nil, ("%s: %s: run a newer kadenza, or use another folder"):format(
      path, problem), "KAD_EMALFORMED"
  end
  problem = changed.damage.error
    or counted < #bytes and "its end is cut or overwritten"
  if problem then
    local done, message, kind = rescue_journal(path, bytes, problem)
    if not done then
      return nil, message, kind
    end
  end
  self.is_incomplete = true
  return { records = changed.records, damage = kept.damage }
end

-- Returns the journal, or nil, a message and a code. Its first change follows
-- what it has: a save that would have emptied it has failed.
local function open_journal(self)
  if self.journal then
    return self.journal
  end
  local path = self.folder .. "/" .. JOURNAL_FILE
  local bytes, message, code = core.read_saved(path, 1 << 40)
  if bytes == nil then
    return nil, message, code
  end
  local _, counted = core.read_journal(bytes or "")
  local journal, problem, kind = core.open_journal(path, counted)
  self.journal = journal
  return journal, problem, kind
end

--- Empties the journal, whose changes are saved.
---@param self kadenza.State
---@return true? cleared
---@return string? message
---@return kadenza.Code? code
function M.clear(self)
  local path = self.folder .. "/" .. JOURNAL_FILE
  if self.journal then
    return self.journal:clear()
  elseif core.exists(path) then
    os.remove(path)
  end
  return true
end

--- Appends a change.
---@param self kadenza.State
---@param record table  with `ttl`, the seconds that it has left
---@param is_published boolean
---@return true? noted
---@return string? message
---@return kadenza.Code? code
function M.note(self, record, is_published)
  local journal, message, code = open_journal(self)
  if not journal then
    return nil, message, code
  elseif journal:size() > MAX_JOURNAL_BYTES then
    return nil, self.folder .. ": the journal is full", "KAD_EFULL"
  end
  return journal:append(
    saved.write_change(record, is_published, self.clock()))
end

--- Tells whether the journal is so long that the publications are to be saved.
---@param self kadenza.State
---@return boolean
function M.is_long(self)
  return self.journal ~= nil and self.journal:size()
    > math.max(LONG_JOURNAL_BYTES, self.saved_bytes or 0)
end

--- Flushes the journal to the disk.
---@param self kadenza.State
---@return true? flushed
---@return string? message
---@return kadenza.Code? code
function M.flush(self)
  if not self.journal then
    return true
  end
  return self.journal:sync()
end

--- Closes the journal. An empty one is removed.
---@param self kadenza.State
function M.close(self)
  if self.journal then
    local is_empty = self.journal:size() == 0
    self.journal:close()
    self.journal = nil
    if is_empty and self.lock:is_held() then
      os.remove(self.folder .. "/" .. JOURNAL_FILE)
    end
  end
end

return M
