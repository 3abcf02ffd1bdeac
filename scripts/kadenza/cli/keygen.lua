--- kadenza keygen: a new Ed25519 key pair.

local core = require("kadenza.core")

local M = { summary = "Print a new key pair." }

function M.options(_) end

function M.run(_)
  local publisher, secret = core.keypair()
  io.stdout:write("publisher ", core.hex(publisher), "\nsecret ",
    core.hex(secret), "\n")
  return 0
end

return M
