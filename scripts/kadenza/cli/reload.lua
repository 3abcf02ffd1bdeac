--- kadenza reload: makes a node that runs read its configuration again.
--- Tested by tests/spec/cli/steering_spec.lua.

local attach = require("kadenza.cli.attach")
local fault = require("kadenza.cli.fault")
local output = require("kadenza.cli.output")
local shown = require("kadenza.shown")

local M = {
  summary = "Reload the configuration of a node that runs.",
  description = "Makes a node read its configuration, its policies, the lists "
    .. "of addresses and the network keys again, as SIGHUP does, and tells "
    .. "what has changed. If there is a mistake, nothing changes, and the "
    .. "command says why and ends with status 1.",
  usage = "",
  example = "reload --state var/node",
  settings = attach.SETTINGS,
}

-- Seconds that policies may need to be loaded.
local SECONDS <const> = 60

function M.arguments(command)
  return attach.arguments(command)
end

local function describe(outcome)
  local lines = {}
  if outcome.changed[1] then
    lines[1] = "changed: " .. table.concat(outcome.changed, ", ")
  else
    lines[1] = "reloaded, no option has changed"
  end
  if outcome.needs_restart[1] then
    lines[#lines + 1] = "need a restart: "
      .. table.concat(outcome.needs_restart, ", ")
  end
  for _, problem in ipairs(outcome.problems) do
    lines[#lines + 1] = "not reloaded: " .. shown.line(problem)
  end
  return table.concat(lines, "\n") .. "\n"
end

function M.run(args, settings)
  local client <close> = attach.open(args, settings)
  local outcome, raw = attach.need(client:request("reload", nil, SECONDS))
  if not outcome.succeeded and not settings.json then
    fault.failed("not reloaded, nothing has changed: "
      .. table.concat(outcome.problems, "; "))
  elseif settings.json then
    output.write(raw, "\n")
  else
    output.text(describe(outcome))
  end
  if outcome.problems[1] then
    fault.finish(fault.FAILED)
  end
end

return M
