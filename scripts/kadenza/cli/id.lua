--- kadenza id: prints a new random id, or the id in a state folder.
--- Tested by tests/spec/cli/commands_spec.lua.

local fault = require("kadenza.cli.fault")
local kad = require("kadenza")
local session = require("kadenza.cli.session")
local state = require("kadenza.state")

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

local function saved_id(folder)
  local id, message, code = state.read_id(folder)
  if not id then
    fault.failed(message, code)
  end
  return id
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
