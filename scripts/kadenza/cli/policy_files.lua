--- Reads and checks policy files before a node runs. The node gets the texts
--- that were checked: what becomes of the files meanwhile does not matter.
--- Tested by tests/spec/cli/usage_spec.lua, tests/spec/cli/check_spec.lua.

local chunk = require("kadenza.chunk")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")
local input = require("kadenza.cli.input")

local M = {}

-- Limit of a policy file, that of the policy host.
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
  local text, message, code = core.read_file(path, MAX_BYTES, "regular")
  return text, message and message .. hint(path), code
end

--- Returns the texts of policies by their paths. Raises a fault for one that
--- cannot be read or is not Lua. Runs nothing.
---@param paths string[]
---@return table<string, string> texts
function M.read(paths)
  local texts = {}
  for _, path in ipairs(paths) do
    fault.checked("FILE", input.path(path))
    texts[path] = texts[path] or fault.read("policy", read(path))
    fault.checked("policy", chunk.load(texts[path], path))
  end
  return texts
end

return M
