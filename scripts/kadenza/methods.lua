--- The names of queries that are not free for policies.

local M = {}

--- What the node asks and answers itself.
---@type table<string, boolean>
M.CORE = {
  ping = true,
  find_node = true,
  get_peers = true,
  announce_peer = true,
  find_value = true,
  store = true,
}

--- What has a meaning in BitTorrent's DHT that the node may take up, and where
--- that is said. Nodes may be asked these, but no policy can answer them.
---@type table<string, string>
M.RESERVED = {
  get = "BEP 44",
  put = "BEP 44",
  sample_infohashes = "BEP 51",
  vote = "other programs",
}

return M
