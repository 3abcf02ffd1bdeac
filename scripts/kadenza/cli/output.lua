--- Writes results to standard output; a failed write is a fault.
--- Also tested by tests/spec/cli/commands_spec.lua,
--- tests/spec/cli/usage_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local json = require("kadenza.json")
local layout = require("kadenza.cli.layout")
local shown = require("kadenza.shown")
local terminal = require("kadenza.cli.terminal")

local M = {}

-- The order of fields in documents; other fields follow.
local ORDER <const> = {
  "key", "target", "infohash", "type", "value", "value_hex", "values", "seq",
  "salt", "salt_hex", "publisher", "secret", "ttl", "asked_ttl", "age", "id",
  "address", "peers", "contacts", "stored", "asked", "holders", "hops",
  "messages", "took_ms", "error", "code",
}

local EPIPE <const> = 32

local function check_written(written, message, number)
  if number == EPIPE then
    core.end_by_broken_pipe() -- the reader has ended: nothing to report
  elseif not written then
    fault.failed("standard output: write: " .. message, "KAD_ESYSTEM")
  end
end

--- Writes bytes as they are; in the background of a terminal on a new line.
---@param ... string
function M.write(...)
  check_written(io.stdout:write(terminal.line_break(terminal.OUTPUT), ...))
end

-- Returns a text as a person reads it on the stream: what a terminal must not
-- see is escaped, and lines break between words.
local function to_lines(text, fd)
  return layout.wrap(shown.lines(text), terminal.columns(fd))
end

--- Writes lines for people.
---@param text string
function M.text(text)
  M.write(to_lines(text, terminal.OUTPUT))
end

-- The levels of lines in a journal (sd-daemon(3)).
local PRIORITIES <const> = { error = "<3>", warn = "<4>", info = "<6>",
  debug = "<7>" }

-- Returns what begins a line on standard error.
local function mark(level)
  return core.writes_to_journal() and PRIORITIES[level] or ""
end

--- Writes lines for people to standard error.
---@param text string
---@param level? kadenza.Level  "info" without it
function M.notice(text, level)
  local lines = to_lines(text, terminal.ERRORS)
    :gsub("[^\n]+", mark(level or "info") .. "%0")
  io.stderr:write(terminal.line_break(terminal.ERRORS), lines)
end

--- Writes a line of the log to standard error.
---@param line string
---@param level kadenza.Level
function M.log(line, level)
  io.stderr:write(terminal.line_break(terminal.ERRORS), mark(level), line,
    "\n")
end

--- Ends the program as a write does if the reader of standard output has ended.
function M.check_reader()
  if not core.has_reader(terminal.OUTPUT) then
    core.end_by_broken_pipe()
  end
end

--- Flushes standard output.
function M.flush()
  check_written(io.stdout:flush())
end

--- Marks a list as a JSON array, even if it is empty.
M.array = json.array

--- Writes a table as one line of JSON.
---@param document table
function M.json(document)
  M.write(json.encode(document, ORDER), "\n")
end

--- Sets `document[name]` to the bytes of a value, or `document[name .. "_hex"]`
--- if they are not UTF-8, which JSON requires.
---@param document table
---@param name string
---@param bytes? string
function M.set_bytes(document, name, bytes)
  if bytes and utf8.len(bytes) then
    document[name] = bytes
  elseif bytes then
    document[name .. "_hex"] = core.hex(bytes)
  end
end

return M
