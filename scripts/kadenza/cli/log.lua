--- kadenza log: shows or sets the level of the log of a node that runs.
--- Tested by tests/spec/cli/steering_spec.lua.

local attach = require("kadenza.cli.attach")
local output = require("kadenza.cli.output")

local M = {
  summary = "Show or set the log level of a node that runs.",
  description = "Sets the level of the log: error, warn, info, debug, off, or "
    .. "default, the level of the configuration. Holds until the node reloads "
    .. "its configuration or ends. Without LEVEL, prints the level.",
  usage = "[LEVEL]",
  example = "log debug --state var/node",
  settings = attach.SETTINGS,
}

function M.arguments(command)
  command:argument("level", "Level of the log."):args("?")
    :choices({ "error", "warn", "info", "debug", "off", "default" })
  return attach.arguments(command)
end

function M.run(args, settings)
  local client <close> = attach.open(args, settings)
  local result, raw =
    attach.need(client:request("log", { level = args.level }))
  if settings.json then
    return output.write(raw, "\n")
  end
  local is_other = result.level ~= result.configured
  output.text(("log level %s%s\n"):format(result.level, is_other
    and ("; %s in the configuration"):format(result.configured) or ""))
end

return M
