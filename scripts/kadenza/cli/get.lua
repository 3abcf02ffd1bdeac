--- kadenza get: one value of the overlay.

local common = require("kadenza.cli.common")

local M = { summary = "Look up a value." }

function M.options(command)
  common.node_options(command)
  command:argument("key", "An id in hexadecimal, or a name that is hashed.")
  command:option("--type", "Record type."):argname("T"):default("value")
end

function M.run(args)
  return common.one_shot(args, function(node)
    local key = common.key(args.key, node:id_bits())
    local value, info = node:get(key, { type = args.type })
    if not value then
      return common.failed(info)
    end
    if args.json then
      common.print_json({ value = value, seq = info.seq, ttl = info.ttl })
    else
      io.stdout:write(value, "\n")
    end
    return 0
  end)
end

return M
