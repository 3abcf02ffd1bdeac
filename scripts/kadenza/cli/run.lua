--- kadenza run: runs a node until a signal stops it.

local address_lists = require("kadenza.cli.address_lists")
local config = require("kadenza.cli.config")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")
local inherited = require("kadenza.cli.inherited")
local kad = require("kadenza")
local log = require("kadenza.log")
local network_keys = require("kadenza.cli.network_keys")
local output = require("kadenza.cli.output")
local policy_files = require("kadenza.cli.policy_files")
local reachability = require("kadenza.cli.reachability")
local reloading = require("kadenza.cli.reloading")
local remote = require("kadenza.cli.remote")
local schema = require("kadenza.cli.schema")
local services = require("kadenza.cli.services")
local session = require("kadenza.cli.session")
local sorted = require("kadenza.sorted")
local state_folder = require("kadenza.cli.state_folder")
local report = require("kadenza.cli.report")
local task = require("kadenza.task")

-- How long a stopping node hands off its records.
local LEAVE_SECONDS <const> = 3

local names = {}
for i, option in ipairs(schema.OPTIONS) do
  names[i] = option.name
end

local M = {
  summary = "Run a node.",
  description = "Runs a node until SIGINT (Ctrl-C) or SIGTERM. SIGHUP reloads "
    .. "the configuration, the policies, the lists of addresses and the "
    .. "network keys, SIGUSR1 logs statistics.\n\nEvery "
    .. "option may also be set in CONFIG, a file with one Lua table, or in the "
    .. "environment: KADENZA_K=20 overrides `k = 20` in the file, and --k 20 "
    .. "overrides both. --dump-config prints the resulting configuration as "
    .. "such a file.",
  usage = "[CONFIG]",
  example = "run --listen 127.0.0.1:7001 --allow-local --state var/node",
  settings = { flags = names, variables = names },
}

function M.arguments(command)
  command:argument("config", "Configuration file."):args("?")
  return { command:flag("--dump-config", "Print the configuration and end.") }
end

-------------------------------------------------------------- while it runs --

-- Prints what the services print, and a line for each socket, flushed for the
-- parent process.
local function print_addresses(node, own)
  own:announce()
  for _, address in ipairs(node:addresses()) do
    output.text(("kadenza: listening on %s id=%s\n"):format(address,
      kad.hex(node:id())))
  end
  output.flush()
end

-- Returns true if all of `known` are addresses of the node itself: it is the
-- first one, through which others join.
local function are_own(node, known)
  for _, name in ipairs(known) do
    if not remote.is_own(node, name) then
      return false
    end
  end
  return #known > 0
end

