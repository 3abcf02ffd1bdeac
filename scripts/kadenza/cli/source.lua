--- Checks the policy files of a command line before a node runs, and reports
--- why a node could not be opened.
--
-- Tested by tests/spec/cli/usage_spec.lua, tests/spec/cli/check_spec.lua.

local fault = require("kadenza.cli.fault")

local M = {}

-- Codes of failures of the machine; other codes are errors of the user's input.
local FAILURES <const> = {
  KAD_EADDRINUSE = true,
  KAD_EADDRNOTAVAIL = true,
  KAD_EACCESS = true,
  KAD_ESYSTEM = true,
  KAD_ENOMEM = true,
}

-- Limit of a policy file: reading a device may not end.
local MAX_BYTES <const> = 1048576

local function read(path)
  local file, message = io.open(path, "rb")
  if not file then
    return nil, message
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
    local text, message = read(path)
    if not text then
      fault.misuse("policy %s", message)
    end
    local chunk, problem = load(text, "@" .. path, "t")
    if not chunk then
      fault.misuse("policy %s", problem)
    end
  end
end

--- Raises a fault for a node that could not be opened.
---@param message string
---@param code? kadenza.Code
function M.report(message, code)
  if FAILURES[code] then
    fault.failed(message, code)
  end
  fault.misuse("%s", message)
end

return M
