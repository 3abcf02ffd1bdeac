--- Files that commands look for and make.
--- Tested by tests/spec/cli/new_spec.lua, tests/spec/cli/commands_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")

local M = {}

--- Tells whether a file or folder exists; raises a fault if that is unknown.
---@param path string
---@return boolean
function M.exists(path)
  local found, message, code = core.exists(path)
  if found == nil then
    fault.failed(message, code)
  end
  return found ~= false
end

--- Raises a fault if a file or folder exists.
---@param path string
function M.check_absent(path)
  if M.exists(path) then
    fault.failed(path .. " exists and is left unchanged")
  end
end

--- Makes a folder, and those that contain it; raises a fault on failure.
---@param path string
function M.make_folder(path)
  local made, message, code = core.make_folder(path)
  if not made then
    fault.failed(message, code)
  end
end

--- Writes a file; raises a fault on failure.
---@param path string
---@param text string
---@param who? "private"  readable by its owner only
function M.write(path, text, who)
  local written, message, code = core.write_file(path, text, who)
  if not written then
    fault.failed(message, code)
  end
end

return M
