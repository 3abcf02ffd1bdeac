--- Checks addresses of other nodes, and says why they are of no use.
--- Tested by tests/spec/cli/usage_spec.lua, tests/spec/cli/run_spec.lua.

local bootstrap = require("kadenza.bootstrap")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local log = require("kadenza.log")
local sending = require("kadenza.cli.sending")

local M = {}

-- Codes of joins that have sent nothing.
local UNUSABLE <const> = {
  KAD_ERESOLVE = true, KAD_EMARTIAN = true, KAD_EFAMILY = true,
  KAD_ENOROUTE = true,
}

--- Tells whether an address is a loopback, link-local or private one.
M.is_local = bootstrap.is_local

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

--- Returns why other nodes ignore a node that listens on an address, or nil.
---@param address string
---@param allowed boolean  local addresses are allowed
---@return string? problem
function M.listen_problem(address, allowed)
  if bootstrap.is_reserved(address) then
    return "nodes ignore addresses of a reserved block"
  elseif not allowed and M.is_local(address) then
    return "local addresses are not served without --allow-local"
  end
end

-- Returns a message, with what else may be wrong if the node is sealed: nodes
-- whose key is another are silent.
local function hint_at_key(node, message, code)
  if not (code == "KAD_ETIMEOUT" or code == "KAD_ENOCONTACTS")
    or not node:is_open() or not node.core:is_sealed()
  then
    return message
  end
  return message .. " (a node with another network key, or whose clock differs "
    .. "by more than 5 minutes, does not answer)"
end

--- Returns the message of a join that has failed, through `names` and the saved
--- contacts of the node.
---@param node kadenza.Node
---@param names string[]
---@param message string
---@param code kadenza.Code
---@return string message
function M.explain(node, names, message, code)
  local texts = table.move(names, 1, #names, 1, {})
  table.move(node.saved_contacts, 1, #node.saved_contacts, #texts + 1, texts)
  return hint_at_key(node, bootstrap.explain(node.core, texts, message, code,
    "--allow-local"), code)
end

--- Tells whether an address or a name leads only to the node itself.
---@param node kadenza.Node
---@param name string
---@return boolean
function M.is_own(node, name)
  local problem = bootstrap.problems(node.core, { name })[1]
  return problem ~= nil and problem.code == "KAD_EOWNID"
    and not problem.is_partial
end

--- Raises a fault for a join that has failed.
---@param node kadenza.Node
---@param names string[]
---@param message string
---@param code kadenza.Code
function M.not_joined(node, names, message, code)
  if code == "KAD_ERESOLVE" then
    local _, reason = node:state()
    if reason and reason:find("^no name server") then
      log.warn("no name server answers", { names = table.concat(names, ",") })
    end
  end
  local explained = M.explain(node, names, message, code)
  if UNUSABLE[code] then
    fault.failed("--bootstrap " .. explained, code)
  end
  fault.failed(("could not join through %s: %s"):format(
    table.concat(names, ", "), sending.explain(node, explained, code)), code)
end

--- Returns the message of a query to a name that leads to addresses of no use.
---@param node kadenza.Node
---@param name string
---@param message string
---@param code kadenza.Code
---@return string message
function M.explain_query(node, name, message, code)
  local problem = core.address(name)
    and bootstrap.problems(node.core, { name }, "--allow-local")[1]
  if problem then
    return problem.message
  elseif code == "KAD_EMARTIAN" then
    return ("%s leads to a local address, which needs --allow-local"):format(
      name)
  elseif code == "KAD_EFAMILY" then
    return ("%s leads to an address of a family that no socket of this node "
      .. "serves: %s"):format(name, table.concat(node:addresses(), ", "))
  elseif code == "KAD_ENOROUTE" then
    return ("no socket of this node has a route to %s: %s (listen on an "
      .. "address that has one)"):format(name,
      table.concat(node:addresses(), ", "))
  end
  return hint_at_key(node, sending.explain(node, message, code), code)
end

return M
