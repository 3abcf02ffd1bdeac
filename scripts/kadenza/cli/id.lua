--- kadenza id: prints a new random id, or the id in a state folder.
--- Tested by tests/spec/cli/commands_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local kad = require("kadenza")
local session = require("kadenza.cli.session")
local state = require("kadenza.state")

local MAX_BYTES <const> = 1 << 24

local M = {
  summary = "Print a new random id, or that of a state folder.",
  description = "Prints a new random id in hexadecimal; with --state, the id "
    .. "saved in that folder.",
  usage = "",
  settings = {
    flags = { "state", "id_bits", "json" },
    variables = { "id_bits", "json" },
  },
}

-- Checks that the file exists: state.load would create the folder.
local function saved_id(folder)
  local bytes, message, why = core.read_file(folder .. "/node.state", MAX_BYTES)
  if not bytes then
    fault.failed(message, why)
  end
  local loaded, problem, code = state.load(folder)
  if not loaded or not loaded.id then
    fault.failed(problem or folder .. ": the state has no id", code)
  end
  return loaded.id
end

local function random_id(bits)
  local network <close> = session.open()
  return network:random(bits // 8)
end

function M.run(_, settings)
  local id = kad.hex(settings.state and saved_id(settings.state)
    or random_id(settings.id_bits))
  return { id = id }, id .. "\n"
end

return M
