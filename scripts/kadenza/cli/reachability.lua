--- Whether others can reach the node of `kadenza run`: in its log.
--- Tested by tests/spec/cli/reachability_spec.lua.

local log = require("kadenza.log")
local sorted = require("kadenza.sorted")

local M = {}

-- The shortest time between two reports of a family.
local REPORT_SECONDS <const> = 60

local ADVICE <const> = "open its UDP port in the firewall, or forward it in "
  .. "the router"

-- Returns the line of the log for a change from one state to another, if it is
-- worth one.
local function describe(before, state)
  if state == "unreachable" then
    return "others cannot reach this node: it is read-only"
  elseif before == "unreachable" then
    return "others can reach this node again"
  end
end

local function report_family(family, info, reported, now)
  local is_too_soon = reported.at and now - reported.at < REPORT_SECONDS
  if info.state == reported.state or is_too_soon then
    return
  end
  local text = describe(reported.state, info.state)
  reported.state = info.state
  if text then
    local is_hidden = info.state == "unreachable"
    reported.at = now
    log.info(text, { family = family,
      nat = is_hidden and info.symmetric and "symmetric" or nil,
      advice = is_hidden and ADVICE or nil })
  end
end

--- Logs that others cannot reach the node any more, or can again, once a minute
--- at most.
---@param node kadenza.Node
---@param reported table<string, {state: string?, at: number?}>  is updated
---@param now number  seconds
function M.report(node, reported, now)
  local families = node:reachability()
  for _, family in ipairs(sorted(families)) do
    reported[family] = reported[family] or {}
    report_family(family, families[family], reported[family], now)
  end
end

--- Logs a line for each address family of the node.
---@param node kadenza.Node
function M.log(node)
  local families = node:reachability()
  for _, family in ipairs(sorted(families)) do
    local info = families[family]
    log.info("reachability", { family = family, state = info.state,
      read_only = info.read_only, symmetric = info.symmetric,
      idle = info.idle })
  end
end

return M
