--- kadenza lookup: the contacts closest to an id.

local common = require("kadenza.cli.common")
local kad = require("kadenza")

local M = { summary = "Look up the contacts closest to an id." }

function M.options(command)
  common.node_options(command)
  command:argument("target", "An id in hexadecimal, or a name that is hashed.")
end

function M.run(args)
  return common.one_shot(args, function(node)
    local target = common.key(args.target, node:id_bits())
    local contacts, info = node:find_node(target)
    if not contacts then
      return common.failed(info)
    end
    local lines = {}
    for i, contact in ipairs(contacts) do
      lines[i] = { id = kad.hex(contact.id), address = contact.address }
    end
    if args.json then
      common.print_json({ contacts = lines, hops = info.hops,
        messages = info.messages })
    else
      for _, line in ipairs(lines) do
        io.stdout:write(line.id, " ", line.address, "\n")
      end
    end
    return 0
  end)
end

return M
