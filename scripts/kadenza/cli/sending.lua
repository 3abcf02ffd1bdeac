--- Datagrams that the system refuses to send, because of a firewall or of
--- routes: in the log of `kadenza run`, and in the messages of other commands.
--- Tested by tests/spec/cli/run_spec.lua, tests/spec/cli/hosts_spec.lua.

local kad = require("kadenza")
local log = require("kadenza.log")

local M = {}

-- The shortest time between two lines of the log.
local REPORT_SECONDS <const> = 60

-- What an operator can do about an error.
local NO_ROUTE <const> = "no socket has a route there, see --listen"
local ADVICE <const> = {
  EACCES = "a firewall or a route forbids it",
  EADDRNOTAVAIL = NO_ROUTE,
  EINVAL = NO_ROUTE,
  ENETUNREACH = NO_ROUTE,
  EPERM = "a firewall forbids it",
}

local function reason(failure)
  return ("%s (%s)"):format(failure.error, failure.name)
end

--- Logs the latest datagram that could not be sent, once a minute at most.
---@param failure kadenza.SendFailure?
---@param reported {count: integer, at: number?}  is updated
function M.report(failure, reported)
  if not failure or failure.count == reported.count
    or (reported.at and kad.now() - reported.at < REPORT_SECONDS)
  then
    return
  end
  log.warn("cannot send datagrams", { to = failure.to,
    error = reason(failure), count = failure.count - reported.count,
    advice = ADVICE[failure.name] })
  reported.count, reported.at = failure.count, kad.now()
end

--- Returns the message of an operation that got no answer: it may be that
--- nothing was sent.
---@param node kadenza.Node
---@param message string
---@param code kadenza.Code
---@return string message
function M.explain(node, message, code)
  local failure = (code == "KAD_ETIMEOUT" or code == "KAD_ENOCONTACTS")
    and node:is_open() and node:send_failure()
  if not failure then
    return message
  end
  local advice = ADVICE[failure.name]
  return ("%s: cannot send to %s: %s%s"):format(message, failure.to,
    reason(failure), advice and ", " .. advice or "")
end

return M
