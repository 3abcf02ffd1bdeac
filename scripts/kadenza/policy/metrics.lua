--- Metrics that policies declare and count, beside those of the node:
--
--     metrics = {
--       votes = { type = "counter", help = "Votes that were stored." },
--       open_polls = { type = "gauge", help = "Polls that are open." },
--     }
--     …
--     ctx.node:count("votes")
--     ctx.node:gauge("open_polls", 3)
--
-- A metric belongs to one policy, and its name is unique in a node. This module
-- runs in the state of the policies.
--
-- Tested by tests/spec/policy/metrics_spec.lua.

local check = require("kadenza.check")
local core = require("kadenza.core")
local suggest = require("kadenza.suggest")

local M = {}

--- Metrics of the policies of a node in all: each is a line that a monitor
--- stores.
M.MAX_METRICS = 256

-- A larger amount may be rounded.
local MAX_AMOUNT <const> = 1 << 53

---@class kadenza.Metric
---@field policy string
---@field name string
---@field type "counter"|"gauge"
---@field help string
---@field value number

---@class kadenza.Metrics
---@field private list kadenza.Metric[]
---@field private by_name table<string, kadenza.Metric>
local Metrics = {}
Metrics.__index = Metrics

--- Makes metrics, all 0.
---@param list kadenza.Metric[]  without values
---@return kadenza.Metrics metrics
function M.new(list)
  local self = setmetatable({ list = list, by_name = {} }, Metrics)
  for _, metric in ipairs(list) do
    metric.value = 0
    self.by_name[metric.name] = metric
  end
  return self
end

--- Returns all metrics as plain values.
---@return kadenza.Metric[] list
function Metrics:plain()
  return self.list
end

--- Takes over the values of metrics that an older version has counted, where
--- the policy, the name and the type are the same.
---@param list kadenza.Metric[]
function Metrics:restore(list)
  for _, before in ipairs(list) do
    local metric = self.by_name[before.name]
    if metric and metric.type == before.type
      and metric.policy == before.policy
    then
      metric.value = before.value
    end
  end
end

-- Raises at `level` that a node has no such metric of a kind.
local function refuse(by_name, name, level)
  local metric = by_name[name]
  if not metric then
    error(string.format("no metric '%s' is declared%s", tostring(name),
      suggest.hint(tostring(name), by_name)), level + 1)
  end
  error(string.format("the metric '%s' is a %s: call node:%s", name,
    metric.type, metric.type == "counter" and "count" or "gauge"), level + 1)
end

-- Returns the metric of a node. Policies may call this often.
local function metric_of(node, name, kind, level)
  local by_name = node.metrics and node.metrics.by_name or {}
  local metric = by_name[name]
  if not metric or metric.type ~= kind then
    refuse(by_name, name, level + 1)
  end
  return metric
end

--- Methods of nodes, for their policies.
---@class kadenza.Node
local Node = {}

M.methods = Node

--- Returns the metrics that the node's policies declare, with their values.
---@return kadenza.Metric[] metrics  in the order of the policies, by name
function Node:policy_metrics()
  check.open(self, 2)
  local handle = self.policy_handle
  local packed = handle and handle:ask("metrics", "")
  return packed and core.unpack_plain(packed) or {}
end

--- Adds to a counter that a policy of the node declares in its `metrics`.
---@param name string
---@param amount? number  from 0 to 2^53; default 1
function Node:count(name, amount)
  local metric = metric_of(self, name, "counter", 2)
  if amount == nil then
    metric.value = metric.value + 1
    return
  end
  check.number(amount, "amount", 2)
  if amount < 0 or amount > MAX_AMOUNT then
    error("amount must be a number from 0 to 2^53", 2)
  end
  metric.value = metric.value + amount
end

--- Sets a gauge that a policy of the node declares in its `metrics`.
---@param name string
---@param value number
function Node:gauge(name, value)
  local metric = metric_of(self, name, "gauge", 2)
  check.number(value, "value", 2)
  metric.value = value
end

return M
