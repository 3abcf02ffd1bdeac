-- Functions that several scenarios of bench/sim use.

local kad = require("kadenza")

local M = {}

-- Puts under way at once.
local WORKERS <const> = 16

--- Stores `count` values from random nodes.
---@async
---@param run kadenza.SimRun
---@param count integer
---@param given? kadenza.PutOptions
---@param nodes? kadenza.Node[]  that store; all nodes without it
function M.store(run, count, given, nodes)
  local workers, next_one = {}, 0
  for i = 1, WORKERS do
    workers[i] = kad.spawn(function()
      while next_one < count do
        next_one = next_one + 1
        local all = { node = nodes and nodes[run:random(#nodes)] }
        for name, value in pairs(given or {}) do
          all[name] = value
        end
        run:put(kad.key(("key %d"):format(next_one)),
          ("value %d"):format(next_one), all)
      end
    end)
  end
  kad.all(workers)
end

--- Looks up all holders of a random value every `seconds`, and records the
--- share of the k holders that was found: kind "found".
---@async
---@param run kadenza.SimRun
---@param seconds number
---@param k integer
function M.find_holders(run, seconds, k)
  while true do
    kad.sleep(seconds)
    local known = run.values[run:random(#run.values)]
    local node = run.net:draw_joined()
    local value, info, _, details =
      node:get(known.key, { all = true, quorum = k, type = known.type })
    local found = value ~= nil and info or details or {}
    run:record("found", { share = math.min((found.holders or 0) / k, 1) })
  end
end

--- Starts `count` gets of random values within `seconds`, and waits for them.
---@async
---@param run kadenza.SimRun
---@param count integer
---@param seconds number
---@param given? kadenza.GetOptions
function M.get_many(run, count, seconds, given)
  local gets = {}
  for i = 1, count do
    kad.sleep(seconds / count)
    gets[i] = kad.spawn(function()
      run:get(nil, given)
    end)
  end
  kad.all(gets)
end

--- Returns the share of gets that found the value stored last.
---@param gets table[]
---@return number? share
function M.right(gets)
  local right = 0
  for _, get in ipairs(gets) do
    right = right + (get.ok and get.correct ~= false and 1 or 0)
  end
  return #gets > 0 and right / #gets or nil
end

--- Returns the nodes that are not in a list.
---@param net kadenza.Sim
---@param list kadenza.Node[]
---@return kadenza.Node[] others
function M.others(net, list)
  local listed, others = {}, {}
  for _, node in ipairs(list) do
    listed[node] = true
  end
  for _, node in ipairs(net.nodes) do
    others[#others + 1] = not listed[node] and node or nil
  end
  return others
end

return M
