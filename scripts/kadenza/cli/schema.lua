--- The table of the options of a node. Flags, help, configuration files,
--- environment variables, checks and the dump come from it.
--
-- The defaults and ranges of numbers are those of the core.
--
-- Tested by tests/spec/cli/config_spec.lua.

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
---@field limit? boolean  it is in the table `limits` of a file

local U32 <const> = 4294967295
local I64 <const> = math.maxinteger

-- Bytes in all that are held by default.
local MAX_BYTES <const> = 64 << 20

local ARGNAMES <const> = { ms = "MS", s = "SECONDS", bytes = "BYTES" }

local function number(name, default, min, max, unit, text)
  return {
    name = name,
    kind = "number",
    default = default,
    min = min,
    max = max,
    unit = unit,
    text = text,
    flag = "--" .. name:gsub("_", "-"),
    argname = ARGNAMES[unit] or "N",
    group = "Tuning",
  }
end

local function limit(...)
  local option = number(...)
  option.group = "Limits"
  option.limit = true
  return option
end

local function quota(...)
  local option = number(...)
  option.group = "Limits"
  return option
end

--- Every option, in the order of the help and of the dump.
---@type kadenza.cli.Option[]
M.OPTIONS = {
  {
    name = "listen", kind = "list", flag = "--listen", argname = "ADDR:PORT",
    default = { "0.0.0.0:6881" }, check = "listen", min = 1, max = 8,
    text = "Address to listen on, such as 0.0.0.0:6881 or [::]:6881; port 0 "
      .. "takes a free one. May be repeated.",
  },
  {
    name = "bootstrap", kind = "list", flag = "--bootstrap",
    argname = "HOST:PORT", default = {}, check = "remote",
    text = "Node to join the overlay through. May be repeated.",
  },
  {
    name = "policies", kind = "list", flag = "--policy", argname = "FILE",
    default = {}, check = "policy",
    text = "Policy, a Lua file. May be repeated.",
  },
  {
    name = "trust", kind = "list", flag = "--trust", argname = "FILE",
    default = {}, check = "policy",
    text = "Trust this one of the policies: it has the whole standard library "
      .. "of Lua, files and processes too. May be repeated.",
  },
  {
    name = "state", kind = "text", flag = "--state", argname = "DIR",
    check = "path",
    text = "Folder that keeps id, contacts and own records between runs; made "
      .. "if missing.",
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
    name = "allow_local", kind = "switch", flag = "--allow-local",
    default = false,
    text = "Admit loopback and private addresses, which are ignored "
      .. "otherwise: for nodes on one machine or in one building.",
  },
  {
    name = "read_only", kind = "switch", flag = "--read-only",
    default = false, text = "Ask, never serve (BEP 43).",
  },
  {
    name = "log", kind = "choice", flag = "--log", argname = "LEVEL",
    default = "info", choices = { "error", "warn", "info", "debug", "off" },
    text = "What to log on standard error: error, warn, info, debug or off.",
  },
  {
    name = "json", kind = "switch", flag = "--json", default = false,
    text = "Print results, and log events, as JSON.",
  },
  number("k", 8, 1, 64, nil,
    "Contacts a bucket, and width of lookups and stores."),
  number("alpha", 3, 1, 32, nil,
    "Queries in flight on each path of a lookup."),
  number("beta", 3, 1, 32, nil,
    "Queries that an answer which came closer lets go out at once; 1: as in "
      .. "the paper."),
  number("paths", 1, 1, 16, nil,
    "Disjoint paths of a lookup: several find what is stored though contacts "
      .. "lie."),
  number("far_contacts", 0, 0, 128, nil,
    "Room of the farthest bucket, half as much in each next one, k at least."),
  number("lookup_ms", 20000, 1, U32, "ms", "Longest that a lookup may take."),
  number("query_ms", 4000, 1, 60000, "ms", "Longest that a query may take."),
  number("refresh_s", 3600, 1, U32, "s",
    "Refresh a bucket that was not looked into for so long."),
  number("ping_s", 600, 1, U32, "s",
    "Ping a contact that was silent for so long."),
  number("neighbour_s", 180, 0, U32, "s",
    "While records are held, ask one of the closest contacts that was silent "
      .. "for so long; 0: never."),
  number("token_s", 300, 1, U32, "s",
    "Slot of a write token; the last two slots are accepted."),
  number("stores_per_s", 80, 0, U32, "1/s",
    "Own stores to republish, hand over, repair and cache records."),
  {
    name = "cache", kind = "switch", flag = "--cache", argname = "on|off",
    default = true,
    text = "A get leaves a short-lived copy of what it found near the key.",
  },
  {
    name = "repair", kind = "switch", flag = "--repair", argname = "on|off",
    default = true,
    text = "A get gives holders the records that they lack.",
  },
  number("max_reply", 1232, 512, 1452, "bytes",
    "Largest datagram that is sent."),
  number("max_lookups", 64, 1, U32, nil, "Lookups at once; others wait."),
  number("max_pending_hooks", 10000, 0, U32, nil,
    "Questions that may wait for a policy at once."),
  number("policy_memory", 64 << 20, 1 << 20, 1 << 40, "bytes",
    "Memory of all policy files."),
  number("policy_instructions", 20000000, 100000, 1 << 40, nil,
    "Instructions of Lua that policies may run at a stretch."),
  {
    name = "version", kind = "text", flag = "--wire-version",
    argname = "TEXT", default = "KZ\0\1", check = "version", group = "Tuning",
    text = "Version in messages (BEP 5), 4 bytes.",
  },
  {
    name = "limits", kind = "switch", flag = "--limits", argname = "on|off",
    default = true, group = "Limits",
    text = "Rate limits, on or off: off is for measurements.",
  },
  limit("queries_per_s", 4000, 1, U32, "1/s", "Queries served in all."),
  limit("queries_per_s_address", 100, 1, U32, "1/s",
    "Queries served an address."),
  limit("queries_per_s_subnet", 400, 1, U32, "1/s",
    "Queries served a subnet, /24 or /64."),
  limit("bytes_per_s", 1250000, 1, I64, "bytes/s", "Bytes of replies in all."),
  quota("max_bytes", MAX_BYTES, 0, I64, "bytes", "Bytes of records held."),
  quota("max_records", 200000, 0, U32, nil, "Records held."),
  quota("max_publications", 10000, 0, U32, nil,
    "Records of its own that the node keeps."),
  quota("max_records_address", 5000, 0, U32, nil,
    "Records held of one address."),
}

--- The options by name.
---@type table<string, kadenza.cli.Option>
M.BY_NAME = {}
for _, option in ipairs(M.OPTIONS) do
  M.BY_NAME[option.name] = option
end

--- Returns the name of the environment variable of an option.
---@param option kadenza.cli.Option
---@return string name
function M.variable(option)
  return "KADENZA_" .. option.name:upper()
end

-- Returns the sentence of the help about a default.
local function default_text(option, default)
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
    :description(option.text .. default_text(option, default))
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
