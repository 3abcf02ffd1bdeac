--- Makes the page of the Lua reference from the annotations of the library, and
--- from the core's table of the options of a node.

local annotations = require("docs.generate.annotations")
local core = require("kadenza.core")
local node_options = require("kadenza.node_options")

local M = {}

-- Methods that only other parts of a simulation use.
local SIM_PARTS <const> = {}
for name in ([[fresh_address place_of take_out open_at let_join join_all
  await_joins in_task remember open_again join_again draw_joined put_on_side
  inherit_hostility draw_nat]]):gmatch("%g+") do
  SIM_PARTS[name] = true
end

-- The sections of the page, in order: functions of modules (`title`), classes
-- with their methods or fields, and values of aliases. `from` names the
-- modules, `prefix` is written before names, `head` adds the comment at the
-- head of the first module, and `core` the options of the core.
local SECTIONS <const> = {
  { title = "kad", from = { "init", "safe" }, prefix = "kad.", head = true },
  { class = "kadenza.Node", from = { "node", "joining", "contact_query",
    "lookups", "storing", "items", "publication", "sealing", "figures",
    "held", "policy/console", "policy/metrics", "policy/serving" },
    prefix = "node:" },
  { class = "kadenza.Task", from = { "task" }, prefix = "task:",
    hidden = { abandon = true } },
  { class = "kadenza.Sim", from = { "sim", "sim/population", "sim/faults",
    "sim/churn", "sim/hostility", "sim/nat", "sim/schedule", "sim/trace" },
    prefix = "net:", head = true, hidden = SIM_PARTS },
  { title = "kadenza.sim.scenario", from = { "sim/scenario" },
    prefix = "scenario.", head = true, hidden = { check = true } },
  { class = "kadenza.SimRun", from = { "sim/run" }, prefix = "run:" },
  { class = "kadenza.Scenario", from = { "sim/scenario" } },
  { class = "kadenza.Step", from = { "sim/scenario" } },
  { class = "kadenza.Workload", from = { "sim/run" } },
  { class = "kadenza.RunOptions", from = { "sim/scenario" } },
  { title = "kadenza.testing", from = { "testing" }, prefix = "testing.",
    head = true },
  { class = "kadenza.testing.Policy", from = { "testing.policy" },
    prefix = "policy:" },
  { class = "kadenza.testing.HookResult", from = { "testing.policy" } },
  { class = "kadenza.testing.Overlay", from = { "testing.overlay" },
    prefix = "overlay:" },
  { class = "kadenza.testing.Holder", from = { "testing.overlay" } },
  { class = "kadenza.testing.RecordFields", from = { "testing.literals" } },
  { class = "kadenza.testing.ContextFields", from = { "testing.literals" } },
  { title = "kad.box", from = { "box" }, prefix = "kad.box.", head = true },
  { title = "kad.log", from = { "log" }, prefix = "kad.log.", head = true },
  { title = "kad.loop", from = { "loop" }, prefix = "kad.loop.", head = true },
  { title = "kadenza.blob", from = { "blob" }, prefix = "blob.", head = true },
  { class = "kadenza.blob.Reader", from = { "blob/reader" },
    prefix = "reader:" },
  { title = "kadenza.crdt", from = { "crdt" }, prefix = "crdt.", head = true },
  { title = "kadenza.crdt.kind", from = { "crdt/kind" }, prefix = "kind.",
    head = true },
  { class = "kadenza.crdt.Kind", from = { "crdt/kind" } },
  { class = "kadenza.crdt.Definition", from = { "crdt/kind" } },
  { class = "kadenza.crdt.Replica", from = { "crdt/kind" },
    prefix = "replica:" },
  { class = "kadenza.Store", from = { "store" } },
  { class = "kadenza.StoredRecord", from = { "store" } },
  { class = "kadenza.StoredTimes", from = { "store" } },
  { title = "kadenza.store.conformance", from = { "store/conformance" },
    prefix = "conformance.", head = true },
  { class = "kadenza.StoreFactory", from = { "store/conformance" } },
  { class = "kadenza.StoreCase", from = { "store/conformance" } },
  { title = "kadenza.crawl", from = { "crawl" }, prefix = "crawl.",
    head = true },
  { class = "kadenza.Crawl", from = { "crawl" }, prefix = "walk:" },
  { class = "kadenza.CrawlOptions", from = { "crawl" } },
  { class = "kadenza.CrawlReport", from = { "crawl" } },
  { class = "kadenza.CrawlSummary", from = { "crawl" } },
  { title = "kadenza.lease", from = { "lease" }, prefix = "lease.",
    head = true },
  { class = "kadenza.Lease", from = { "lease" }, prefix = "lease:",
    hidden = { __close = true } },
  { title = "kadenza.limit", from = { "limit" }, prefix = "limit.",
    head = true },
  { class = "kadenza.Limit", from = { "limit" }, prefix = "limiter:" },
  { title = "kadenza.signed", from = { "signed" }, prefix = "signed.",
    head = true },
  { title = "kadenza.network_key", from = { "network_key" },
    prefix = "network_key.", head = true, hidden = { list = true } },
  { class = "kadenza.NetworkKey", from = { "network_key" }, prefix = "key:" },
  { class = "kadenza.SealNotice", from = { "sealing" } },
  { class = "kadenza.Histogram", from = { "figures" } },
  { class = "kadenza.Tally", from = { "figures" } },
  { title = "kadenza.rates", from = { "rates" }, prefix = "rates.",
    head = true },
  { title = "kadenza.metrics", from = { "metrics" }, prefix = "metrics.",
    head = true },
  { class = "kadenza.Metrics", from = { "metrics" }, prefix = "metrics:" },
  { class = "kadenza.Rates", from = { "rates" }, prefix = "figures:" },
  { title = "kadenza.pubsub", from = { "pubsub" }, prefix = "pubsub.",
    head = true },
  { class = "kadenza.pubsub.Hub", from = { "pubsub" }, prefix = "hub:" },
  { class = "kadenza.pubsub.Subscription", from = { "pubsub/feed" },
    prefix = "subscription:" },
  { class = "kadenza.core.Network", from = { "loop" } },
  { class = "kadenza.NodeOptions", from = { "node_options" }, core = true },
  { class = "kadenza.LookupOptions", from = { "lookup_options" } },
  { class = "kadenza.GetOptions", from = { "lookup_options" } },
  { class = "kadenza.PutOptions", from = { "lookup_options" } },
  { class = "kadenza.QueryOptions", from = { "lookup_options" } },
  { class = "kadenza.PeersOptions", from = { "lookup_options" } },
  { class = "kadenza.AnnounceOptions", from = { "lookup_options" } },
  { class = "kadenza.ItemOptions", from = { "items" } },
  { class = "kadenza.MutableOptions", from = { "items" } },
  { class = "kadenza.GetImmutableOptions", from = { "items" } },
  { class = "kadenza.GetMutableOptions", from = { "items" } },
  { class = "kadenza.SimOptions", from = { "sim" } },
  { class = "kadenza.ChurnOptions", from = { "sim/churn" } },
  { class = "kadenza.Contact", from = { "operation" } },
  { class = "kadenza.Info", from = { "operation" } },
  { class = "kadenza.Scrape", from = { "operation" } },
  { alias = "kadenza.Code", from = { "safe" } },
  { alias = "kadenza.Level", from = { "log" } },
}

