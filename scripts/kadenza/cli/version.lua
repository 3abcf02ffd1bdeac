--- kadenza version.

local kad = require("kadenza")

local M = { summary = "Print the version." }

function M.options(_) end

function M.run(_)
  io.stdout:write(kad._VERSION, "\n")
  return 0
end

return M
