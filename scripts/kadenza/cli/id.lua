--- kadenza id: prints a new random id, one that fits an address, or the id in a
--- state folder.
--- Tested by tests/spec/cli/commands_spec.lua.

local config = require("kadenza.cli.config")
local fault = require("kadenza.cli.fault")
local kad = require("kadenza")
local schema = require("kadenza.cli.schema")
local session = require("kadenza.cli.session")
local state = require("kadenza.state")

local M = {
  summary = "Print a new random id, or that of a state folder.",
  description = "Prints a new random id in hexadecimal; with --for, one that "
    .. "fits the address of a node (BEP 42); with --state, the id saved in "
    .. "that folder. With both, fails if the saved id does not fit.",
  usage = "",
  settings = {
    flags = { "state", "id_bits", "json" },
    variables = { "id_bits", "json" },
  },
}

local OPTIONS <const> = {
  { name = "address", kind = "text", flag = "--for", argname = "ADDRESS",
    check = "host",
    text = "Address at which others see the node, such as 192.0.2.1." },
}

function M.arguments(command)
  return schema.add_options(command, OPTIONS)
end

local function saved_id(folder)
  local id, message, code = state.read_id(folder)
  if not id then
    fault.failed(message, code)
  end
  return id
end

local function new_id(bits, address)
  local network <close> = session.open()
  local random = network:random(bits // 8)
  return address and kad.bind_id(random, address) or random
end

function M.run(args, settings)
  local address = config.read_own(OPTIONS, args).address
  local id = settings.state and saved_id(settings.state)
    or new_id(settings.id_bits, address)
  if address and not kad.is_secure_id(id, address) then
    fault.failed(("%s does not fit %s"):format(kad.hex(id), address),
      "KAD_EID")
  end
  return { id = kad.hex(id) }, kad.hex(id) .. "\n"
end

return M
