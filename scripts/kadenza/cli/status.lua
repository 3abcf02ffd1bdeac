--- What `kadenza run` tells of its node: to a person at a terminal in words, to
--- anybody else in the log.

local host = require("kadenza.host")
local kad = require("kadenza")
local log = require("kadenza.log")

local M = {}

local STDERR <const> = 2

-- How often the node is asked for its state, and how long a mere change of the
-- number of contacts waits to be told.
local WATCH_SECONDS <const> = 0.5
local CONTACTS_SECONDS <const> = 10

local WORDS <const> = {
  new = "waiting for other nodes",
  joining = "joining",
  healthy = "healthy",
  degraded = "degraded (most contacts do not answer)",
  isolated = "isolated (nobody answers)",
}

local function list_or(list, otherwise)
  return #list > 0 and table.concat(list, ", ") or otherwise
end

-- Returns an address that this machine can use to reach the node.
local function reachable(node)
  local address = node:addresses()[1]
  return (address:gsub("^0%.0%.0%.0:", "127.0.0.1:"):gsub("^%[::%]:", "[::1]:"))
end

local function next_steps(node, settings)
  if not settings.allow_local then
    return ("Other nodes join through this machine's public address; local "
      .. "ones are not served.\nTo try things out on one machine, type:\n"
      .. "  %s run --listen 127.0.0.1:7001 --allow-local\n"):format(
      host.program())
  end
  local through = ("--bootstrap %s --allow-local"):format(reachable(node))
  return ("Try in another terminal:\n"
    .. "  %s put greeting hello %s\n"
    .. "  %s get greeting %s\n"):format(host.program(), through,
    host.program(), through)
end

local function greeting(node, settings)
  local lines = {
    ("%s runs a node.\n"):format(kad._VERSION),
    ("  policies  %s\n"):format(list_or(settings.policies,
      "none, only the built-in record types")),
    ("  state     %s\n"):format(settings.state
      or "none, it is forgotten at the end (--state DIR keeps it)"),
    ("  joins     %s\n"):format(list_or(settings.bootstrap,
      "nobody, others join through it (--bootstrap HOST:PORT)")),
    next_steps(node, settings),
    ("Ctrl-C stops it; kill -HUP %d reloads policies, kill -USR1 %d logs "
      .. "statistics.\n"):format(host.pid(), host.pid()),
  }
  return table.concat(lines)
end

--- Tells whether a person reads standard error.
---@param settings table
---@return boolean
function M.is_for_people(settings)
  return host.is_terminal(STDERR) and not settings.json
end

--- Tells a person what the node does and what to type next.
---@param node kadenza.Node
---@param settings table
function M.greet(node, settings)
  io.stderr:write(greeting(node, settings))
end

local function tell(state, contacts, for_people)
  if not for_people then
    log.info("state", { state = state, contacts = contacts })
    return
  end
  local noun = contacts == 1 and "contact" or "contacts"
  io.stderr:write(("kadenza: %s, %d %s\n"):format(WORDS[state], contacts,
    noun))
end

-- Said once: an operator cannot do much more about it than know.
local function tell_crowd(widened, told)
  if widened > 0 and not told then
    log.warn("somebody has gathered ids around a key: lookups of it are wider",
      { widened = widened })
  end
  return widened > 0
end

--- Tells when the node's state changes, until it is closed.
---@async
---@param node kadenza.Node
---@param for_people boolean
function M.watch(node, for_people)
  local told_state, told_contacts, told_at = "new", 0, kad.now()
  local told_crowd = false
  while node:is_open() do
    local state, stats = node:state(), node:stats()
    local contacts = stats.contacts
    told_crowd = tell_crowd(stats.widened, told_crowd)
    local is_new = state ~= told_state
    local has_changed = contacts ~= told_contacts
      and kad.now() - told_at >= CONTACTS_SECONDS
    if is_new or has_changed then
      tell(state, contacts, for_people)
      told_state, told_contacts, told_at = state, contacts, kad.now()
    end
    kad.sleep(WATCH_SECONDS)
  end
end

return M