local function join(node, known)
  local info, message, code = node:bootstrap()
  if not node:is_open() then
    return
  elseif info then
    log.info("joined", { contacts = #node:contacts() })
  elseif are_own(node, known) then
    log.info("the bootstrap addresses are this node's own: others join "
      .. "through it", { bootstrap = table.concat(known, ",") })
  else
    log.warn("could not join yet, trying again", {
      error = remote.explain(node, known, message, code) })
  end
end

-- Rounds to microseconds. The result is a number in JSON, too.
local function round_seconds(seconds)
  return tonumber(("%.6f"):format(seconds))
end

-- Logs a line for each hook, by name. `time` is a histogram of its calls.
local function log_hooks(hooks)
  for _, name in ipairs(sorted(hooks)) do
    local fields = { hook = name }
    for key, value in pairs(hooks[name]) do
      fields[key] = value
    end
    fields.seconds = round_seconds(fields.seconds)
    fields.slowest = round_seconds(fields.slowest)
    fields.time = table.concat(fields.time, ",")
    fields.breaker_open = nil
    fields.breaker = hooks[name].breaker_open and "open" or "closed"
    log.info("statistics of a hook", fields)
  end
end

-- Logs statistics at any log level: a signal requested them.
local function log_stats(node)
  local stats = node:stats()
  local policies = stats.policies
  stats.policies = nil
  local before = log.configure({ level = "info" })
  log.info("statistics", stats)
  reachability.log(node)
  if policies then
    log.info("statistics of policies", { memory = policies.memory,
      clamped = policies.clamped, log_dropped = policies.log_dropped })
    log_hooks(policies.hooks)
  end
  log.restore(before)
end

----------------------------------------------------------------- start, end --

-- Makes `running.reload`, which reads the configuration again and returns the
-- outcome; nil while that is under way. `last_reload` has the last one.
local function add_reload(running)
  function running.reload()
    if running.is_reloading then
      return nil
    end
    running.is_reloading = true
    local _ <close> = setmetatable({}, { __close = function()
      running.is_reloading = false
    end })
    running.services:begin_reload()
    local options, outcome =
      reloading.run(running.node, M.settings, running.args, running.settings)
    running.settings = options
    running.services:reload(options)
    outcome.at, outcome.time = kad.now(), os.time()
    running.last_reload = outcome
    return outcome
  end
end

-- Handles signals for `running.node`, which is nil until it is open. SIGHUP has
-- two meanings: a terminal also sends it when it is closed.
local function handle_signals(network, running)
  local settings = running.settings
  local on_terminal = report.is_interactive(settings)
  local function stop()
    if not running.node then
      host.quit(0) -- nothing to stop yet
    end
    running.stop()
  end
  local function with_node(act)
    return function()
      if running.node and running.node:is_open() then
        kad.spawn(act, running.node)
      end
    end
  end
  local reload_node = with_node(function()
    while not running.reload() do
      kad.sleep(0.1) -- another one is under way, and may have read the old file
    end
  end)
  network:on_signal("SIGTERM", stop)
  network:on_signal("SIGINT", stop)
  network:on_signal("SIGHUP", function()
    local is_closed = on_terminal and not report.is_interactive(settings)
    return (is_closed and stop or reload_node)()
  end)
  network:on_signal("SIGUSR1", with_node(log_stats))
  local watches, problem = core.start_watchdog()
  if not watches then -- the node runs all the same
    log.warn("no signal can end a script that blocks", { reason = problem })
  end
end

-- Returns the addresses that the node will have.
local function addresses_of(settings)
  return settings.inherited and settings.inherited.addresses or settings.listen
end

-- Chooses the folder for the records of a node without --state.
local function choose_folder(settings)
  if settings.store ~= "lmdb" or settings.state then
    return
  end
  local folder = state_folder.default(addresses_of(settings)[1])
  if not folder then
    return
  end
  local made, message = state_folder.make_parents(folder)
  if not made then
    log.warn("the records are in memory: there is no folder for them",
      { error = message })
    return
  end
  settings.state = folder
end

local function open_node(settings)
  local node, message, code = kad.node(config.node_options(settings))
  if not node then
    fault.not_opened(message, code)
  end
  network_keys.report(settings.network_keys)
  address_lists.set(node, settings.address_lists)
  settings.policy_texts = nil -- a reload reads the files again
  settings.address_lists = nil
  return node
end

local function warn_of_martians(settings)
  for _, address in ipairs(addresses_of(settings)) do
    local problem = remote.listen_problem(address, settings.allow_local)
    if problem then
      log.warn(problem, { listen = address })
    end
  end
end

local function start(network, settings, running)
  handle_signals(network, running)
  running.node = open_node(settings)
  running.services:start(running)
  print_addresses(running.node, running.services)
  running.log_start()
  local is_interactive = report.is_interactive(settings)
  if is_interactive then
    report.greet(running.node, running.args, settings)
  end
  if settings.inherited then
    log.info("serves on the sockets of the service manager, not on --listen")
  end
  warn_of_martians(settings)
  if #settings.bootstrap + #running.node.saved_contacts > 0 then
    kad.spawn(join, running.node, settings.bootstrap)
  end
  kad.spawn(report.watch, running.node, is_interactive)
end

-- Hands off the node's records, for some seconds; a second signal ends that.
local function leave(running)
  kad.wait(function(resume)
    running.stop = resume
    running.node:leave(LEAVE_SECONDS, resume)
  end)
end

local function serve(args, settings, log_start)
  local running = { args = args, settings = settings, log_start = log_start }
  local stopped = false
  add_reload(running)
  choose_folder(settings)
  local own <close> = services.prepare(settings)
  running.services = own
  function running.stop()
    stopped = true
  end
  start(task.network(), settings, running)
  collectgarbage()
  -- As `lua` does: what requests leave is young, and goes in short collections.
  -- An incremental one ends with a pause of 1 to 2 ms, in which no datagram is
  -- read.
  collectgarbage("generational")
  if not stopped then
    kad.wait(function(resume)
      running.stop = resume
    end)
  end
  own:leave()
  leave(running)
  own:stop()
  running.node:close()
  log.info("stopped")
  host.quit(0)
end

--- Returns the function that logs how the node is configured.
function M.start(args, settings)
  return not args.dump_config and report.start(args, settings)
end

function M.run(args, settings, log_start)
  remote.check_local(settings.bootstrap, settings.allow_local, "--bootstrap ")
  settings.policy_texts = policy_files.read(settings.policies)
  settings.address_lists = address_lists.read(settings)
  if args.dump_config then
    output.write(config.dump(settings))
    return
  end
  settings.inherited = inherited.take()
  settings.network_keys = network_keys.read(settings)
  session.run(function()
    serve(args, settings, log_start)
  end)
end

return M
