--- The figures of a node: counters, histograms, and what its sockets could not
--- send. `kadenza.node` makes these functions methods of its nodes.

local check = require("kadenza.check")
local policy_stats = require("kadenza.policy.stats")

---@class kadenza.Node
local Node = {}

---@class kadenza.SendFailure
---@field count integer  datagrams that were not sent
---@field to string  receiver of the latest
---@field error string  why it was not sent, such as "network is unreachable"
---@field name string  the error's name, such as "ENETUNREACH"

--- How long one kind of work took, by how it ended.
---@class kadenza.Histogram
---@field subject "operation"|"reply"|"served"  operations of the node, from a
---  query of its own to the answer, from a store of another node to the reply
---@field kind string  of operations: "ping", "call", "join", "find_node",
---  "get", "get_item", "get_peers", "put", "put_item", "announce", "query",
---  "sample", "neighbours", "republish" or "refresh"; of replies: "ip4" or
---  "ip6"; of served stores: "store", "put" or "announce_peer"
---@field outcome "success"|"not_found"|"timeout"|"failed"
---@field counts integer[]  how many took less than 1, 2, 4 … 65,536 ms, and not
---  less than the bound before; the last: all longer ones
---@field seconds number  of all together

-- Shared; never changed.
local NONE <const> = {}

--- Returns the node's counters by name; `policies` has those of its policies,
--- if there are any: see `kadenza.policy.stats`.
---@return table<string, integer|table> stats
function Node:stats()
  check.open(self, 2)
  local stats = self.core:stats()
  for name, value in pairs(self.durable and self.durable:stats() or NONE) do
    stats[name] = value
  end
  stats.policies = policy_stats.of(self)
  return stats
end

--- Returns the histograms of the node. One that counts nothing is left out.
---@return kadenza.Histogram[] histograms
function Node:histograms()
  check.open(self, 2)
  return self.core:histograms()
end

--- How often the node has sent or received one kind of message.
---@class kadenza.Tally
---@field subject "query_sent"|"error_sent"|"error_received"
---@field kind string  the method of a query, or "custom"; the code of an error
---  as text, or "other"
---@field count integer

--- Returns how many queries of each method, and how many errors of each code,
--- the node has sent and received. `stats` has their sums.
---@return kadenza.Tally[] tallies
function Node:tallies()
  check.open(self, 2)
  return self.core:tallies()
end

--- Returns the latest datagram that the system refused to send, and the number
--- of all of them; `stats` counts them by their error.
---@return kadenza.SendFailure? failure  nil if there was none
function Node:send_failure()
  check.open(self, 2)
  return self.core:send_failure()
end

return Node
