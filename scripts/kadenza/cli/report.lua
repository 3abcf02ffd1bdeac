--- Reports the state of the node of `kadenza run`: in words on a terminal,
--- otherwise in the log.
--- Tested by tests/spec/cli/run_spec.lua.

local bootstrap = require("kadenza.bootstrap")
local host = require("kadenza.host")
local kad = require("kadenza")
local layout = require("kadenza.cli.layout")
local log = require("kadenza.log")
local network_keys = require("kadenza.cli.network_keys")
local output = require("kadenza.cli.output")
local reachability = require("kadenza.cli.reachability")
local schema = require("kadenza.cli.schema")
local sending = require("kadenza.cli.sending")
local terminal = require("kadenza.cli.terminal")

local M = {}

-- How often the state is checked, and the shortest time between two reports of
-- a change of the number of contacts alone.
local WATCH_SECONDS <const> = 0.5
local CONTACTS_SECONDS <const> = 10

-- Of a state that changes all the time, one change a minute is reported, after
-- the first few.
local STATE_SECONDS <const> = 60
local STATE_BURST <const> = 4

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

local function next_steps(node, settings, columns)
  local program = layout.shell_word(host.program())
  if not settings.allow_local then
    return "Other nodes join through this machine's public address; local "
      .. "nodes are not served.\nTo try kadenza on one machine, type:\n"
      .. layout.command({ program, "run", "--listen 127.0.0.1:7001",
        "--allow-local" }, columns)
  end
  local through = "--bootstrap " .. reachable(node)
  return "Try in another terminal:\n"
    .. layout.command({ program, "put", "greeting", "hello", through,
      "--allow-local" }, columns)
    .. layout.command({ program, "get", "greeting", through,
      "--allow-local" }, columns)
end

--- Tells whether a user reads standard error on a terminal.
---@param settings table
---@return boolean
function M.is_interactive(settings)
  return host.is_terminal(terminal.ERRORS) and not settings.json
end

-- Returns the rate limits and quotas of a node as fields, by name.
local function limits_of(settings)
  local limits = {}
  for _, option in ipairs(schema.OPTIONS) do
    if option.group == "Limits" and option.name ~= "limits"
      and (settings.limits or not option.limit)
    then
      limits[option.name] = settings[option.name]
    end
  end
  return limits
end

-- The rate limits that a user is told of.
local function limits_text(settings)
  if not settings.limits then
    return "off (--limits)"
  end
  return ("%d queries/s, of one address %d"):format(settings.queries_per_s,
    settings.queries_per_s_address)
end

-- Returns the start of the banner: how the node is configured.
local function describe(args, settings)
  local rows = {
    { "config", args.config or "none, only defaults, variables and flags" },
    { "policies", join_or(settings.policies,
      "none, only the built-in record types") },
    { "state", settings.state or "not saved (--state DIR saves it)" },
    { "limits", limits_text(settings) },
    { "joins", join_or(settings.bootstrap,
      "no node, others join through it (--bootstrap HOST:PORT)") },
  }
  if settings.network_keys then
    rows[#rows + 1] = { "sealed", "with the network key "
      .. (network_keys.fingerprints(settings.network_keys)) }
  end
  for i, row in ipairs(rows) do
    rows[i] = ("  %-9s %s\n"):format(row[1], row[2])
  end
  return table.concat(rows)
end

-- Logs the version and the configuration of a node.
local function log_configuration(args, settings)
  local fields = limits_of(settings)
  fields.version = kad._VERSION:match("%S+$")
  fields.config = args.config or "none"
  fields.state = settings.state or "none"
  fields.store = settings.store
  fields.policies = join_or(settings.policies, "none")
  fields.limits = settings.limits and "on" or "off"
  fields.pid = host.pid()
  log.info("starting", fields)
end

--- Makes the first line of the log tell the version and the configuration of a
--- node: it is written when the node is open, or before an earlier line. A node
--- that cannot be opened has one message and no log. On a terminal, `greet`
--- tells the configuration.
---@param args table
---@param settings table
---@return fun() log_start  call it when the node is open
function M.start(args, settings)
  local is_told = M.is_interactive(settings)
  local function log_start()
    if not is_told then
      is_told = true
      log_configuration(args, settings)
    end
  end
  log.configure({ write = function(line, level)
    log_start()
    output.log(line, level)
  end })
  return log_start
end

