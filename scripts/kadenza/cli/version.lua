--- kadenza version: prints the version.
--- Tested by tests/spec/cli/usage_spec.lua.

local kad = require("kadenza")

local M = {
  summary = "Print the version.",
  description = "Prints the version of the program.",
  usage = "",
  settings = { flags = { "json" }, variables = { "json" } },
}

function M.run(_, _)
  return { version = kad._VERSION:match("%S+$") }, kad._VERSION .. "\n"
end

return M
