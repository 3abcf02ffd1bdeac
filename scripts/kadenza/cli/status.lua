--- kadenza status: shows the state of a node that runs.

local attach = require("kadenza.cli.attach")
local config = require("kadenza.cli.config")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local output = require("kadenza.cli.output")
local screen = require("kadenza.cli.status_screen")
local terminal = require("kadenza.cli.terminal")

local M = {
  summary = "Show the state of a node that runs.",
  description = "Prints one screen: the state of the node, its contacts by "
    .. "bucket, its records by type, rates over the last minute and the last "
    .. "15 minutes, its hooks, the last reload. The node is that of --console "
    .. "or --state, or the only one that this user runs.\n\nWith --watch the "
    .. "screen is drawn again at intervals, until Ctrl-C; where it cannot be "
    .. "drawn in its place, such as in a file, one follows the other. With "
    .. "--json each is a document on one line, with all counters.",
  usage = "",
  example = "status --state var/node",
  settings = attach.SETTINGS,
}

local HOME <const>, CLEAR <const> = "\27[H", "\27[2J"
local CLEAR_LINE <const>, CLEAR_BELOW <const> = "\27[K", "\27[J"

local OPTIONS <const> = {
  { name = "watch", kind = "switch", flag = "--watch",
    text = "Show it again and again, until Ctrl-C." },
  { name = "interval", kind = "number", flag = "--interval", min = 1,
    max = 86400, default = 2, argname = "SECONDS",
    text = "Time between two screens of --watch." },
}

function M.arguments(command)
  return attach.arguments(command, OPTIONS)
end

-- Draws a text over the one before. Lines that do not fit are left out: they
-- would scroll.
local function draw(text, is_first)
  local rows = core.terminal_rows(terminal.OUTPUT) or math.huge
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do
    if #lines < rows - 1 then
      lines[#lines + 1] = line .. CLEAR_LINE
    end
  end
  output.write((is_first and CLEAR or "") .. HOME
    .. table.concat(lines, "\n") .. "\n" .. CLEAR_BELOW)
end

-- Writes one status. `before` tells whether there was one.
local function show(status, raw, settings, before)
  if settings.json then
    return output.write(raw, "\n")
  end
  local text = screen.text(status, terminal.columns(terminal.OUTPUT))
  if before ~= nil and terminal.can_redraw(terminal.OUTPUT) then
    draw(text, not before)
  else
    output.write(before and "\n" or "", text)
  end
end

-- Shows the status until the user interrupts it, or the reader has ended.
local function watch(client, settings, interval)
  local is_first = true
  core.catch_interrupt(true)
  local _ <close> = setmetatable({}, { __close = function()
    core.catch_interrupt(false)
  end })
  while true do
    local status, raw, code = client:request("status")
    if code == "KAD_ECANCELED" then
      return
    end
    attach.need(status, raw, code)
    output.check_reader()
    show(status, raw, settings, not is_first)
    output.flush()
    is_first = false
    local is_open, interrupted = client:pause(interval)
    if interrupted then
      return
    elseif not is_open then
      fault.failed("the node has ended", "KAD_ECLOSED")
    end
  end
end

function M.run(args, settings)
  local options = config.read_own(OPTIONS, args)
  local client <close> = attach.open(args, settings)
  if options.watch then
    return watch(client, settings, options.interval)
  end
  local status, raw = attach.need(client:request("status"))
  show(status, raw, settings)
end

return M
