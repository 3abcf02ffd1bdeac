--- Writes the manual page of the program from the commands and options that
--- the help also comes from (kadenza.cli, kadenza.cli.schema), and from the
--- texts below.

local cli = require("kadenza.cli")
local schema = require("kadenza.cli.schema")

local M = {}

local DESCRIPTION <const> = [[
.B kadenza run
runs a node of a distributed hash table until a signal stops it. Once the node
can be reached, it prints a line for each socket on standard output:
.PP
.RS
kadenza: listening on 127.0.0.1:7001 id=0123...
.RE
.PP
.BR put ", " get ", " watch ", " announce ", " peers ", " lookup " and " crawl
join an overlay through
.BR \-\-bootstrap ,
do one thing, print the result and end.
.B ping
asks one node, and the other commands need no network.
.B kadenza help
.I COMMAND
prints what this page says about a command.
]]

local FILES <const> = [[
.TP
.I CONFIG
The configuration of
.BR "kadenza run" :
one Lua table, such as
.BR "{ k = 20 }" ,
which is read as data and never run. Its fields are the names of the variables
in lower case without KADENZA_, and the four limits after
.B limits
are fields of a table of that name. Variables override it, and options override
both.
.B \-\-dump\-config
prints the resulting configuration as such a file, and ends.
.TP
.I DIR/node.state
In the folder of
.BR \-\-state :
the id and the contacts of the node. Written every five minutes and at the end.
.TP
.I DIR/own.state
In the same folder: the publications of the node.
.TP
.I DIR/own.journal
In the same folder: what has changed in the publications since.
.TP
.I DIR/node.lock
In the same folder: the process that uses it. The node removes the file when it
ends; one that is left behind locks nothing.
.TP
.I DIR/console
In the same folder: the socket of the console, through which
.B kadenza status
and the like reach the node that runs. Beside it is
.IR console.lock .
.TP
.I FILE.new
A file that is being written, before it replaces
.IR FILE .
.TP
.I FILE.corrupt
A file of the state folder that is corrupt, or a copy of one that is in parts;
.IR FILE.corrupt.2 " to " FILE.corrupt.8
are older ones.
]]

local REST <const> = [[
.SH EXIT STATUS
.TP
.B 0
Success.
.TP
.B 1
An operation failed: nothing found, no reply, a port in use, a full disk, too
few descriptors, no memory; or
.B kadenza check
has found a mistake; or a run of
.B kadenza sim
missed an expectation of its scenario, failed or was interrupted.
.TP
.B 2
A mistake in the command line, the configuration, a variable or a policy.
.TP
.B 3
A bug in the program.
.TP
.B 141
The reader of standard output, a pipe, has ended (SIGPIPE).
.SH SIGNALS
.TP
.BR SIGINT ", " SIGTERM
Stop cleanly: hand records off and save the state.
.TP
.B SIGHUP
Read the configuration again, with the same variables and options over it, and
load the policies again. If one of them has a mistake, nothing changes. The log
names the options that have changed, and those that need a restart.
.TP
.B SIGUSR1
Log the statistics.
.SH EXAMPLES
.nf
kadenza run \-\-listen 127.0.0.1:7001 \-\-allow\-local
kadenza put greeting hello \-\-bootstrap 127.0.0.1:7001 \-\-allow\-local
kadenza get greeting \-\-bootstrap 127.0.0.1:7001 \-\-allow\-local
.fi
]]

