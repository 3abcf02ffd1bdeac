--- The table of the options of a node. Flags, help, configuration files,
--- environment variables, checks and the dump come from it.
--- Tested by tests/spec/cli/config_spec.lua.

local core = require("kadenza.core")
local durable = require("kadenza.durable")
local node_options = require("kadenza.node_options")
local policy = require("kadenza.policy")

local M = {}

---@class kadenza.cli.Option
---@field name string  in a configuration file; KADENZA_NAME in the environment
---@field kind "number"|"switch"|"choice"|"text"|"list"
---@field text string  its description
---@field flag string  on the command line
---@field argname? string
---@field group? string  of the help
---@field default? any
---@field min? integer
---@field max? integer
---@field unit? string
---@field choices? any[]
---@field check? string  name of the check of a text, or of each item of a list
---@field noun? string  of the items of a list, in messages
---@field limit? boolean  it is in the table `limits` of a file
---@field live? boolean  a node that runs takes it over at SIGHUP

local ARGNAMES <const> = { ms = "MS", s = "SECONDS", bytes = "BYTES" }

-- The groups of the help of the core's other options, if not "Tuning".
local GROUPS <const> = { limits = "Limits", max_bytes = "Limits",
  max_records = "Limits", max_records_address = "Limits",
  max_records_publisher = "Limits",
  max_publications = "Limits", allow_local = "Options",
  read_only = "Options", secure_ids = "Options" }

local function flag_of(name)
  return "--" .. name:gsub("_", "-")
end

local function argname_of(row)
  if row.type == "boolean" then
    return row.default and "on|off" or nil
  elseif row.type == "choice" then
    return table.concat(row.choices, "|")
  end
  return ARGNAMES[row.unit] or "N"
end

-- The kinds of the types of the core.
local KINDS <const> = { boolean = "switch", choice = "choice",
  integer = "number" }

-- Returns an option of the core as an option of the program.
local function core_option(row)
  local is_limit = node_options.LIMITS[row.name] ~= nil
  return {
    name = row.name,
    kind = KINDS[row.type],
    flag = flag_of(row.name),
    argname = argname_of(row),
    group = is_limit and "Limits" or GROUPS[row.name] or "Tuning",
    default = row.default,
    choices = row.choices,
    min = row.min,
    max = row.max,
    unit = row.unit ~= "" and row.unit or nil,
    text = row.text,
    limit = is_limit,
    live = row.live,
  }
end

-- Returns an option for a budget of policy files.
local function budget_option(name, default, unit, text)
  local range = node_options.BUDGETS[name]
  return { name = name, kind = "number", flag = flag_of(name),
    default = default, min = range.from, max = range.to, unit = unit,
    argname = ARGNAMES[unit] or "N", group = "Tuning", text = text,
    live = true }
end

