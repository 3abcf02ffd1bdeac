--- kadenza peers: the peers of an info hash (BEP 5).

local common = require("kadenza.cli.common")

local M = { summary = "Look up peers." }

function M.options(command)
  common.node_options(command)
  command:argument("infohash", "40 hexadecimal digits.")
end

function M.run(args)
  return common.one_shot(args, function(node)
    local key = common.key(args.infohash, node:id_bits())
    local peers, message = node:get_peers(key)
    if not peers then
      return common.failed(message)
    end
    if args.json then
      common.print_json({ peers = peers })
    else
      io.stdout:write(table.concat(peers, "\n"), "\n")
    end
    return 0
  end)
end

return M