-- Escapes what roff would read as a request, an escape or a hyphen.
local function escape(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^[.']", "\\&%0")
    :gsub("\n([.'])", "\n\\&%1"))
end

-- Escapes an argument of a macro.
local function quote(text)
  return '"' .. escape(text):gsub('"', "\\(dq") .. '"'
end

-- Returns an entry of a list: the term in bold, its argument in italics.
local function entry(term, argument, text)
  local head = argument
      and (".BI %s %s"):format(quote(term), quote(" " .. argument))
    or (".B %s"):format(quote(term))
  return (".TP\n%s\n%s\n"):format(head, escape(text))
end

-- Returns the forms of a command.
local function forms_of(module)
  return { module.usage, table.unpack(module.more_usages or {}) }
end

local function synopsis(commands)
  local lines = {}
  for _, command in ipairs(commands) do
    for _, form in ipairs(forms_of(command.module)) do
      lines[#lines + 1] = (".B kadenza %s\n.RI %s\n"):format(command.name,
        quote(("[OPTION]... " .. form):gsub(" $", "")))
    end
  end
  return table.concat(lines, ".br\n")
end

local function argname_of(element)
  local name = element._argname
  return type(name) == "table" and name[1] or name
end

-- Returns the elements of a command that are not options of a node.
local function own_entries(command)
  local parts = {}
  for _, argument in ipairs(command._arguments) do
    parts[#parts + 1] =
      entry(argument._name:upper(), nil, argument._description)
  end
  for _, option in ipairs(command._options) do
    if not schema.BY_FLAG[option._name] and option._name ~= "-h" then
      parts[#parts + 1] =
        entry(option._name, argname_of(option), option._description)
    end
  end
  return table.concat(parts)
end

local function node_options(module)
  local flags = {}
  for i, name in ipairs(module.settings.flags) do
    flags[i] = schema.BY_NAME[name].flag
  end
  if #flags == 0 then
    return ""
  elseif #flags == #schema.OPTIONS then
    return ".PP\nTakes all options below.\n"
  end
  return (".PP\nTakes, of the options below, %s.\n"):format(
    escape(table.concat(flags, ", ")))
end

local function list_commands(commands, parser)
  local by_name, parts = {}, {}
  for _, command in ipairs(parser._commands) do
    by_name[command._name] = command
  end
  for i, command in ipairs(commands) do
    local module = command.module
    parts[i] = (".SS %s\n%s\n%s%s"):format(
      quote(("kadenza %s [OPTION]... %s"):format(command.name, module.usage)
        :gsub(" $", "")),
      escape(module.description):gsub("\n\n", "\n.PP\n"),
      own_entries(by_name[command.name]), node_options(module))
  end
  return table.concat(parts)
end

-- Returns the range and unit of a number as a sentence after a blank, or "".
local function range_of(option)
  if option.kind ~= "number" then
    return ""
  end
  return (" From %d to %d%s."):format(option.min, option.max,
    option.unit and " " .. option.unit or "")
end

local function list_options()
  local parts = {}
  for i, option in ipairs(schema.OPTIONS) do
    parts[i] = entry(option.flag, option.argname, option.text
      .. schema.default_text(option, option.default) .. range_of(option)
      .. (option.live and " Reloaded at SIGHUP." or ""))
  end
  return table.concat(parts)
end

local FORMS <const> = {
  list = "a list with blanks or commas between", switch = "on or off",
}

local function list_variables()
  local parts = {}
  for i, option in ipairs(schema.OPTIONS) do
    local form = FORMS[option.kind]
    parts[i] = entry(schema.variable(option), nil,
      ("As %s%s."):format(option.flag, form and ": " .. form or ""))
  end
  return ([[
An option that is not given is read from its variable. Commands other than
.B run
read only those of options that they take, and neither
.B KADENZA_LISTEN
nor
.BR KADENZA_ID .
Other variables that begin with KADENZA_ are reported and ignored.
An item of a list that contains blanks or commas is written in quotes,
"like this" or \(aqlike this\(aq.
]]) .. table.concat(parts) .. entry("PATH", nil,
    "Where sim --report finds gnuplot.")
end

--- Returns the manual page.
---@return string text
function M.page()
  local commands, parser = cli.commands(), cli.parser()
  return table.concat({
    '.\\" Generated by `make docs`.\n',
    '.TH KADENZA 1 "" "kadenza" "User Commands"\n',
    ".SH NAME\nkadenza \\- a Kademlia DHT node with Lua policies\n",
    ".SH SYNOPSIS\n", synopsis(commands),
    ".SH DESCRIPTION\n", DESCRIPTION,
    ".SH COMMANDS\n", list_commands(commands, parser),
    ".SH OPTIONS\n", list_options(),
    ".SH ENVIRONMENT\n", list_variables(),
    ".SH FILES\n", FILES,
    REST,
  })
end

return M
