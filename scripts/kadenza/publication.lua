--- Publications: the records that a node keeps alive, and their file in the
--- state folder. `kadenza.node` makes `M.methods` methods of its nodes.

local check = require("kadenza.check")
local defaults = require("kadenza.node_options").DEFAULTS
local hex = require("kadenza.key").hex
local log = require("kadenza.log")

local M = {}

---@class kadenza.Node
local Node = {}

local UNPUBLISH <const> = {
  type = { kind = "string", default = "value" },
  value = "string",
}

-- Seconds within which saved records are stored again, at least and at most.
local MIN_WITHIN <const>, MAX_WITHIN <const> = 30, 1800

--- Returns the records that the node publishes, see node:publish. `ttl` is the
--- rest of a record's life; nil: without end.
---@return kadenza.Record[] records  tables
function Node:publications()
  check.open(self, 2)
  return self.core:publications()
end

--- Stops publishing the records of a type under a key, or the one with this
--- `value`. The nodes that hold them drop them when they expire.
---@param key string
---@param options? { type?: string, value?: string }  type: "value" without one
---@return true? unpublished
---@return string? message
---@return kadenza.Code? code
function Node:unpublish(key, options)
  check.open(self, 2)
  check.id(self, key, "key", 2)
  options = check.with_defaults(options, 2, UNPUBLISH)
  return self.core:unpublish(key, options.type, options.value)
end

M.methods = Node

--- Saves the publications of a node to its state folder, if they have changed.
---@param node kadenza.Node
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function M.save(node)
  local changes = node.core:stats().publication_changes
  if changes == (node.saved_changes or 0) then
    return true
  end
  local state = require("kadenza.state")
  local saved, message, code = state.save_publications(node.folder,
    node.core:publications(), node.unaccepted or {}, node:network():time())
  if saved then
    node.saved_changes = changes
  end
  return saved, message, code
end

--- Publishes the records in the state folder of a node again. Their stores are
--- spread over a time that takes half of the node's `stores_per_s`. A record
--- that the node rejects, because its policies lack the type, stays in the
--- file.
---@param node kadenza.Node
---@param config table  of the core
function M.restore(node, config)
  local records = require("kadenza.state").load_publications(node.folder,
    node:network():time())
  local rate = math.max(config.stores_per_s or defaults.stores_per_s, 1)
  local stores = #records * (config.k or defaults.k)
  local within = math.min(MIN_WITHIN + 2 * stores // rate, MAX_WITHIN)
  for _, record in ipairs(records) do
    local published, message = node.core:publish(record, within)
    if not published then
      node.unaccepted = node.unaccepted or {}
      table.insert(node.unaccepted, record)
      log.warn("a saved record cannot be published", { key = hex(record.key),
        type = record.type, error = message })
    end
  end
end

return M
