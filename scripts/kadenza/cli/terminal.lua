--- The terminals behind the standard streams: whether and how to write to them.
--
-- A job in the background shares its terminal with a prompt. There it begins
-- what it writes on a new line, and moves no cursor.

local core = require("kadenza.core")

local M = {}

--- Standard output.
M.OUTPUT = 1

--- Standard error.
M.ERRORS = 2

-- Seconds after which a user may have typed something since we wrote.
local PAUSE <const> = 1

-- When this program wrote last.
local last = { time = nil }

--- Returns the width of the terminal behind a stream; nil if it is not a
--- terminal, or one of unknown width.
---@param fd integer
---@return integer? columns
function M.columns(fd)
  return core.terminal_columns(fd)
end

--- Tells whether a user watches the stream on a terminal: this program is not
--- in the background.
---@param fd integer
---@return boolean
function M.is_watched(fd)
  return core.is_terminal(fd) and core.is_foreground(fd)
end

--- Tells whether a line of the stream can be drawn again in its place.
---@param fd integer
---@return boolean
function M.can_redraw(fd)
  local kind = os.getenv("TERM") or ""
  return kind ~= "" and kind ~= "dumb" and M.is_watched(fd)
end

--- Returns what to write first: a newline where a prompt may be in the line.
---@param fd integer
---@return string text
function M.line_break(fd)
  local before, now = last.time, os.time()
  last.time = now
  local is_recent = before and math.abs(now - before) <= PAUSE
  return not is_recent and core.is_terminal(fd) and not core.is_foreground(fd)
    and "\n" or ""
end

return M
