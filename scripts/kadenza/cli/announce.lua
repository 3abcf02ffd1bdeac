--- kadenza announce: announces a peer of an info hash (BEP 5).

local common = require("kadenza.cli.common")

local M = { summary = "Announce a peer." }

function M.options(command)
  common.node_options(command)
  command:argument("infohash", "40 hexadecimal digits.")
  command:argument("port", "Port of the peer."):convert(tonumber)
end

function M.run(args)
  return common.one_shot(args, function(node)
    local key = common.key(args.infohash, node:id_bits())
    local info, message = node:announce(key, args.port)
    if not info then
      return common.failed(message)
    end
    if args.json then
      common.print_json({ stored = info.stored, asked = info.asked })
    else
      io.stdout:write("announced at ", info.stored, " of ", info.asked,
        " nodes\n")
    end
    return 0
  end)
end

return M
