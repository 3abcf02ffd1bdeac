--- kadenza tail: shows the datagrams of a node that runs, as they pass.
--- Tested by tests/spec/console/tail_spec.lua.

local attach = require("kadenza.cli.attach")
local config = require("kadenza.cli.config")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local output = require("kadenza.cli.output")
local shown = require("kadenza.shown")
local tail = require("kadenza.console.tail")

local M = {
  summary = "Show the datagrams of a node that runs.",
  description = "Prints a line for each datagram that the node receives (in), "
    .. "sends (out) or drops (drop, with the reason), until Ctrl-C. Filters "
    .. "choose some of them. Only --rate of them a second are shown: a line "
    .. "says how many were left out. What a sealed node receives and sends is "
    .. "shown as it is inside.",
  usage = "",
  example = "tail --drops --state var/node",
  settings = attach.SETTINGS,
}

local DIGITS <const> = 10 -- of ids

local OPTIONS <const> = {
  { name = "drops", kind = "switch", flag = "--drops",
    text = "Show only what is dropped; as --event drop." },
  { name = "event", kind = "choice", flag = "--event", argname = "EVENT",
    choices = { "in", "out", "drop" },
    text = "Show only what comes in, goes out, or is dropped." },
  { name = "kind", kind = "text", flag = "--kind", argname = "KIND",
    check = "type",
    text = "Show only this kind of message: query, reply, error or other; or a "
      .. "query by its name, such as find_node." },
  { name = "peer", kind = "text", flag = "--peer", argname = "ADDRESS",
    check = "peer",
    text = "Show only what this address sends or receives: an IP address, or "
      .. "IP:PORT." },
  { name = "reason", kind = "text", flag = "--reason", argname = "REASON",
    check = "type",
    text = "Show only drops for this reason, such as limited; the counters "
      .. "dropped_REASON of `status --json`." },
  { name = "rate", kind = "number", flag = "--rate", argname = "N", min = 1,
    max = tail.RATE.max, default = tail.RATE.default,
    text = "Show at most N a second." },
  { name = "count", kind = "number", flag = "--count", argname = "N", min = 1,
    max = math.maxinteger, text = "End after N." },
}

function M.arguments(command)
  return attach.arguments(command, OPTIONS)
end

local function short(name, id)
  return id and (" %s %s"):format(name, id:sub(1, DIGITS)) or ""
end

local function amount(name, count)
  return count and (" %s=%d"):format(name, count) or ""
end

--- Returns the line of an event.
---@param event table  of kadenza.console.tail
---@return string line
function M.line(event)
  local left_out = event.left_out
    and ("(%d left out)\n"):format(event.left_out) or ""
  local what = event.query and event.kind .. " " .. event.query or event.kind
  return left_out .. ("%s %-4s %-21s %s%s%s%s%s%s %d bytes\n"):format(
    os.date("!%H:%M:%S", event.time), event.event, event.peer,
    event.reason and "(" .. event.reason .. ") " or "", shown.line(what),
    event.error and " " .. shown.line(event.error) or "",
    short("target", event.target), amount("nodes", event.nodes),
    amount("values", event.values), event.size)
end

-- Shows events until there were enough, the reader ends or the user interrupts.
local function follow(client, request, count, settings)
  return client:follow("tail", request, function(event, raw)
    output.check_reader()
    if not event.event then
      return false -- it has begun
    elseif settings.json then
      output.write(raw, "\n")
    else
      output.write(M.line(event))
    end
    output.flush()
    count = count and count - 1
    return count == 0
  end)
end

function M.run(args, settings)
  local options = config.read_own(OPTIONS, args)
  local client <close> = attach.open(args, settings)
  core.catch_interrupt(true)
  local _, message, code = follow(client, { rate = options.rate,
    event = options.drops and "drop" or options.event, kind = options.kind,
    peer = options.peer, reason = options.reason }, options.count, settings)
  core.catch_interrupt(false)
  if message and code ~= "KAD_ECANCELED" then
    fault.failed(message, code)
  end
end

return M
