--- kadenza announce: announces a peer of an info hash (BEP 5).
--- Tested by tests/spec/cli/commands_spec.lua.

local client = require("kadenza.cli.client")
local config = require("kadenza.cli.config")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local schema = require("kadenza.cli.schema")

local M = {
  summary = "Announce a peer of an info hash.",
  description = "Announces to the nodes closest to INFOHASH that this machine "
    .. "serves it on PORT (BEP 5). An announce expires after 45 minutes.",
  usage = "INFOHASH PORT",
  settings = client.SETTINGS,
}

local OPTIONS <const> = {
  schema.MIN_STORED,
  { name = "seed", kind = "switch", flag = "--seed",
    text = "Say that this peer has the whole torrent (BEP 33)." },
}

function M.arguments(command)
  command:argument("infohash", "40 hexadecimal digits.")
  command:argument("port", "Port of the peer, 1 to 65535.")
  return schema.add_options(command, OPTIONS)
end

function M.run(args, settings)
  local key = fault.checked("INFOHASH",
    input.id(args.infohash, settings.id_bits))
  local port = fault.checked("PORT", input.port(args.port))
  return client.join(settings, function(node)
    local info = client.need(node:announce(key, port,
      config.read_own(OPTIONS, args)))
    return {
      stored = info.stored,
      asked = info.asked,
      messages = info.messages,
      ttl = info.ttl,
    }, ("announced at %d of %d nodes\n"):format(info.stored, info.asked)
  end)
end

return M
