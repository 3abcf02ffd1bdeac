--- Reports the state of the node of `kadenza run`: in words on a terminal,
--- otherwise in the log.
--- Tested by tests/spec/cli/run_spec.lua.

local bootstrap = require("kadenza.bootstrap")
local host = require("kadenza.host")
local kad = require("kadenza")
local log = require("kadenza.log")

local M = {}

local STDERR <const> = 2

-- How often the state is checked, and the shortest time between two reports of
-- a change of the number of contacts alone.
local WATCH_SECONDS <const> = 0.5
local CONTACTS_SECONDS <const> = 10

local WORDS <const> = {
  new = "waiting for other nodes",
  joining = "joining",
  healthy = "healthy",
  degraded = "degraded (most contacts do not answer)",
  isolated = "isolated (no contact answers)",
}

local function join_or(list, otherwise)
  return #list > 0 and table.concat(list, ", ") or otherwise
end

-- Returns an address at which this machine reaches the node.
local function reachable(node)
  local address = node:addresses()[1]
  return (address:gsub("^0%.0%.0%.0:", "127.0.0.1:"):gsub("^%[::%]:", "[::1]:"))
end

local function next_steps(node, settings)
  if not settings.allow_local then
    return ("Other nodes join through this machine's public address; local "
      .. "nodes are not served.\nTo try kadenza on one machine, type:\n"
      .. "  %s run --listen 127.0.0.1:7001 --allow-local\n"):format(
      host.program())
  end
  local through = ("--bootstrap %s --allow-local"):format(reachable(node))
  return ("Try in another terminal:\n"
    .. "  %s put greeting hello %s\n"
    .. "  %s get greeting %s\n"):format(host.program(), through,
    host.program(), through)
end

--- Tells whether a user reads standard error on a terminal.
---@param settings table
---@return boolean
function M.is_interactive(settings)
  return host.is_terminal(STDERR) and not settings.json
end

--- Prints what the node does and what to type next.
---@param node kadenza.Node
---@param settings table
function M.greet(node, settings)
  io.stderr:write(("%s runs a node.\n"):format(kad._VERSION),
    ("  policies  %s\n"):format(join_or(settings.policies,
      "none, only the built-in record types")),
    ("  state     %s\n"):format(settings.state
      or "not saved (--state DIR saves it)"),
    ("  joins     %s\n"):format(join_or(settings.bootstrap,
      "no node, others join through it (--bootstrap HOST:PORT)")),
    next_steps(node, settings),
    ("Ctrl-C stops it; kill -HUP %d reloads, kill -USR1 %d logs "
      .. "statistics.\n"):format(host.pid(), host.pid()))
end

local function report_state(state, contacts, reason, is_interactive)
  if not is_interactive then
    log.info("state", { state = state, contacts = contacts, reason = reason })
    return
  end
  local noun = contacts == 1 and "contact" or "contacts"
  io.stderr:write(("kadenza: %s, %d %s%s\n"):format(WORDS[state], contacts,
    noun, reason and "; " .. reason or ""))
end

-- Why a name or its addresses are of no use, as text; nil: they are.
local function describe_problem(problem)
  if not problem or problem.is_pending or problem.code == "KAD_EOWNID"
    or problem.is_partial and problem.code == "KAD_EFAMILY" then
    return nil
  end
  return problem.message
end

local function report_name(name, problem, before)
  local message = describe_problem(problem)
  if message == before then
    return message
  elseif not message then
    log.info("a bootstrap name is resolved", { name = name })
  elseif problem.code == "KAD_ERESOLVE" then
    log.warn("a bootstrap name cannot be resolved", {
      error = "--bootstrap " .. message,
      reason = problem.no_server and "no name server answers" or nil })
  else
    log.warn("a bootstrap address is left out", {
      error = "--bootstrap " .. message })
  end
  return message
end

-- Logs changes of what becomes of the bootstrap names. `known` has what was
-- logged last, by name.
local function report_names(node, known)
  for _, info in ipairs(node:names()) do
    local problem =
      bootstrap.problems(node.core, { info.name }, "--allow-local")[1]
    known[info.name] = report_name(info.name, problem, known[info.name])
  end
end

-- Logs the first dense key. Later ones are not logged: an operator can do
-- little about them.
local function report_dense_key(searches, was_reported)
  if searches > 0 and not was_reported then
    log.warn("ids are dense around a key, perhaps sybils: lookups of it are "
      .. "wider", { sybil_searches = searches })
  end
  return searches > 0
end

--- Reports changes of the node's state until it is closed.
---@async
---@param node kadenza.Node
---@param is_interactive boolean
function M.watch(node, is_interactive)
  local last_state, last_reason, last_contacts, last_at = "new", nil, 0,
    kad.now()
  local was_dense, known_names = false, {}
  node.watches_names = true
  while node:is_open() do
    local stats = node:stats()
    local state, reason = node:state()
    local contacts = stats.contacts
    was_dense = report_dense_key(stats.sybil_searches, was_dense)
    report_names(node, known_names)
    local is_new = state ~= last_state or reason ~= last_reason
    local has_changed = contacts ~= last_contacts
      and kad.now() - last_at >= CONTACTS_SECONDS
    if is_new or has_changed then
      report_state(state, contacts, reason, is_interactive)
      last_state, last_reason, last_contacts, last_at = state, reason, contacts,
        kad.now()
    end
    kad.sleep(WATCH_SECONDS)
  end
end

return M
