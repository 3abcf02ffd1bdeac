--- Checks and resolves addresses of other nodes.
--- Tested by tests/spec/cli/usage_spec.lua, tests/spec/cli/run_spec.lua.

local fault = require("kadenza.cli.fault")
local log = require("kadenza.log")
local resolver = require("kadenza.resolver")

local M = {}

-- Patterns of addresses that nodes ignore without allow_local.
local LOCAL <const> = {
  "^127%.", "^10%.", "^192%.168%.", "^169%.254%.", "^172%.1[6-9]%.",
  "^172%.2%d%.", "^172%.3[01]%.", "^%[::1%]", "^%[fe[89ab]%x:", "^%[f[cd]%x%x:",
  "^localhost:",
}

--- Tells whether an address is a loopback, link-local or private one.
---@param address string
---@return boolean
function M.is_local(address)
  for _, pattern in ipairs(LOCAL) do
    if address:lower():find(pattern) then
      return true
    end
  end
  return false
end

--- Raises a fault for a local address unless local ones are allowed: nodes
--- would ignore it, and the command would time out.
---@param addresses string[]
---@param allowed boolean
---@param what string  precedes the address in the message
function M.check_local(addresses, allowed, what)
  for _, address in ipairs(addresses) do
    if not allowed and M.is_local(address) then
      fault.misuse("%s%s is a local address, which needs --allow-local", what,
        address)
    end
  end
end

--- Resolves names. Logs those that cannot be resolved. Raises a fault if none
--- can be resolved, unless `may_fail`.
---@async
---@param network kadenza.core.Network
---@param names string[]
---@param may_fail? boolean
---@return string[] addresses
function M.resolve(network, names, may_fail)
  local addresses, problems = {}, {}
  for _, name in ipairs(names) do
    local found, message = resolver.resolve(network, name)
    for _, address in ipairs(found or {}) do
      addresses[#addresses + 1] = address
    end
    if not found then
      problems[#problems + 1] = "--bootstrap " .. message
    end
  end
  if #addresses == 0 and problems[1] and not may_fail then
    fault.failed(problems[1], "KAD_ERESOLVE")
  end
  for _, problem in ipairs(problems) do
    log.warn("a bootstrap name cannot be resolved", { error = problem })
  end
  return addresses
end

return M
