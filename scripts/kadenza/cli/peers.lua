--- kadenza peers: looks up the peers of an info hash (BEP 5).
--- Tested by tests/spec/cli/commands_spec.lua.

local client = require("kadenza.cli.client")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local output = require("kadenza.cli.output")

local M = {
  summary = "Look up the peers of an info hash.",
  description = "Prints the announced peers of INFOHASH (BEP 5), one a line.",
  usage = "INFOHASH",
  settings = client.SETTINGS,
}

function M.arguments(command)
  command:argument("infohash", "40 hexadecimal digits.")
end

function M.run(args, settings)
  local key = fault.checked("INFOHASH",
    input.id(args.infohash, settings.id_bits))
  return client.join(settings, function(node)
    local peers, info = client.need(node:get_peers(key))
    return {
      peers = output.array(peers),
      hops = info.hops,
      messages = info.messages,
    }, table.concat(peers, "\n") .. "\n"
  end)
end

return M
