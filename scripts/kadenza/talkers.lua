--- The hosts that send a node most.
--
--     talkers.count(node, true)
--     …
--     for _, talker in ipairs((talkers.top(node, 10))) do
--       print(talker.host, talker.datagrams)
--     end
--
-- A host is an IPv4 address, or the /64 of an IPv6 address. Counting is off at
-- first. Its table has a fixed size of some 8 KB: see core/kadenza_talkers.h.

local check = require("kadenza.check")

local M = {}

local MOST <const> = 128

--- What a host has sent lately. The numbers may be too low for a host that was
--- not always counted, and are never too high.
---@class kadenza.Talker
---@field host string  such as "192.0.2.1" or "2001:db8::/64"
---@field datagrams integer
---@field bytes integer
---@field dropped integer  datagrams of these that were dropped, for any reason

--- Begins to count what each host sends, or ends it and forgets the counts.
---@param node kadenza.Node
---@param on boolean
---@return true? counted
---@return string? message
---@return kadenza.Code? code
function M.count(node, on)
  check.open(node, 2)
  check.kind(on, "boolean", "on", 2)
  return node.core:count_talkers(on)
end

--- Returns the hosts that sent most datagrams in the last 5 to 10 minutes, or
--- since `count`; an empty list while nothing is counted.
---@param node kadenza.Node
---@param most integer  1 … 128
---@return kadenza.Talker[] talkers  most datagrams first
---@return number seconds  that the numbers cover
function M.top(node, most)
  check.open(node, 2)
  if math.type(most) ~= "integer" or most < 1 or most > MOST then
    error(("most must be an integer from 1 to %d"):format(MOST), 2)
  end
  return node.core:talkers(most)
end

return M