--- Prints what the node does and what to type next. In the background, where a
--- prompt is on the same terminal, prints only how to stop it.
---@param node kadenza.Node
---@param args table
---@param settings table
function M.greet(node, args, settings)
  local pid, columns = host.pid(), terminal.columns(terminal.ERRORS)
  if not terminal.is_watched(terminal.ERRORS) then
    output.notice(("kadenza: runs in the background; kill %d stops it\n")
      :format(pid))
    return
  end
  output.notice(("%s runs a node.\n"):format(kad._VERSION)
    .. describe(args, settings)
    .. next_steps(node, settings, columns)
    .. ("Ctrl-C stops it; kill -HUP %d reloads, kill -USR1 %d logs "
      .. "statistics.\n"):format(pid, pid))
end

--- Returns the state of a node in words.
---@param state string  as of `node:state()`
---@param contacts integer  their number
---@param reason? string
---@return string text
function M.describe_state(state, contacts, reason)
  return ("%s, %d %s%s"):format(WORDS[state], contacts,
    contacts == 1 and "contact" or "contacts", reason and "; " .. reason or "")
end

local function report_state(state, contacts, reason, is_interactive)
  if not is_interactive or not terminal.is_watched(terminal.ERRORS) then
    log.info("state", { state = state, contacts = contacts, reason = reason })
    return
  end
  output.notice(("kadenza: %s\n"):format(
    M.describe_state(state, contacts, reason)))
end

-- Why a name or its addresses are of no use, as text; nil: they are.
local function describe_problem(problem)
  if not problem or problem.is_pending or problem.code == "KAD_EOWNID"
    or problem.is_partial and problem.code ~= "KAD_EMARTIAN" then
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

-- Logs a move to another id, and saves it; and once that the id does not fit
-- the address and has to stay. Returns what was reported, for the next call.
local function report_id(node, reported)
  local secure = node:secure_id()
  local address = secure.address and secure.address:gsub(":0$", "")
  if secure.moves ~= reported.moves then
    log.info("the id has changed: it fits the node's address now", {
      id = kad.hex(node:id()),
      previous = kad.hex(secure.previous),
      address = address,
    })
    node:save()
  elseif address and not secure.fits and not secure.may_move
    and address ~= reported.address and node.config.secure_ids ~= "off"
  then
    log.warn("the id does not fit the node's address: some nodes will not use "
      .. "this one; see --move-id", { address = address })
  end
  return { moves = secure.moves, address = address }
end

-- The notices of a sealed node, as lines of the log.
local NOTICES <const> = {
  key = "datagrams that no network key opens: from a stranger, or from a "
    .. "member with another key",
  clock = "sealed datagrams of another time: one of the two clocks is wrong, "
    .. "or they are replays",
}

-- Logs the senders whose datagrams the node cannot open, each once. Returns the
-- number of the last, for the next call.
local function report_seals(node, last)
  local notices
  notices, last = node:seal_notices(last)
  for _, notice in ipairs(notices) do
    log.warn(NOTICES[notice.problem], { from = notice.address,
      ahead_s = notice.problem == "clock" and notice.ahead or nil })
  end
  return last
end

-- Returns a function that tells whether a change may be reported at `now`, and
-- counts it if so.
local function limit_changes()
  local left, at = STATE_BURST, 0
  return function(now)
    left = math.min(STATE_BURST, left + (now - at) / STATE_SECONDS)
    at = now
    if left < 1 then
      return false
    end
    left = left - 1
    return true
  end
end

--- Reports changes of the node's state until it is closed.
---@async
---@param node kadenza.Node
---@param is_interactive boolean
function M.watch(node, is_interactive)
  local last_state, last_reason, last_contacts, last_at = "new", nil, 0,
    kad.now()
  local was_dense, known_names, reported = false, {}, { count = 0 }
  local secure, last_seal, reachable_over = { moves = 0 }, 0, {}
  local may_report = limit_changes()
  node.watches_names = true
  while node:is_open() do
    local stats = node:stats()
    local state, reason = node:state()
    local contacts = stats.contacts
    was_dense = report_dense_key(stats.sybil_searches, was_dense)
    report_names(node, known_names)
    sending.report(node:send_failure(), reported)
    secure = report_id(node, secure)
    last_seal = report_seals(node, last_seal)
    reachability.report(node, reachable_over, kad.now())
    local is_new = state ~= last_state or reason ~= last_reason
    local has_changed = contacts ~= last_contacts
      and kad.now() - last_at >= CONTACTS_SECONDS
    if is_new and may_report(kad.now()) or not is_new and has_changed then
      report_state(state, contacts, reason, is_interactive)
      last_state, last_reason, last_contacts, last_at = state, reason, contacts,
        kad.now()
    end
    kad.sleep(WATCH_SECONDS)
  end
end

return M
