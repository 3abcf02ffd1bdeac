--- Checks policy files before a node runs.
--- Tested by tests/spec/cli/usage_spec.lua, tests/spec/cli/check_spec.lua.

local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")
local input = require("kadenza.cli.input")

local M = {}

-- Limit of a policy file: reading a device may not end.
local MAX_BYTES <const> = 1048576

-- Returns a hint for a name that resembles that of a policy that ships.
local function hint(path)
  return path:find("[/.]") and ""
    or input.suggestion(path, host.shipped("policies"))
end

local function read(path)
  local shipped = host.policy(path)
  if shipped then
    return shipped
  end
  local file, message = io.open(path, "rb")
  if not file then
    return nil, message .. hint(path)
  end
  local text, problem = file:read(MAX_BYTES + 1)
  file:close()
  if text and #text > MAX_BYTES then
    return nil, path .. ": larger than " .. MAX_BYTES .. " bytes"
  end
  return text or problem == nil and "", problem and path .. ": " .. problem
end

--- Raises a fault for a policy that cannot be read or is not Lua. Runs nothing.
---@param paths string[]
function M.check(paths)
  for _, path in ipairs(paths) do
    local text = fault.checked("policy", read(path))
    fault.checked("policy", load(text, "@" .. path, "t"))
  end
end

return M
