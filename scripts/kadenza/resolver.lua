--- Names and addresses: resolves "host:port", and tries the addresses of a
--- name. Tested by tests/spec/operation_spec.lua.

local core = require("kadenza.core")
local log = require("kadenza.log")
local task = require("kadenza.task")

local M = {}

--- Resolves a name.
---@async
---@param network kadenza.core.Network
---@param text string  "host:port"
---@return string[]? addresses  "ip:port"
---@return string? message  begins with the name
---@return kadenza.Code? code
function M.resolve(network, text)
  local address = core.address(text)
  if address then
    return { address }
  end
  local found, message, code = task.wait(function(resume)
    local started, why, kind = network:resolve(text, resume)
    if not started then
      resume(nil, why, kind)
    end
  end)
  if code == "KAD_EINVAL" then
    message = "no address such as 192.0.2.1:6881 or example.org:6881"
  end
  if not found then
    return nil, string.format("%s: %s", text, message), code
  end
  return found
end

--- Resolves a list of names. Fails with the first failure if none can be
--- resolved; otherwise logs the failures.
---@async
---@param node kadenza.Node
---@param names string[]  "host:port"
---@return string[]? addresses  "ip:port"
---@return string? message
---@return kadenza.Code? code
function M.resolve_all(node, names)
  local addresses, failures = {}, {}
  for _, name in ipairs(names) do
    local found, message, code = M.resolve(node:network(), name)
    for _, address in ipairs(found or {}) do
      addresses[#addresses + 1] = address
    end
    if not found then
      failures[#failures + 1] = { message = message, code = code }
    end
  end
  if #addresses == 0 and failures[1] then
    return nil, failures[1].message, failures[1].code
  end
  for _, failure in ipairs(failures) do
    log.warn("a bootstrap name is left out", { error = failure.message })
  end
  return addresses
end

-- Failures after which the next address of a name is tried.
local TRY_NEXT <const> = {
  KAD_ETIMEOUT = true,
  KAD_EFAMILY = true,
  KAD_EMARTIAN = true,
}

local function family_of(address)
  return address:sub(1, 1) == "[" and 6 or 4
end

-- Moves the addresses of a family that the node has a socket for to the front.
local function sort_by_family(node, addresses)
  local has_socket, first, last = {}, {}, {}
  for _, address in ipairs(node:addresses()) do
    has_socket[family_of(address)] = true
  end
  for _, address in ipairs(addresses) do
    table.insert(has_socket[family_of(address)] and first or last, address)
  end
  return table.move(last, 1, #last, #first + 1, first)
end

--- Sends a query to the addresses of a name, one after the other, until one
--- replies.
---@async
---@param node kadenza.Node
---@param name string  "host:port"
---@param start fun(address: string): fun(done: fun(...)): fun()?  starts the
---  query, as `task.wait` takes it
---@return any ...  the results, or the first failure
function M.query_first(node, name, start)
  local addresses, message, code = M.resolve(node:network(), name)
  if not addresses then
    return nil, message, code
  end
  local failure
  if #addresses > 1 and node:is_open() then
    addresses = sort_by_family(node, addresses)
  end
  for _, address in ipairs(addresses) do
    local results = table.pack(task.wait(start(address)))
    if results[1] or not TRY_NEXT[results[3]] then
      return table.unpack(results, 1, results.n)
    end
    failure = failure or results
  end
  return table.unpack(failure, 1, failure.n)
end

return M
