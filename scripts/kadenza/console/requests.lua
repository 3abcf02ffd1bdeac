--- The commands that a running node answers at its consoles.
--- Tested by tests/spec/cli/status_spec.lua.

local status = require("kadenza.console.status")

local M = {}

--- Returns the functions that answer the commands, by their names.
---@param running table  as of kadenza.console.status
---@param server kadenza.ConsoleServer
---@return table<string, fun(request: table, console: kadenza.Console): table?,
---  any, string?> handlers
function M.of(running, server)
  return {
    status = function()
      return status.of(running, server:stats()), status.ORDER
    end,
  }
end

return M
