--- Joining and leaving an overlay. `kadenza.node` makes these functions methods
--- of its nodes; see `kadenza.operation`.
--- Tested by tests/spec/bootstrap_spec.lua, tests/spec/operation_spec.lua.

local bootstrap = require("kadenza.bootstrap")
local check = require("kadenza.check")
local log = require("kadenza.log")
local strings = require("kadenza.node_options").strings
local operation = require("kadenza.operation")
local task = require("kadenza.task")

---@class kadenza.Node
local Node = {}

-- Seconds that `leave` may take without an argument.
local LEAVE_SECONDS <const> = 5

-- Addresses, names and saved contacts that a node joins through at most.
local MAX_KNOWN <const> = 4096

-- Tells whether an address is worth a warning. That a name has addresses of
-- another family, too, is usual.
local function is_left_out(problem)
  return problem.code == "KAD_EMARTIAN"
    or not problem.is_partial
      and (problem.code == "KAD_EFAMILY" or problem.code == "KAD_ENOROUTE")
end

-- Logs what of `known` was of no use to a join that has succeeded. A node that
-- `watches_names` reports its names itself.
local function log_problems(self, known)
  if not self.core:is_open() then
    return
  end
  for _, problem in ipairs(bootstrap.problems(self.core, known)) do
    local is_reported = self.watches_names and not problem.is_address
      or problem.is_pending
    if problem.code == "KAD_ERESOLVE" and not is_reported then
      log.warn("a bootstrap name is left out", { error = problem.message })
    elseif is_left_out(problem) and not is_reported then
      log.warn("a bootstrap address is left out", { error = problem.message })
    end
  end
end

-- Joins through the addresses and names `known`, and the saved contacts.
local function join(self, known)
  local valid, malformed = bootstrap.split(known)
  local texts = table.move(valid, 1, #valid, 1, {})
  local saved = math.min(#self.saved_contacts, MAX_KNOWN - #texts)
  table.move(self.saved_contacts, 1, saved, #texts + 1, texts)
  if #texts == 0 and malformed[1] then
    return nil, malformed[1].message, malformed[1].code
  end
  for _, problem in ipairs(malformed) do
    log.warn("a bootstrap name is left out", { error = problem.message })
  end
  local info, message, code, details =
    task.wait(operation.start(self, "bootstrap", texts, nil))
  if info then
    log_problems(self, valid)
    return info
  end
  return nil, bootstrap.explain(self.core, texts, message, code), code, details
end

--- Joins the overlay through nodes that are known: `known`, or those of the
--- node's options, and the contacts of its saved state. Addresses, names and
--- contacts are tried at once; a name that does not resolve delays nothing. The
--- node keeps them: while no contact answers, it joins again by itself, and
--- resolves the names again.
---@async
---@param known? string[]  "host:port"
---@param callback? fun(info: kadenza.Info?, message?: string, code?: string)
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function Node:bootstrap(known, callback)
  check.open(self, 2)
  if type(known) == "function" then
    known, callback = nil, known
  end
  local names = strings(known or self.bootstrap_names, "known", 2)
  if #names > MAX_KNOWN then
    error("known has more than " .. MAX_KNOWN .. " addresses", 2)
  end
  return operation.run_function(self, callback, function()
    return join(self, names)
  end)
end

--- Returns the names through which the node joins, and what became of them:
--- `state` is "resolving", "resolved", "unknown" (there is no such name) or "no
--- server" (no name server answers); `addresses` are the latest.
---@return { name: string, state: string, addresses: string[] }[] names
function Node:names()
  check.open(self, 2)
  return self.core:names()
end

--- Gives the records that the node holds to the nodes that become the closest
--- without it: call it before `close`. It sends at most `stores_per_s` stores a
--- second.
---@async
---@param seconds? number  longest time it may take, 5
---@param callback? fun(...)
---@return kadenza.Info? info
---@return string? message  some records are left: the time was too short
---@return kadenza.Code? code
function Node:leave(seconds, callback)
  check.open(self, 2)
  seconds = seconds or LEAVE_SECONDS
  if type(seconds) ~= "number" or not (seconds > 0 and seconds < 1e6) then
    error("seconds must be a positive number", 2)
  end
  check.callback(callback, 2)
  local start = operation.start(self, "leave", math.ceil(seconds * 1000))
  return operation.run(self, callback, start)
end

return Node
