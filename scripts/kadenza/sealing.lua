--- The network keys of a sealed node. `kadenza.node` makes these functions
--- methods of its nodes.
--- Tested by tests/spec/network_key_spec.lua.

local check = require("kadenza.check")
local network_key = require("kadenza.network_key")

---@class kadenza.Node
local Node = {}

--- Replaces the network keys of a sealed node. The first one seals what is sent
--- from now on; each opens what others have sealed.
---@param keys string|kadenza.NetworkKey|table  one or two, like the option
---  `network_key`
---@return true? replaced
---@return string? message
---@return kadenza.Code? code
function Node:set_network_key(keys)
  check.open(self, 2)
  if not self.core.set_network_keys then
    error("a policy cannot change the keys of its node", 2)
  end
  local list = network_key.list(keys)
  if not list then
    error("keys must be a network key, or a list of one or two", 2)
  elseif not self.core:is_sealed() then
    error("this node is not sealed: it needs the option network_key", 2)
  end
  self.config.network_keys = list
  return self.core:set_network_keys(list)
end

---@class kadenza.SealNotice
---@field problem "key"|"clock"  no key of the node opens what it sends; or its
---  clock differs by more than 300 seconds, or it replays
---@field address string  "ip:port", which may be forged
---@field ahead integer  seconds that its clock is ahead of ours

--- Returns the senders whose datagrams a sealed node has dropped: one of each
--- subnet, at most 16 for each problem, until the keys change.
---@param after? integer  only those after this number of an earlier call
---@return kadenza.SealNotice[] notices
---@return integer last  the number for the next call
function Node:seal_notices(after)
  check.open(self, 2)
  if not self.core.next_seal_notice then
    error("a policy has no notices of its node", 2)
  end
  if after ~= nil and (math.type(after) ~= "integer" or after < 0) then
    error("after must be an integer from 0", 2)
  end
  local notices, last = {}, after or 0
  while true do
    local cursor, problem, address, ahead = self.core:next_seal_notice(last)
    if not cursor then
      return notices, last
    end
    last = cursor
    notices[#notices + 1] =
      { problem = problem, address = address, ahead = ahead }
  end
end

return Node