--- Every option, in the order of the help and of the dump: those of the program
--- and the library, those of the core (KAD_CONFIG_MAP), those of policies.
---@type kadenza.cli.Option[]
M.OPTIONS = {
  {
    name = "listen", kind = "list", flag = "--listen", argname = "ADDR:PORT",
    default = { "0.0.0.0:6881" }, check = "listen", min = 1, max = 8,
    text = "Address to listen on, such as 0.0.0.0:6881 or [::]:6881; port 0 "
      .. "is a free one. May be repeated.",
  },
  {
    name = "bootstrap", kind = "list", flag = "--bootstrap",
    argname = "HOST:PORT", default = {}, check = "remote",
    text = "Node to join the overlay through. May be repeated.",
  },
  {
    name = "policies", kind = "list", flag = "--policy", argname = "FILE",
    live = true,
    default = {}, check = "policy",
    text = "Policy: a Lua file, or the name of one that ships, such as "
      .. "counter. May be repeated.",
  },
  {
    name = "trust", kind = "list", flag = "--trust", argname = "FILE",
    live = true,
    default = {}, check = "policy",
    text = "Trust this file, one of the policies: it has the whole standard "
      .. "library of Lua, with files and processes. May be repeated.",
  },
  {
    name = "blocklist", kind = "text", flag = "--blocklist", argname = "FILE",
    live = true, check = "path",
    text = "File of blocked addresses: an address, a prefix such as "
      .. "192.0.2.0/24, or a range 192.0.2.1-192.0.2.9 a line; # begins a "
      .. "comment.",
  },
  {
    name = "exempt", kind = "text", flag = "--exempt", argname = "FILE",
    live = true, check = "path",
    text = "File of addresses, like that of --blocklist, whose queries the "
      .. "rate limits do not count.",
  },
  {
    name = "network_key", kind = "list", flag = "--network-key",
    argname = "FILE", live = true, default = {}, check = "path", max = 2,
    noun = "files",
    text = "File with the network key that seals the overlay: see "
      .. "`kadenza keygen --network`. Nodes without it get no answer. A second "
      .. "file has another key that is accepted, too.",
  },
  {
    name = "network_passphrase_file", kind = "text",
    flag = "--network-passphrase-file", argname = "FILE", live = true,
    check = "path",
    text = "File with the passphrase of the network key, one line.",
  },
  {
    name = "state", kind = "text", flag = "--state", argname = "DIR",
    check = "path",
    text = "Folder that keeps the id, contacts, publications and records "
      .. "between runs; made if missing. Without it: a folder for the first "
      .. "address of --listen in the user's state folder, unless the port is "
      .. "0 or --store is memory.",
  },
  {
    name = "console", kind = "text", flag = "--console", argname = "PATH",
    check = "path",
    text = "Socket of the node's console, for `kadenza status` and the like; "
      .. "only the user who runs the node may use it. off: none. Without it: "
      .. "the file `console` in the state folder, if there is one.",
  },
  {
    name = "store", kind = "choice", flag = "--store", argname = "STORE",
    default = "lmdb", choices = node_options.STORES,
    text = "Where the records are that the node holds for others: memory, or "
      .. "lmdb, the state folder, where they survive a restart.",
  },
  {
    name = "store_sync", kind = "choice", flag = "--store-sync",
    argname = "WHEN", default = "interval", choices = durable.SYNCS,
    text = "Acknowledge stores once they are written, and flush them to the "
      .. "disk every second (interval): a power failure loses that second. "
      .. "Or once they are flushed (commit).",
  },
  {
    name = "store_bytes", kind = "number", flag = "--store-bytes",
    argname = "BYTES", default = durable.BYTES.default,
    min = durable.BYTES.from, max = durable.BYTES.to, unit = "bytes",
    text = "Largest size of the file of records in the state folder.",
  },
  {
    name = "id", kind = "text", flag = "--id", argname = "HEX", check = "id",
    text = "The node's id in hexadecimal, instead of a random one.",
  },
  {
    name = "id_bits", kind = "choice", flag = "--id-bits", argname = "BITS",
    default = 160, choices = { 160, 256 },
    text = "Width of the overlay's ids: 160 (mainline) or 256.",
  },
  {
    name = "log", kind = "choice", flag = "--log", argname = "LEVEL",
    live = true,
    default = "info", choices = { "error", "warn", "info", "debug", "off" },
    text = "Level of the log on standard error: error, warn, info, debug or "
      .. "off.",
  },
  {
    name = "http", kind = "list", flag = "--http", argname = "ADDR:PORT",
    default = {}, check = "listen", max = 8, group = "HTTP",
    text = "Address to serve HTTP on, such as 127.0.0.1:8080; port 0 is a free "
      .. "one. Anyone who reaches it may read. May be repeated.",
  },
  {
    name = "http_host", kind = "list", flag = "--http-host", argname = "NAME",
    live = true, default = {}, check = "name", noun = "names", group = "HTTP",
    text = "Name by which the HTTP server may be called, beside localhost and "
      .. "IP addresses. May be repeated.",
  },
  {
    name = "http_origin", kind = "list", flag = "--http-origin",
    argname = "ORIGIN", live = true, default = {}, check = "origin",
    noun = "origins", group = "HTTP",
    text = "Site whose pages may use the HTTP server, such as "
      .. "https://example.org; * is all of them. May be repeated.",
  },
  {
    name = "http_token_file", kind = "text", flag = "--http-token-file",
    argname = "FILE", live = true, check = "path", group = "HTTP",
    text = "File with the token that a write over HTTP needs, one line of at "
      .. "least 16 characters. Without it there are no writes.",
  },
  {
    name = "http_connections", kind = "number", flag = "--http-connections",
    argname = "N", default = 512, min = 1, max = 60000, group = "HTTP",
    text = "HTTP connections at once.",
  },
  {
    name = "http_address_connections", kind = "number",
    flag = "--http-address-connections", argname = "N", default = 0, min = 0,
    max = 60000, group = "HTTP",
    text = "HTTP connections of one address at once; 0: as many as in all.",
  },
  {
    name = "http_body", kind = "number", flag = "--http-body",
    argname = "BYTES", default = 65536, min = 0, max = 67108864,
    unit = "bytes", group = "HTTP",
    text = "Largest body of an HTTP request.",
  },
  {
    name = "json", kind = "switch", flag = "--json", default = false,
    live = true,
    text = "Print results, and log events, as JSON.",
  },
}

