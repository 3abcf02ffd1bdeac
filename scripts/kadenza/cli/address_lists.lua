--- The files of the options `blocklist` and `exempt`: reads them at the start
--- and at SIGHUP, and sets the lists of the node.
--- Tested by tests/spec/cli/address_lists_spec.lua.

local address_list = require("kadenza.address_list")
local fault = require("kadenza.cli.fault")
local log = require("kadenza.log")

local M = {}

-- The options, and the methods of a node that take their lists.
local LISTS <const> = {
  { name = "blocklist", method = "block" },
  { name = "exempt", method = "exempt" },
}

--- Reads the files. Raises a fault for one that cannot be read or is wrong.
---@param settings table  options by name
---@return table<string, string[]> lists  by option
function M.read(settings)
  local lists = {}
  for _, option in ipairs(LISTS) do
    local path = settings[option.name]
    lists[option.name] = path
      and fault.read(option.name, address_list.read(path))
  end
  return lists
end

--- Sets the lists of a node. Raises a fault on failure.
---@param node kadenza.Node
---@param lists table<string, string[]>  by option
function M.set(node, lists)
  for _, option in ipairs(LISTS) do
    local list = lists[option.name]
    if list then
      local set, message, code = node[option.method](node, list)
      if not set then
        fault.failed(("%s: %s"):format(option.name, message), code)
      end
      log.info(option.name .. " read", { ranges = #list })
    end
  end
end

-- Returns true, or nil and a message with the old list in force.
local function reload_one(node, option, path)
  local list, message = {}, nil
  if path then
    list, message = address_list.read(path)
  end
  if not list then
    return nil, message
  end
  local set, problem = node[option.method](node, list)
  if set then
    log.info(option.name .. " read", { ranges = #list })
  end
  return set, problem
end

--- Reads the files again, and sets the lists of the node. A file that is wrong
--- changes nothing: `wanted` has the path of before then.
---@param node kadenza.Node
---@param before table  options by name
---@param wanted table  options by name
---@return { name: string, error: string? }[] kept  the options that stay as
---  they were, and why
function M.reload(node, before, wanted)
  local failed = {}
  for _, option in ipairs(LISTS) do
    local name = option.name
    if before[name] or wanted[name] then
      local set, message = reload_one(node, option, wanted[name])
      if not set then
        log.warn(name .. " not read, the old one stays", { error = message })
        wanted[name] = before[name]
        failed[#failed + 1] = { name = name, error = message }
      end
    end
  end
  return failed
end

return M
