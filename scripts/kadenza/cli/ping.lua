--- kadenza ping: pings a node.
--- Tested by tests/spec/cli/commands_spec.lua.

local client = require("kadenza.cli.client")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local kad = require("kadenza")
local remote = require("kadenza.cli.remote")

local M = {
  summary = "Ping a node.",
  description = "Prints the id of the node at HOST:PORT and the round-trip "
    .. "time.",
  usage = "HOST:PORT",
  example = "ping 192.0.2.1:6881",
  settings = client.UNJOINED,
}

function M.arguments(command)
  command:argument("address", "Address of the node, such as 192.0.2.1:6881.")
end

function M.run(args, settings)
  local address = fault.checked("the address", input.remote(args.address))
  return client.without_joining(settings, address, function(node)
    local contact, info, code = node:ping(address)
    if not contact then
      info = remote.explain_query(node, address, info, code)
    end
    client.need(contact, info, code)
    local id = kad.hex(contact.id)
    local ms = math.floor(info.took * 1000 + 0.5)
    return { id = id, address = contact.address, took_ms = ms },
      ("%s %d ms\n"):format(id, ms)
  end)
end

return M
