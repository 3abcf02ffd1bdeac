--- kadenza put: stores a value in the overlay.

local common = require("kadenza.cli.common")

local M = { summary = "Store a value." }

function M.options(command)
  common.node_options(command)
  command:argument("key", "An id in hexadecimal, or a name that is hashed.")
  command:argument("value", "The value, at most 1000 bytes.")
  command:option("--type", "Record type."):argname("T"):default("value")
end

function M.run(args)
  return common.one_shot(args, function(node)
    local key = common.key(args.key, node:id_bits())
    local info, message = node:put(key, args.value, { type = args.type })
    if not info then
      return common.failed(message)
    end
    if args.json then
      common.print_json({ stored = info.stored, asked = info.asked })
    else
      io.stdout:write("stored at ", info.stored, " of ", info.asked,
        " nodes\n")
    end
    return 0
  end)
end

return M
