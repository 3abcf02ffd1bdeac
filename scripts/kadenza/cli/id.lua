--- kadenza id: a new random id, or the id of a saved state.

local core = require("kadenza.core")

local M = { summary = "Print a new random id." }

function M.options(command)
  command:option("--bits", "160 or 256."):choices({ "160", "256" })
    :default("160")
end

function M.run(args)
  local network = assert(core.udp())
  local id = network:random(tonumber(args.bits) // 8)
  network:close()
  io.stdout:write(core.hex(id), "\n")
  return 0
end

return M