local CONVENTIONS <const> = [[
# Lua reference

Made from the annotations in `scripts/kadenza` by `make docs`.

An error at run time is returned: `nil`, a message and a code such as
`"KAD_ETIMEOUT"`. A mistake of the caller raises an error. Call a function that
*waits* inside a task (`kad.run`, `kad.spawn`, `net:perform`). If it takes a
callback, you may call it anywhere with one: it returns at once and passes its
results to the callback. Keys, ids and hashes are binary strings.
]]

-- The anchors of types that have a heading on the page.
local linked = {}
for _, section in ipairs(SECTIONS) do
  local name = section.class or section.alias
  if name then
    linked[name] = "#" .. name:lower():gsub("%.", "")
  end
end

---@param kind string
---@return string text  a code span, with a link if the page has the type
local function type_text(kind)
  local span = "`" .. kind .. "`"
  for name in kind:gmatch("kadenza[%w_.]+") do
    if linked[name] then
      return ("[%s](%s)"):format(span, linked[name])
    end
  end
  return span
end

---@param item table  { name, optional, type, text }
---@return string line
local function item_line(item)
  return ("- `%s`%s: %s%s"):format(item.name, item.optional and "?" or "",
    type_text(item.type), item.text ~= "" and ", " .. item.text or "")
end

local function return_text(item, may_fail)
  local kind = item.type
  if may_fail then
    kind = kind:gsub("%?$", ""):gsub("|string$", ""):gsub("|nil$", "")
  end
  local name = item.name:find("%w") and " " .. item.name or ""
  local text = item.text ~= "" and " (" .. item.text .. ")" or ""
  return type_text(kind) .. name .. text
end

