--- The records of a node in its state folder: `records.mdb`, a file of LMDB,
--- and the journal `records.journal.1` and `.2`. See docs/operations.md,
--- "Storage".
--
-- The core does the work (kadenza_durable.h). This module opens it, says what
-- it found, and watches whether the disk takes what it is given.

local core = require("kadenza.core")
local log = require("kadenza.log")

local M = {}

local WATCH_MS <const> = 1000

--- The choices of the option `store_sync`.
M.SYNCS = { "interval", "commit" }

--- The default and the range of the option `store_bytes`.
M.BYTES = { default = 64 << 30, from = 1 << 20, to = 1 << 46 }

--- The names of the files.
M.FILES = { "records.mdb", "records.mdb-lock", "records.journal.1",
  "records.journal.2" }

---@class kadenza.core.Durable

---@class kadenza.DurableOptions
---@field bits? 160|256  width of the ids
---@field sync? "interval"|"commit"
---@field bytes? integer  largest size of the file of LMDB

local function log_opened(folder, stats)
  if stats.disk_aside > 0 then
    log.warn("files of the store were corrupt and were set aside",
      { folder = folder, files = stats.disk_aside,
        loaded = stats.disk_loaded })
  end
  if stats.disk_corrupt > 0 then
    log.warn("records of the store were corrupt and were left out",
      { folder = folder, records = stats.disk_corrupt,
        loaded = stats.disk_loaded })
  end
  log.debug("the store is open",
    { folder = folder, records = stats.disk_loaded })
end

--- Opens the records of a state folder.
---@param network kadenza.core.Network
---@param folder string
---@param options kadenza.DurableOptions
---@return kadenza.core.Durable? durable
---@return string? message
---@return kadenza.Code? code
function M.open(network, folder, options)
  local durable, message, code = core.open_durable(network, {
    folder = folder,
    bits = options.bits,
    flushes = options.sync == "commit",
    max_bytes = options.bytes or M.BYTES.default,
  })
  if not durable then
    return nil, message, code
  end
  log_opened(folder, durable:stats())
  return durable
end

--- Logs when the disk begins to refuse, and when it takes again what it is
--- given, until the store is closed.
---@param durable kadenza.core.Durable
---@param network kadenza.core.Network
function M.watch(durable, network)
  local was_failing = false
  local function look()
    if not durable:stats() or not network:is_open() then
      return
    end
    local failure = durable:failure()
    if failure and not was_failing then
      log.error("the disk refuses to write: stores are answered with error 202",
        { error = failure })
    elseif was_failing and not failure then
      log.info("the disk takes the records again")
    end
    was_failing = failure ~= nil
    network:start_timer(WATCH_MS, look)
  end
  network:start_timer(WATCH_MS, look)
end

return M
