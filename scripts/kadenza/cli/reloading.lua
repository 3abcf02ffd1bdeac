--- Reloads the configuration, the policies, the lists of addresses and the
--- network keys of a node that runs.
---
--- The file and the policies are read first; a mistake in one of them changes
--- nothing. A mistake in a list of addresses or a network key leaves that
--- alone. Options that cannot change while the node runs are named.
--- Tested by tests/spec/cli/reload_spec.lua.

local address_lists = require("kadenza.cli.address_lists")
local config = require("kadenza.cli.config")
local fault = require("kadenza.cli.fault")
local log = require("kadenza.log")
local network_keys = require("kadenza.cli.network_keys")
local node_options = require("kadenza.node_options")
local remote = require("kadenza.cli.remote")
local schema = require("kadenza.cli.schema")

local M = {}

-- Reads the configuration as at the start. Returns nil and a message for a
-- mistake.
local function read(settings, args)
  local succeeded, result = pcall(function()
    local values = config.read(settings, args, "regular")
    remote.check_local(values.bootstrap, values.allow_local, "--bootstrap ")
    return values
  end)
  if succeeded then
    return result
  elseif fault.is(result) then
    return nil, result.message
  end
  error(result, 0)
end

local function are_equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" or #a ~= #b then
    return a == b
  end
  for i, item in ipairs(a) do
    if item ~= b[i] then
      return false
    end
  end
  return true
end

-- Returns the configuration that the node can have now, and the names of the
-- options that change, and of those that would need a restart.
local function merge(before, wanted)
  local merged, changed, fixed = {}, {}, {}
  for name, value in pairs(before) do
    merged[name] = value
  end
  for _, option in ipairs(schema.OPTIONS) do
    local name = option.name
    if not are_equal(before[name], wanted[name]) then
      table.insert(option.live and changed or fixed, name)
      if option.live then
        merged[name] = wanted[name]
      end
    end
  end
  return merged, changed, fixed
end

-- Loads the policies. On failure the node keeps those that it has.
local function load_policies(node, before, merged)
  if #before.policies + #merged.policies == 0 then
    return true
  end
  local options = config.node_options(merged)
  local memory, instructions = node.policy_memory, node.policy_instructions
  node.policy_memory = options.policy_memory
  node.policy_instructions = options.policy_instructions
  local loaded, message = require("kadenza.policy").attach(node,
    options.policies or {})
  if not loaded then
    node.policy_memory, node.policy_instructions = memory, instructions
  end
  return loaded, message
end

-- Sets the live options of the core.
local function configure(node, merged)
  local options, live = config.node_options(merged), {}
  for name in pairs(node_options.LIVE) do
    live[name] = options[name]
  end
  return node:configure(live)
end

local function remove(list, item)
  for i = #list, 1, -1 do
    if list[i] == item then
      table.remove(list, i)
    end
  end
end

local function report(before, merged, changed, fixed)
  if #merged.policies > 0 then
    log.info("policies reloaded")
  elseif #before.policies == 0 then
    log.info("no policies to reload")
  end
  if changed[1] then
    log.info("configuration reloaded", { changed = table.concat(changed, ",") })
  end
  if fixed[1] then
    log.warn("changed options need a restart",
      { options = table.concat(fixed, ",") })
  end
end

--- How a reload went.
---@class kadenza.cli.ReloadOutcome
---@field succeeded boolean  false: nothing has changed
---@field problems string[]  why nothing, or a part, has changed
---@field changed string[]  options that have another value now
---@field needs_restart string[]  options that the file changes in vain

-- Sets what the node can have now. Returns false if nothing has changed.
local function apply(node, before, merged, outcome)
  local problems = outcome.problems
  local loaded, message = load_policies(node, before, merged)
  if not loaded then
    log.error("policies not reloaded, the old ones stay", { error = message })
    problems[1] = message
    return false
  end
  local configured, why = configure(node, merged)
  if not configured then
    log.error("the options of the core have not changed", { error = why })
    problems[1] = why
  end
  log.configure({ level = merged.log,
    format = merged.json and "json" or "text" })
  for _, part in ipairs({ address_lists, network_keys }) do
    for _, kept in ipairs(part.reload(node, before, merged)) do
      remove(outcome.changed, kept.name)
      problems[#problems + 1] = kept.error
    end
  end
  return true
end

--- Reads the configuration again, and sets what may change at run time: log
--- level and format, limits, quotas, options of operations, policies, lists of
--- addresses, network keys.
---@async
---@param node kadenza.Node
---@param settings kadenza.cli.Settings  of the command
---@param args table  of the command line, which has precedence as at the start
---@param before table  the options that the node has
---@return table options  that it has now
---@return kadenza.cli.ReloadOutcome outcome
function M.run(node, settings, args, before)
  local wanted, problem = read(settings, args)
  if not wanted then
    log.error("configuration not reloaded, nothing has changed",
      { error = problem })
    return before, { succeeded = false, problems = { problem }, changed = {},
      needs_restart = {} }
  end
  local merged, changed, fixed = merge(before, wanted)
  local outcome = { succeeded = true, problems = {}, changed = changed,
    needs_restart = fixed }
  if not apply(node, before, merged, outcome) then
    outcome.succeeded, outcome.changed = false, {}
    return before, outcome
  end
  report(before, merged, changed, fixed)
  return merged, outcome
end

return M