-- Writes what a function returns. If it can fail at run time, its third value
-- is a code, and the second one a message.
local function returns_line(returns)
  local may_fail = #returns >= 3 and returns[#returns].type == "kadenza.Code?"
  local values = {}
  for i = 1, #returns - (may_fail and 1 or 0) do
    if not (may_fail and returns[i].type == "string?" and i == 2) then
      values[#values + 1] = return_text(returns[i], may_fail)
    end
  end
  return "→ " .. table.concat(values, ", ")
    .. (may_fail and "; or nil, message, code" or "")
end

local function signature(item, prefix, name)
  local optional = {}
  for _, param in ipairs(item.params) do
    optional[param.name] = param.optional
  end
  local arguments = {}
  for i, argument in ipairs(item.arguments) do
    arguments[i] = argument .. (optional[argument] and "?" or "")
  end
  return prefix .. name .. "(" .. table.concat(arguments, ", ") .. ")"
end

---@param item Annotated
---@param prefix string
---@param name string  its public name
---@return string[] lines
local function function_lines(item, prefix, name)
  local lines = { "### " .. signature(item, prefix, name), "" }
  table.move(item.text, 1, #item.text, #lines + 1, lines)
  if item.waits then
    lines[#lines + 1] = "*Waits.*"
  end
  lines[#lines + 1] = ""
  for _, param in ipairs(item.params) do
    lines[#lines + 1] = item_line(param)
  end
  if #item.params > 0 then
    lines[#lines + 1] = ""
  end
  if #item.returns > 0 then
    table.move({ returns_line(item.returns), "" }, 1, 2, #lines + 1, lines)
  end
  return lines
end

local function value_lines(item, prefix)
  local lines = { "### " .. prefix .. item.name, "" }
  table.move(item.text, 1, #item.text, #lines + 1, lines)
  lines[#lines + 1] = ""
  return lines
end

---@class Library
---@field folder string
---@field modules table<string, table>  those read so far, by name
local Library = {}
Library.__index = Library

function Library:read(name)
  if not self.modules[name] then
    self.modules[name] =
      annotations.read(("%s/%s.lua"):format(self.folder,
        (name:gsub("%.", "/"))))
  end
  return self.modules[name]
end

-- Returns the function `key.of` for a module that requires `kadenza.key`; nil
-- if the target is a whole module.
function Library:resolve(module, target)
  local name, field = target:match("^([%w_]+)%.?([%w_]*)$")
  local required = assert(module.modules[name], target):gsub("^kadenza%.", "")
  for _, item in ipairs(self:read(required).items) do
    if item.kind == "function" and item.name == field
      and item.owner == (field == "" and "" or "M")
    then
      return item
    end
  end
  return nil
end

---@return string[] lines
function Library:member(module, item, section)
  if item.kind == "value" then
    return value_lines(item, section.prefix)
  end
  local found = item.kind == "reexport" and self:resolve(module, item.target)
    or item.kind == "function" and item
  return found and function_lines(found, section.prefix, item.name) or {}
end

local function append(lines, more)
  table.move(more, 1, #more, #lines + 1, lines)
end

-- Writes the members of the section's modules or of its class.
function Library:members(section)
  local owner = section.class and section.class:match("[%w_]+$") or "M"
  local lines = {}
  for _, name in ipairs(section.prefix and section.from or {}) do
    local module = self:read(name)
    for _, item in ipairs(module.items) do
      local is_hidden = section.hidden and section.hidden[item.name]
      if item.owner == owner and not is_hidden then
        append(lines, self:member(module, item, section))
      end
    end
  end
  return lines
end

-- Finds the class or alias of a section. If several files declare a class, the
-- one with the longest text counts.
function Library:find(section)
  local found
  for _, name in ipairs(section.from) do
    for _, item in ipairs(self:read(name).items) do
      if item.owner == "" and item.name == (section.class or section.alias) then
        found = (not found or #item.text > #found.text) and item or found
      end
    end
  end
  return assert(found, section.class or section.alias)
end

-- Writes the options of the core that a node takes, without those in its table
-- `limits`.
local function append_core_options(lines)
  for _, row in ipairs(core.config_options()) do
    if row.name ~= "limits" and not node_options.LIMITS[row.name] then
      local text = row.text:gsub("^%u%f[%U]", string.lower):gsub("%.$", "")
      lines[#lines + 1] = item_line({ name = row.name, optional = true,
        type = row.type, text = ("%s; default %s%s"):format(text, row.default,
          row.unit ~= "" and " " .. row.unit or "") })
    end
  end
end

-- Writes the text of a class or alias, and its fields or values.
function Library:type_lines(section)
  local item = self:find(section)
  local lines = {}
  append(lines, item.text)
  lines[#lines + 1] = ""
  for _, field in ipairs(item.fields) do
    lines[#lines + 1] = item_line(field)
  end
  if section.core then
    append_core_options(lines)
  end
  if item.values then
    local values = item.values:gsub("^| *", ""):gsub("\"", "`")
    lines[#lines + 1] = values:gsub(" *| *", ", ") .. "."
  end
  lines[#lines + 1] = ""
  return lines
end

function Library:section(section)
  local name = section.title or section.class or section.alias
  local lines = { "## " .. name, "" }
  if section.head then
    append(lines, self:read(section.from[1]).text)
    lines[#lines + 1] = ""
  end
  if not section.title then
    append(lines, self:type_lines(section))
  end
  append(lines, self:members(section))
  return lines
end

--- Makes the page of the library in a folder.
---@param folder string
---@return string markdown
function M.reference(folder)
  local library = setmetatable({ folder = folder, modules = {} }, Library)
  local lines = { CONVENTIONS }
  for _, section in ipairs(SECTIONS) do
    append(lines, library:section(section))
  end
  return (table.concat(lines, "\n"):gsub("\n\n\n+", "\n\n"):gsub("\n+$", "\n"))
end

return M
