--- The lines that a user has typed at the prompt of `kadenza repl`, kept in the
--- user's state folder.

local core = require("kadenza.core")
local state_folder = require("kadenza.cli.state_folder")

local M = {}

--- Lines that are kept.
M.MAX_LINES = 1000

local MAX_BYTES <const> = 4 << 20
local FILE <const> = "history"

---@class kadenza.cli.History
---@field lines string[]  the oldest first
---@field private path? string  nil: it is not kept
---@field private added string[]
local History = {}
History.__index = History

-- Returns the lines of a file; none if it cannot be read.
local function read(path)
  local bytes = core.read_file(path, MAX_BYTES, "regular") or ""
  local lines = {}
  for line in bytes:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  return table.move(lines, math.max(1, #lines - M.MAX_LINES + 1), #lines, 1,
    {})
end

--- Reads the history.
---@param folder? string  default: that of the user's nodes
---@return kadenza.cli.History history
function M.open(folder)
  folder = folder or state_folder.base()
  local path = folder and folder .. "/" .. FILE
  return setmetatable({ path = path, folder = folder,
    lines = path and read(path) or {}, added = {} }, History)
end

--- Adds a line, unless it is the last one again.
---@param line string  without a newline
function History:add(line)
  local before = self.added[#self.added] or self.lines[#self.lines]
  if line ~= before then
    self.added[#self.added + 1] = line
  end
end

--- Saves the history for its owner only, with what others have saved meanwhile.
--- A failure is silent: the history is a comfort.
function History:save()
  if not self.path or #self.added == 0 then
    return
  end
  core.make_folder(self.folder, "private")
  local lines = read(self.path)
  table.move(self.added, 1, #self.added, #lines + 1, lines)
  local from = math.max(1, #lines - M.MAX_LINES + 1)
  core.write_file(self.path, table.concat(lines, "\n", from) .. "\n", "private")
  self.added = {}
end

return M
