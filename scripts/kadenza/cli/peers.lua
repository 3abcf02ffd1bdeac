--- kadenza peers: looks up the peers of an info hash (BEP 5).
--- Tested by tests/spec/cli/commands_spec.lua.

local client = require("kadenza.cli.client")
local config = require("kadenza.cli.config")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local output = require("kadenza.cli.output")
local schema = require("kadenza.cli.schema")

local M = {
  summary = "Look up the peers of an info hash.",
  description = "Prints the announced peers of INFOHASH (BEP 5), one a line.\n"
    .. "With --scrape, estimates how many seeds and other peers there are (BEP "
    .. "33): peers that share an IP address count once.",
  usage = "INFOHASH",
  settings = client.SETTINGS,
}

local OPTIONS <const> = {
  { name = "scrape", kind = "switch", flag = "--scrape",
    text = "Print the number of seeds and of other peers." },
  { name = "noseed", kind = "switch", flag = "--no-seeds",
    text = "Ask for peers that are no seeds." },
}

function M.arguments(command)
  command:argument("infohash", "40 hexadecimal digits.")
  return schema.add_options(command, OPTIONS)
end

-- Returns the lines that are printed.
local function text_of(peers, scrape)
  if not scrape then
    return table.concat(peers, "\n") .. "\n"
  end
  return ("%d seeds\n%d other peers\n"):format(scrape.seeds, scrape.peers)
end

function M.run(args, settings)
  local key = fault.checked("INFOHASH",
    input.id(args.infohash, settings.id_bits))
  return client.join(settings, function(node)
    local peers, info =
      client.need(node:get_peers(key, config.read_own(OPTIONS, args)))
    local scrape = info.scrape
    return {
      peers = output.array(peers),
      scrape = scrape and { seeds = scrape.seeds, peers = scrape.peers },
      hops = info.hops,
      messages = info.messages,
    }, text_of(peers, scrape)
  end)
end

return M
