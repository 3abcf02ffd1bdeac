--- Writes the completion of the program for bash, zsh and fish, from the
--- commands and options that the help also comes from (kadenza.cli,
--- kadenza.cli.schema).
--
-- The writers of the shells get a list of commands:
--
--     { name = "run", text = "Run a node",
--       options = { { names = { "--log" }, text = "Level of …", value = …,
--         repeats = true }, … },
--       arguments = { { name = "CONFIG", value = …, repeats = true }, … } }
--
-- A value is { words = { "on", "off" }, files = true, folders = true }: what it
-- may be. An option without one takes no value.

local cli = require("kadenza.cli")
local host = require("kadenza.host")
local schema = require("kadenza.cli.schema")

local M = {}

local FILES <const> = { words = {}, files = true }
local FOLDERS <const> = { words = {}, folders = true }
local ANYTHING <const> = { words = {} }
local POLICIES <const> = { words = host.shipped("policies"), files = true }

-- Values by what the help calls them.
local BY_ARGNAME <const> = { FILE = FILES, FILE2 = FILES, PATH = FILES,
  CONFIG = FILES, DIR = FOLDERS }

-- Values of arguments, by command and argument.
local BY_ARGUMENT <const> = {
  ["run config"] = FILES,
  ["check file"] = POLICIES,
  ["keygen file"] = FILES,
  ["load file"] = FILES,
  ["new kind"] = { words = { "policy" } },
  ["sim scenario"] = { words = host.shipped("scenarios"), files = true },
}

local function argname_of(element)
  local name = element._argname
  return type(name) == "table" and name[1] or name
end

-- Returns the words of "on|off"; nil for another text.
local function split_words(text)
  if not text:find("|", 1, true) then
    return nil
  end
  local words = {}
  for word in text:gmatch("[^|]+") do
    words[#words + 1] = word
  end
  return { words = words }
end

-- Returns the choices of an option as texts.
local function choices_of(option)
  local words = {}
  for i, choice in ipairs(option.choices) do
    words[i] = tostring(choice)
  end
  return { words = words }
end

-- Returns the value of an option of the table; nil if its argname tells more.
local function value_in_table(option)
  if option.check == "policy" then
    return POLICIES
  end
  return option.choices and choices_of(option)
end

-- Returns the value of an option of argparse, or nil if it takes none.
local function value_of(element)
  if element._maxargs == 0 then
    return nil
  end
  local argname = argname_of(element) or ""
  local option = schema.BY_FLAG[element._name]
  local is_own = not option or option.argname ~= argname
  return not is_own and value_in_table(option) or BY_ARGNAME[argname]
    or split_words(argname) or ANYTHING
end

-- Returns the first sentence of a text, without its end.
local function first_sentence(text)
  return ((text:match("^(.-)%.%s") or text):gsub("%.$", ""))
end

local function describe_options(command)
  local options = {}
  for i, element in ipairs(command._options) do
    options[i] = {
      names = element._aliases,
      text = first_sentence(element._description),
      value = value_of(element),
      repeats = element._maxcount > 1,
    }
  end
  return options
end

local function describe_arguments(command, names)
  local arguments = {}
  for i, element in ipairs(command._arguments) do
    local key = command._name .. " " .. element._name
    arguments[i] = {
      name = element._name:upper(),
      value = key == "help topic" and { words = names } or BY_ARGUMENT[key]
        or ANYTHING,
      repeats = element._maxargs > 1,
    }
  end
  return arguments
end

--- Returns the commands of the program, and the options before a command.
---@return table[] commands
---@return table[] options
function M.commands()
  local parser = cli.parser()
  local commands, names = {}, {}
  for i, command in ipairs(parser._commands) do
    names[i] = command._name
  end
  for i, command in ipairs(parser._commands) do
    commands[i] = {
      name = command._name,
      text = first_sentence(command._summary),
      options = describe_options(command),
      arguments = describe_arguments(command, names),
    }
  end
  return commands, describe_options(parser)
end

--- The files below docs/completion, each with what writes its text.
---@type table<string, fun(commands: table[], options: table[]): string>
M.FILES = {
  ["kadenza.bash"] = require("docs.generate.completion.bash").script,
  ["_kadenza"] = require("docs.generate.completion.zsh").script,
  ["kadenza.fish"] = require("docs.generate.completion.fish").script,
}

return M