for _, row in ipairs(core.config_options()) do
  table.insert(M.OPTIONS, core_option(row))
end

table.move({
  budget_option("policy_memory", policy.MEMORY, "bytes",
    "Memory of all policy files."),
  budget_option("policy_instructions", policy.INSTRUCTIONS, nil,
    "Lua instructions that policies may run without waiting."),
  {
    name = "version", kind = "text", flag = "--wire-version",
    argname = "TEXT", default = "KZ\0\1", check = "version", group = "Tuning",
    text = "Version in messages (BEP 5), 4 bytes.",
  },
}, 1, 3, #M.OPTIONS + 1, M.OPTIONS)

--- The options by name, and by flag.
---@type table<string, kadenza.cli.Option>
M.BY_NAME = {}
---@type table<string, kadenza.cli.Option>
M.BY_FLAG = {}
for _, option in ipairs(M.OPTIONS) do
  M.BY_NAME[option.name], M.BY_FLAG[option.flag] = option, option
end

--- The own option of commands that read or store a record.
---@type kadenza.cli.Option
M.RECORD_TYPE = { name = "type", kind = "text", flag = "--type",
  argname = "TYPE", default = "value", check = "type",
  text = "Record type that a --policy defines." }

--- The own option of commands that store something.
---@type kadenza.cli.Option
M.MIN_STORED = { name = "min_stored", kind = "number", flag = "--min-stored",
  min = 1, max = 20, argname = "N",
  text = "Fail if fewer nodes than N store it. Default: 1." }

--- Returns the name of the environment variable of an option.
---@param option kadenza.cli.Option
---@return string name
function M.variable(option)
  return "KADENZA_" .. option.name:upper()
end

--- Returns a sentence about the default of an option, after a blank; or "".
---@param option kadenza.cli.Option
---@param default any
---@return string text
function M.default_text(option, default)
  if type(default) == "table" then
    default = default[1]
  end
  if option.kind == "switch" or option.name == "version" or default == nil then
    return ""
  end
  return (" Default: %s."):format(default)
end

--- Adds an option to a command of argparse.
---@param command table
---@param option kadenza.cli.Option
---@param default? any  instead of the option's
---@return table element  of argparse
function M.add_option(command, option, default)
  if default == nil then
    default = option.default
  end
  local element
  if option.kind == "switch" and not option.argname then
    element = command:flag(option.flag)
  else
    element = command:option(option.flag):argname(option.argname)
  end
  if option.kind == "list" then
    element:count("*")
  end
  return element:target(option.name)
    :description(option.text .. M.default_text(option, default))
end

--- Adds a command's own options to it.
---@param command table
---@param options kadenza.cli.Option[]
---@return table[] elements  of argparse
function M.add_options(command, options)
  local elements = {}
  for i, option in ipairs(options) do
    elements[i] = M.add_option(command, option)
  end
  return elements
end

--- Adds the node options of a command of argparse, in groups.
---@param command table
---@param settings kadenza.cli.Settings
---@param own table[]  elements of argparse: the command's own options
---@param help table  element of argparse: the option that is listed last
function M.add(command, settings, own, help)
  local groups, order = { Options = own }, { "Options" }
  local defaults = settings.defaults or {}
  for _, name in ipairs(settings.flags) do
    local option = M.BY_NAME[name]
    local group = option.group or "Options"
    if not groups[group] then
      groups[group] = {}
      order[#order + 1] = group
    end
    table.insert(groups[group],
      M.add_option(command, option, defaults[name]))
  end
  table.insert(groups.Options, help)
  for _, group in ipairs(order) do
    command:group(group, table.unpack(groups[group]))
  end
end

return M
