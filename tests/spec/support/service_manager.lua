--- Runs the program below a service manager (service_manager.py).
--
--     local node = manager.start({ "--socket", path }, { "run", … }, options)
--     node:wait_for("told READY=1", "stdout")
--     node:send("sighup")

local process = require("support.process")
local uv = require("luv")

local M = {}

local SCRIPT <const> = process.folder()
  .. "/tests/spec/support/service_manager.py"

-- Signals the program, not the manager.
local function send(self, name)
  local pid = self:wait_for("manager: pid %d+\n", "stdout")
    :match("manager: pid (%d+)\n")
  assert(uv.kill(tonumber(pid), name))
end

--- Starts the program. A spec that leaves it running ends it with `end_all`.
---@param own string[]  options of the manager
---@param args string[]  of the program
---@param options? table  as of process.start
---@return table process  with a method `send(signal)`
function M.start(own, args, options)
  local all = { SCRIPT, table.unpack(own) }
  table.move({ "--", process.program() }, 1, 2, #all + 1, all)
  table.move(args, 1, #args, #all + 1, all)
  options = options or {}
  options.path = "/usr/bin/python3"
  options.env = options.env or {}
  if own[1] == "--socket" then
    options.env.NOTIFY_SOCKET = options.env.NOTIFY_SOCKET or own[2]
  end
  local started = process.start(all, options)
  started.send = send
  return started
end

--- Starts `kadenza run` on a free port.
function M.start_node(own, args, options)
  return M.start(own, { "run", "--listen", "127.0.0.1:0", "--allow-local",
    "--store", "memory", table.unpack(args or {}) }, options)
end

--- Ends the program and its manager.
function M.stop(node)
  node:send("sigterm")
  return node:wait()
end

return M
