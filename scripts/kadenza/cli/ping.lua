--- kadenza ping: asks one node whether it is there.

local common = require("kadenza.cli.common")
local kad = require("kadenza")

local M = { summary = "Ping a node." }

function M.options(command)
  common.node_options(command)
  command:argument("address", "HOST:PORT of the node.")
end

function M.run(args)
  args.bootstrap = {}
  return common.alone(args, function(node)
    local contact, info = node:ping(args.address)
    if not contact then
      return common.failed(info)
    end
    local ms = math.floor(info.took * 1000 + 0.5)
    if args.json then
      common.print_json({ id = kad.hex(contact.id), ms = ms })
    else
      io.stdout:write(kad.hex(contact.id), " ", ms, " ms\n")
    end
    return 0
  end)
end

return M
