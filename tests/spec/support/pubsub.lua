--- Fixtures of the specs of pub/sub: an overlay with a hub, and subscriptions
--- by single queries.

local kad = require("kadenza")
local pubsub = require("kadenza.pubsub")
local support = require("tests.spec.support")

local M = {}

M.NEWS = kad.key("news")
M.COOKIE = "12345678"

--- Wraps a spec: calls `fn(hub, nodes, net)` as a task of an overlay whose
--- nodes run the policy of a hub.
---@param fn async fun(hub: table, nodes: kadenza.Node[], net: table)
---@param options? table  of kad.sim, and `hub`, the options of the hub
---@return fun()
function M.overlay(fn, options)
  return support.spec(function()
    local hub = pubsub.new(options and options.hub)
    local all = { nodes = 20, seed = 1, policies = { hub:policy() } }
    for name, value in pairs(options or {}) do
      all[name] = name ~= "hub" and value or nil
    end
    local net <close> = kad.sim(all)
    net:perform(function()
      fn(hub, net.nodes, net)
    end)
  end)
end

--- Returns a list, and a function that adds its argument.
---@return string[] list
---@return fun(value: string) add
function M.listener()
  local list = {}
  return list, function(value)
    list[#list + 1] = value
  end
end

--- Returns the sum of a counter of the hub over nodes.
---@param hub table
---@param nodes kadenza.Node[]
---@param name string
---@return integer sum
function M.sum(hub, nodes, name)
  local sum = 0
  for _, node in ipairs(nodes) do
    if node:is_open() then
      sum = sum + hub:stats(node)[name]
    end
  end
  return sum
end

--- Subscribes by two queries: for a token, and with it. Returns the results of
--- the second.
---@param node kadenza.Node  the subscriber
---@param to kadenza.Node
---@param topic string
---@param cookie? string
---@return table? reply
---@return any ...
function M.subscribe_by_hand(node, to, topic, cookie)
  local args = { topic = topic, cookie = cookie or M.COOKIE }
  local address = to:addresses()[1]
  args.token = assert(node:call(address, "event_subscribe", args)).token
  return node:call(address, "event_subscribe", args)
end

--- Returns the nodes, closest to a key first.
---@param nodes kadenza.Node[]
---@param key string
---@return kadenza.Node[] sorted
function M.by_distance(nodes, key)
  local sorted = { table.unpack(nodes) }
  table.sort(sorted, function(a, b)
    return kad.compare(key, a:id(), b:id()) < 0
  end)
  return sorted
end

return M
