--- kadenza lookup: finds the nodes closest to an id.
--- Tested by tests/spec/cli/commands_spec.lua.

local client = require("kadenza.cli.client")
local input = require("kadenza.cli.input")
local kad = require("kadenza")
local output = require("kadenza.cli.output")

local M = {
  summary = "Look up the nodes closest to an id.",
  description = "Prints the ids and addresses of the nodes closest to ID, the "
    .. "closest first.",
  usage = "ID",
  example = "lookup greeting --bootstrap 192.0.2.1:6881",
  settings = client.SETTINGS,
}

function M.arguments(command)
  command:argument("id", "An id in hexadecimal, or a name that is hashed.")
    :target("target")
end

function M.run(args, settings)
  local target = input.key(args.target, settings.id_bits)
  return client.join(settings, function(node)
    local contacts, info = client.need(node:find_node(target))
    local rows, lines = {}, {}
    for i, contact in ipairs(contacts) do
      rows[i] = { id = kad.hex(contact.id), address = contact.address }
      lines[i] = ("%s %s\n"):format(rows[i].id, contact.address)
    end
    return {
      contacts = output.array(rows),
      hops = info.hops,
      messages = info.messages,
    }, table.concat(lines)
  end)
end

return M
