--- kadenza help: describes the program, or one of its commands.
--- Tested by tests/spec/cli/help_spec.lua.

local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")

local M = {
  summary = "Describe a command.",
  description = "Prints what `kadenza COMMAND --help` prints; without COMMAND, "
    .. "the list of commands.",
  usage = "[COMMAND]",
  example = "help run",
  settings = { flags = {}, variables = {} },
}

function M.arguments(command)
  command:argument("topic", "A command."):args("?")
  return {}
end

-- Returns the parser of a command; raises a fault if there is none.
local function find(parser, name)
  local names = {}
  for i, command in ipairs(parser._commands) do
    names[i] = command._name
    if command._name == name then
      return command
    end
  end
  fault.usage("kadenza", ("there is no command %s%s"):format(input.shown(name),
    input.suggestion(name, names)))
end

function M.run(args)
  local parser = require("kadenza.cli").parser() -- it requires this module
  local topic = args.topic and find(parser, args.topic) or parser
  local text = topic:get_help() .. "\n"
  return { help = text }, text
end

return M
