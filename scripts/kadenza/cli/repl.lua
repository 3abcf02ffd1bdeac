--- kadenza repl: a Lua prompt in a node that runs.

local attach = require("kadenza.cli.attach")
local config = require("kadenza.cli.config")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local history = require("kadenza.cli.history")
local host = require("kadenza.host")
local kad = require("kadenza")
local output = require("kadenza.cli.output")
local terminal = require("kadenza.cli.terminal")

local M = {
  summary = "Type Lua in a node that runs.",
  description = "Reads expressions and statements, runs them in the node, in "
    .. "the Lua state of its policies, and prints what they return. There are "
    .. "`node`, `kad`, `policies` and `stats()`. What is typed has the budgets "
    .. "of a policy, and cannot stop the node.\n\nOn a terminal, lines can be "
    .. "edited, Tab completes names, and the history is kept. Input that is "
    .. "no terminal is run line by line; the status is 1 if some of it failed.",
  usage = "--attach",
  example = "repl --attach --state var/node",
  settings = attach.SETTINGS,
}

local PROMPT <const>, MORE <const> = "> ", ">> "

-- Seconds that the node has for what is typed: it may wait for 30.
local SECONDS <const> = 60

local INPUT <const> = 0 -- standard input

local OPTIONS <const> = {
  { name = "attach", kind = "switch", flag = "--attach",
    text = "Attach to a node that runs; needed." },
}

function M.arguments(command)
  return attach.arguments(command, OPTIONS)
end

--- Tells whether a text is the beginning of a statement that goes on.
---@param text string
---@return boolean
function M.is_incomplete(text)
  if load("return " .. text, "=", "t") then
    return false
  end
  local chunk, problem = load(text, "=", "t")
  return not chunk and problem:find("<eof>$") ~= nil
end

---@class kadenza.cli.Repl
---@field connect fun(): kadenza.ConsoleClient
---@field client? kadenza.ConsoleClient
---@field is_interactive boolean
---@field has_failed boolean
local Repl = {}
Repl.__index = Repl

-- Returns the result of a request; a new connection replaces one that has
-- ended, such as with a node that was restarted.
local function request(self, command, parameters)
  self.client = self.client or self.connect()
  local result, message, code =
    self.client:request(command, parameters, SECONDS)
  if result == nil then
    self.client:close()
    self.client = nil
  end
  return result, message, code
end

-- Returns the bytes of a text.
local function text_of(result)
  return result.text_hex and kad.unhex(result.text_hex) or result.text
end

-- Runs a text in the node, and prints what it returns.
local function evaluate(self, text)
  core.catch_interrupt(true)
  local result, message, code = request(self, "evaluate", { text = text })
  core.catch_interrupt(false)
  if code == "KAD_ECANCELED" then
    output.notice("interrupted\n")
    self.has_failed = true
    return
  end
  if result == nil and self.is_interactive then
    output.notice("kadenza: " .. fault.line(message) .. "\n")
    return
  end
  attach.need(result, message, code)
  local shown = text_of(result)
  if shown ~= "" and shown:sub(-1) ~= "\n" then
    shown = shown .. "\n"
  end
  if result.succeeded then
    output.text(shown)
    output.flush()
  else
    self.has_failed = true
    output.notice(shown)
  end
end

-- Reads a statement of one or more lines by `read(prompt)`, which returns a
-- line, nil at the end, or false if the user gave the statement up. Returns the
-- text, and whether the input has ended.
local function read_statement(read)
  local line, text = read(PROMPT), nil
  while line do
    text = text and text .. "\n" .. line or line
    if not M.is_incomplete(text) then
      return text, false
    end
    line = read(MORE)
  end
  return line == nil and text or "", line == nil
end

-- Reads statements and runs them. One that is not complete at the end is run,
-- too: its error says what is missing.
local function loop(self, read, keep)
  repeat
    local text, has_ended = read_statement(read)
    if text:find("%S") then
      keep(text)
      evaluate(self, text)
    end
  until has_ended
end

-- Returns words for the end of a text; none if the node cannot tell.
local function complete(self, text)
  local found, result = pcall(request, self, "complete", { text = text })
  if not found or not result then
    return nil
  end
  return result.words, result.start
end

local function read_plain()
  local line, message = io.stdin:read("L")
  if not line and message then
    fault.failed("standard input: read: " .. message, "KAD_ESYSTEM")
  end
  return line and (line:gsub("\n$", ""))
end

-- Reads lines from a terminal without a line editor.
local function read_prompted(prompt)
  io.stdout:write(prompt)
  output.flush()
  local line = read_plain()
  if not line then
    io.stdout:write("\n")
  end
  return line
end

local function greet(self)
  local status = attach.need(request(self, "status"))
  output.notice(("%s, node %s…, %s: Tab completes, Ctrl-D ends.\n"):format(
    kad._VERSION, status.id:sub(1, 10), status.state))
end

-- Reads lines with the line editor.
local function run_edited(self, line_editor)
  local editor <close> = assert(line_editor.open(function(text)
    return complete(self, text)
  end))
  local kept = history.open()
  for _, line in ipairs(kept.lines) do
    editor:add(line)
  end
  local _ <close> = setmetatable({}, { __close = function()
    kept:save()
  end })
  loop(self, function(prompt)
    local line = editor:read(prompt)
    if line == nil then
      io.stdout:write("\n")
    end
    return line
  end, function(text)
    for line in text:gmatch("[^\n]+") do
      editor:add(line)
      kept:add(line)
    end
  end)
end

local function run(self)
  local function ignore() end
  if not self.is_interactive then
    return loop(self, read_plain, ignore)
  end
  greet(self)
  local has_editor, line_editor = pcall(require, "kadenza.line_editor")
  if has_editor and terminal.can_redraw(terminal.OUTPUT) then
    return run_edited(self, line_editor)
  end
  loop(self, read_prompted, ignore)
end

function M.run(args, settings)
  if not config.read_own(OPTIONS, args).attach then
    fault.usage("kadenza repl", "--attach is needed: the prompt is that of a "
      .. "node that runs")
  end
  local self = setmetatable({ has_failed = false,
    is_interactive = host.is_terminal(INPUT), connect = function()
      return attach.open(args, settings)
    end }, Repl)
  run(self)
  if self.client then
    self.client:close()
  end
  if self.has_failed and not self.is_interactive then
    fault.finish(fault.FAILED)
  end
end

return M
