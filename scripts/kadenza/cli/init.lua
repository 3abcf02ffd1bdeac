--- The `kadenza` program: reads the command line and runs one command.
--
-- A command is a module kadenza.cli.NAME:
--
--     { summary = "…", options = function(command) … end,
--       run = function(args) return 0 end }
--
-- `run` returns the exit status: 0, 1 for a failed operation, 2 for misuse.

local argparse = require("argparse")

local M = {}

M.OK = 0
M.FAILED = 1
M.MISUSE = 2

local COMMANDS <const> = {
  "run", "get", "put", "announce", "peers", "ping", "lookup", "id", "keygen",
  "version",
}

local function command_module(name)
  return require("kadenza.cli." .. name)
end

-- Ends the program after a mistake on the command line: one line, status 2.
local function misuse(parser, message)
  io.stderr:write("kadenza: ", message, "\n")
  io.stderr:write("Try '", parser._name or "kadenza", " --help'.\n")
  os.exit(M.MISUSE)
end

local function make_parser()
  local parser = argparse("kadenza", "A Kademlia DHT node with Lua policies.")
    :command_target("command")
    :require_command(true)
    :help_max_width(79)
    :add_help("-h --help")
  parser.error = misuse
  for _, name in ipairs(COMMANDS) do
    local module = command_module(name)
    local command = parser:command(name, module.summary)
      :help_max_width(79)
    command.error = misuse
    module.options(command)
  end
  return parser
end

--- Runs the program.
---@param arguments string[]  without the program's name
---@return integer status
function M.main(arguments)
  local args = make_parser():parse(arguments)
  return command_module(args.command).run(args)
end

return M
