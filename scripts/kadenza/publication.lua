--- Publications: the records that a node keeps alive, and their files in the
--- state folder. `kadenza.node` makes `M.methods` methods of its nodes.

local check = require("kadenza.check")
local clock = require("kadenza.clock")
local defaults = require("kadenza.node_options").DEFAULTS
local errors = require("kadenza.errors")
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

-- Time between a change and the flush of the journal that has it.
local FLUSH_MS <const> = 1000

-- A wall clock that gains or loses so many seconds was set.
local CLOCK_SET_SECONDS <const> = 30

-- Saved records of which a warning is logged when they cannot be published.
local MAX_WARNINGS <const> = 10

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

-- Returns what cannot be published but stays saved, with the rest of its life.
local function unaccepted_records(node)
  local records, now = {}, node:network():now()
  for _, item in ipairs(node.unaccepted or {}) do
    local left = item.ends and (item.ends - now) // 1 | 0
    if not left or left > 0 then
      item.record.ttl = left
      records[#records + 1] = item.record
    end
  end
  return records
end

-- Tells whether the file of the publications is out of date: they have changed,
-- or the wall clock was set.
local function is_due(saved, changes, lead)
  return saved.is_incomplete or changes ~= (saved.changes or 0)
    or math.abs(lead - (saved.lead or lead)) >= CLOCK_SET_SECONDS
end

--- Saves the publications of a node to its state folder, if that is needed.
---@param node kadenza.Node
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function M.save(node)
  local saved = node.saved
  local changes = node.core:stats().publication_changes
  local lead = clock.lead(saved.clock())
  if not is_due(saved, changes, lead) then
    return true
  end
  local records = node.core:publications()
  local more = unaccepted_records(node)
  table.move(more, 1, #more, #records + 1, records)
  local done, message, code = saved:save_publications(records)
  if done then
    saved.changes, saved.lead = changes, lead
  end
  return done, message, code
end

-- Codes of records that another configuration of the node can publish.
local NOT_NOW <const> = { KAD_ETYPE = true, KAD_EFULL = true,
  KAD_ETOOBIG = true, KAD_ENOMEM = true }

-- Keeps a record in the file that the node does not publish.
local function keep_unaccepted(node, record, message)
  node.unaccepted = node.unaccepted or {}
  local ends = record.ttl and node:network():now() + record.ttl
  table.insert(node.unaccepted, { record = record, ends = ends })
  if #node.unaccepted <= MAX_WARNINGS then
    log.warn("a saved record cannot be published", { key = hex(record.key),
      type = record.type, error = message })
  end
end

-- Publishes a saved record. Returns whether it is valid, and what is wrong.
local function restore_record(node, record, within)
  -- The core raises mistakes in fields, which here are those of a file.
  local called, published, message, code =
    pcall(node.core.publish, node.core, record, within)
  if not called then
    return false, errors.text_of(published)
  elseif not published and not NOT_NOW[code] then
    return false, message
  elseif not published then
    keep_unaccepted(node, record, message)
  end
  return true
end

--- Publishes the records in the state folder of a node again. Their stores are
--- spread over a time that takes half of the node's `stores_per_s`. A record
--- that the node rejects, because its policies lack the type, stays in the
--- file; one that no node accepts is set aside.
---@param node kadenza.Node
---@param config table  of the core
function M.restore(node, config)
  local records = node.saved:take_publications()
  local rate = math.max(config.stores_per_s or defaults.stores_per_s, 1)
  local stores = #records * (config.k or defaults.k)
  local within = math.min(MIN_WITHIN + 2 * stores // rate, MAX_WITHIN)
  local rejected = { count = 0 }
  for _, record in ipairs(records) do
    local is_valid, problem = restore_record(node, record, within)
    if not is_valid then
      rejected.count = rejected.count + 1
      rejected.error = rejected.error or problem
    end
  end
  local more = #(node.unaccepted or {}) - MAX_WARNINGS
  if more > 0 then
    log.warn("further saved records cannot be published", { count = more })
  end
  node.saved:keep_invalid(rejected, #records - rejected.count)
  node.saved.lead = records[1] and clock.lead(node.saved.clock())
end

-- Does what follows a change, some time after it: saves all publications if the
-- journal could not be written or is long, else flushes it.
local function follow(node, save)
  node.change_timer = nil
  local saved = node.saved
  if not node.core:is_open() or not saved then
    return
  elseif node.must_save or saved:has_long_journal() then
    node.must_save = nil
    save(node)
    return
  end
  local flushed, message = saved:flush_journal()
  if not flushed then
    log.error("the state could not be saved", { error = message })
    saved.is_incomplete = true
  end
end

--- Notes each change of the publications of a node in its state folder, before
--- the program is told that it has changed.
---@param node kadenza.Node
---@param save fun(node: kadenza.Node)  saves the state
function M.watch(node, save)
  node.core:watch_publications(function(record, is_published)
    local saved = node.saved
    if not saved then
      return
    end
    if not saved:note_change(record, is_published) then
      saved.is_incomplete, node.must_save = true, true
    end
    node.change_timer = node.change_timer
      or node.net:start_timer(FLUSH_MS, function()
        follow(node, save)
      end)
  end)
end

--- Publishes the saved records that the node has rejected, if its new policies
--- accept them.
---@param node kadenza.Node
function M.retry(node)
  local records = unaccepted_records(node)
  node.unaccepted = nil
  for _, record in ipairs(records) do
    local is_valid, problem = restore_record(node, record, MIN_WITHIN)
    if not is_valid then
      keep_unaccepted(node, record, problem)
    end
  end
end

return M
