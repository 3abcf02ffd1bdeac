--- The `kadenza` program: parses the command line and runs one command.
--
-- A command is a module kadenza.cli.NAME:
--
--     { summary = "…", description = "…", usage = "KEY [VALUE]",
--       more_usages = { "--other [VALUE]" }, -- further forms
--       example = "put greeting hello",
--       settings = …, -- a kadenza.cli.Settings
--       is_raw = true, -- its text is written byte for byte
--       start = function(args, settings) … end, -- before the first log line
--       arguments = function(command) … return options end,
--       run = function(args, settings, started) return document, text end }
--
-- `started` is what `start` has returned.
--
-- `arguments` adds arguments and options to a command of argparse and returns
-- the options; a command without any has no `arguments`. `run` returns its
-- result as a document (for JSON) and as a text, and the exit status if it is
-- not 0; or it raises a fault (kadenza.cli.fault).
--
-- Tested by tests/spec/cli/usage_spec.lua.

local argparse = require("argparse")

local config = require("kadenza.cli.config")
local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local log = require("kadenza.log")
local output = require("kadenza.cli.output")
local schema = require("kadenza.cli.schema")
local terminal = require("kadenza.cli.terminal")
local variables = require("kadenza.cli.variables")

local M = {}

local COMMANDS <const> = {
  "run", "status", "contacts", "records", "reload", "tail", "log", "repl",
  "put", "get", "watch", "announce", "peers", "lookup", "crawl", "ping", "id",
  "keygen", "dump", "load", "check", "new", "sim", "help", "version",
}

local WIDTH <const> = 79
local MARGIN <const> = 27

local EPILOG <const> = [[
First steps, on one machine:
  kadenza run --listen 127.0.0.1:7001 --allow-local
  kadenza put greeting hello --bootstrap 127.0.0.1:7001 --allow-local
  kadenza get greeting --bootstrap 127.0.0.1:7001 --allow-local

`kadenza help COMMAND` describes a command. The exit status is 0 on success,
1 if an operation failed, 2 for an error in the command line, a configuration
or a policy.]]

local function command_module(name)
  return require("kadenza.cli." .. name)
end

-- The class of an "error" that makes the program print a text and end.
local Text = {}

local function show_text(text)
  error(setmetatable({ text = text }, Text), 0)
end

-- Raises a usage fault. argparse puts its suggestion on a line of its own.
local function report_misuse(parser, message)
  fault.usage(parser:_get_fullname(),
    (message:gsub("\nDid you mean", "; did you mean")))
end

-- Configures a parser or command; returns its option for help.
local function configure(parser)
  parser.error = report_misuse
  local columns = terminal.columns(terminal.OUTPUT) or WIDTH + 1
  local width = math.min(WIDTH, columns - 1)
  parser:help_max_width(width)
  parser:help_description_margin(math.min(MARGIN, width // 3))
  parser:help_usage_margin(2)
  parser:add_help(false)
  return parser:flag("-h --help", "Show this help."):action(function()
    show_text(parser:get_help() .. "\n")
  end)
end

-- Returns the line of a form of a command.
local function usage(start, name, form)
  return (("%s kadenza %s [OPTION]... %s"):format(start, name, form)
    :gsub(" +$", ""))
end

local function add_command(parser, name)
  local module = command_module(name)
  local command = parser:command(name):summary(module.summary)
  local help = configure(command)
  command:description(module.description)
  local lines = { usage("Usage:", name, module.usage) }
  for _, form in ipairs(module.more_usages or {}) do
    lines[#lines + 1] = usage("      ", name, form)
  end
  command:usage(table.concat(lines, "\n"))
  if module.example then
    command:epilog("Example:\n  kadenza " .. module.example)
  end
  local options = module.arguments and module.arguments(command) or {}
  schema.add(command, module.settings, options, help)
end

--- Returns the parser of the command line.
---@return table parser  of argparse
function M.parser()
  local parser = argparse("kadenza", "A Kademlia DHT node with Lua policies.",
    EPILOG):command_target("command")
  configure(parser)
  parser:usage("Usage: kadenza COMMAND [OPTION]... [ARGUMENT]...")
  parser:flag("--version", "Print the version."):action(function()
    show_text(select(2, command_module("version").run()))
  end)
  for _, name in ipairs(COMMANDS) do
    add_command(parser, name)
  end
  return parser
end

--- Returns the commands in the order of the help.
---@return { name: string, module: table }[] commands
function M.commands()
  local list = {}
  for i, name in ipairs(COMMANDS) do
    list[i] = { name = name, module = command_module(name) }
  end
  return list
end

local function run_command(arguments, known)
  local args = M.parser():parse(arguments)
  local module = command_module(args.command)
  local settings = config.read(module.settings, args)
  known.json = settings.json
  log.configure({
    level = settings.log,
    format = settings.json and "json" or "text",
    write = output.log,
  })
  local started = module.start and module.start(args, settings)
  variables.warn()
  local document, text, status = module.run(args, settings, started)
  if document and settings.json then
    output.json(document)
  elseif document then
    (module.is_raw and output.write or output.text)(text)
  end
  if status then
    fault.finish(status)
  end
end

local function report(problem)
  if not problem.message then
    return
  end
  output.notice("kadenza: " .. problem.message .. "\n", "error")
  if problem.command then
    output.notice("Try '" .. problem.command .. " --help'.\n", "error")
  end
end

-- A message handler: adds a traceback to an error that is not a fault.
local function trace(problem)
  return type(problem) == "string" and debug.traceback(problem, 2) or problem
end

-- Calls `fn`; returns the exit status, and the fault that ended it if any.
local function guard(fn, ...)
  local ran, problem = xpcall(fn, trace, ...)
  if ran then
    return 0
  elseif getmetatable(problem) == Text then
    return guard(output.text, problem.text)
  elseif fault.is_out_of_memory(problem) then
    return guard(fault.failed, "out of memory", "KAD_ENOMEM")
  elseif not fault.is(problem) then
    error(problem, 0)
  end
  report(problem)
  return problem.status, problem
end

-- Tells whether a command line or its environment asks for JSON, also if it has
-- a mistake.
local function wants_json(arguments)
  for _, argument in ipairs(arguments) do
    if argument == "--json" then
      return true
    elseif argument == "--" then
      break
    end
  end
  local option = schema.BY_NAME.json
  return input.parse(option, os.getenv(schema.variable(option)) or "") == true
end

--- Runs the program.
---@param arguments string[]  without the program's name
---@return integer status
function M.main(arguments)
  local known = { json = wants_json(arguments) }
  local status, problem = guard(run_command, arguments, known)
  if problem and problem.message and known.json then
    guard(output.json, { error = problem.raw, code = problem.code
      or status == fault.MISUSED and "KAD_EINVAL" or nil })
  end
  return math.max(status, (guard(output.flush)))
end

return M
