--- The network of a command: a machine that has no room for one is a fault.
--- Tested by tests/spec/cli/host_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local kad = require("kadenza")

local M = {}

--- Opens a network of UDP sockets.
---@return kadenza.core.Network network  for a `<close>` variable
function M.open()
  local network, message, code = core.udp()
  if not network then
    fault.failed(message, code)
  end
  return network
end

--- Runs `fn` as the main task of a network. A signal ends the program, unless
--- the task handles it.
---@param fn async fun(): ...
---@return any ...
function M.run(fn)
  return kad.run(fn, { signals = false, network = M.open() })
end

return M
