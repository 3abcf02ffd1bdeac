--- kadenza run: a node until it is told to stop.

local common = require("kadenza.cli.common")
local kad = require("kadenza")
local log = require("kadenza.log")

local M = { summary = "Run a node." }

function M.options(command)
  common.node_options(command)
  command:option("--policy", "Policy file; may be repeated.")
    :argname("FILE"):count("*")
  command:option("--state", "Folder for id and contacts."):argname("DIR")
  command:flag("--read-only", "Ask, never serve (BEP 43).")
  command:option("--limits", "off: no rate limits."):choices({ "on", "off" })
end

local function node_options(args)
  return {
    listen = args.listen[1] and args.listen or { "0.0.0.0:6881" },
    bootstrap = args.bootstrap,
    policies = args.policy[1] and args.policy or nil,
    state = args.state,
    id = args.id,
    id_bits = args.id and #args.id == 64 and 256 or nil,
    allow_local = args.allow_local,
    read_only = args.read_only,
    limits = args.limits ~= "off",
  }
end

-- One line a socket, flushed, for whoever started us.
local function announce(node)
  for _, address in ipairs(node:addresses()) do
    io.stdout:write("kadenza: listening on ", address, " id=",
      kad.hex(node:id()), "\n")
  end
  io.stdout:flush()
end

local function join(node)
  local info, message = node:bootstrap()
  if info then
    log.info("joined", { contacts = #node:contacts() })
  else
    log.warn("could not join yet", { error = message })
  end
end

local function log_stats(node)
  log.info("statistics", node:stats())
end

local function reload(node)
  local done, message = node:reload()
  if done then
    log.info("policies reloaded")
  else
    log.error("policies not reloaded", { error = message })
  end
end

-- Runs until a signal says to stop.
local function serve(args)
  local node, message = kad.node(node_options(args))
  if not node then
    return common.failed(message)
  end
  local network = node:network()
  local stopped = kad.spawn(function()
    kad.wait(function(resume)
      network:on_signal("SIGTERM", resume)
      network:on_signal("SIGINT", resume)
    end)
  end)
  network:on_signal("SIGHUP", function()
    reload(node)
  end)
  network:on_signal("SIGUSR1", function()
    log_stats(node)
  end)
  announce(node)
  if #args.bootstrap > 0 then
    kad.spawn(join, node)
  end
  stopped:await()
  node:close()
  return 0
end

function M.run(args)
  common.configure_log(args, "info")
  local ok, status = pcall(kad.run, function()
    return serve(args)
  end)
  if not ok then
    return common.misused(tostring(status):gsub("^[^:]+:%d+: ", ""))
  end
  return status
end

return M
