--- The configuration of a command: defaults, a file, environment variables and
--- flags. Each overrides the ones before it.
--
-- A file is one Lua table, read as data:
--
--     { listen = "0.0.0.0:6881", bootstrap = { "192.0.2.1:6881" }, k = 20 }

local fault = require("kadenza.cli.fault")
local input = require("kadenza.cli.input")
local layout = require("kadenza.cli.layout")
local literal = require("kadenza.literal")
local schema = require("kadenza.cli.schema")

local M = {}

local WIDTH <const> = 79 -- of the comments of a dump

-- Checks a value and puts it into `values`. `where` begins a message about it.
local function set_value(values, option, value, where)
  values[option.name] = fault.checked(where, input.option(option, value))
end

-------------------------------------------------------------------- file --

local function names_of(in_limits)
  local names = {}
  for _, option in ipairs(schema.OPTIONS) do
    if in_limits == (option.limit or false) then
      names[#names + 1] = option.name
    end
  end
  return names
end

-- Returns the names of the fields of a table of the file, sorted by line, so
-- that the message is about the first mistake.
local function sorted_fields(fields, lines)
  local sorted = {}
  for name in pairs(fields) do
    sorted[#sorted + 1] = name
  end
  table.sort(sorted, function(a, b)
    local line_a, line_b = lines[fields][a], lines[fields][b]
    if line_a ~= line_b then
      return line_a < line_b
    end
    return tostring(a) < tostring(b)
  end)
  return sorted
end

-- Raises a fault for a name that does not belong in this table.
local function reject_name(where, name, in_limits)
  local option = schema.BY_NAME[name]
  if option then
    fault.misuse("%s '%s' must be %s the table 'limits'", where, name,
      option.limit and "in" or "outside of")
  end
  fault.misuse("%s unknown option %s%s", where, input.shown(name),
    input.suggestion(tostring(name), names_of(in_limits)))
end

local function read_fields(file, fields, in_limits)
  for _, name in ipairs(sorted_fields(fields, file.lines)) do
    local option = schema.BY_NAME[name]
    local where = ("%s:%d:"):format(file.path, file.lines[fields][name])
    local value = fields[name]
    if name == "limits" and not in_limits and type(value) == "table" then
      file.values.limits = true
      read_fields(file, value, true)
    elseif not option or in_limits ~= (option.limit or false) then
      reject_name(where, name, in_limits)
    else
      set_value(file.values, option, value, where .. " " .. name)
    end
  end
end

local function read_file(path, values, kind)
  local fields, lines, code = literal.read(path, kind)
  fault.read("", fields, lines, code)
  read_fields({ path = path, lines = lines, values = values }, fields, false)
end

------------------------------------------------- environment, command line --

local function read_environment(names, values)
  for _, name in ipairs(names) do
    local option = schema.BY_NAME[name]
    local variable = schema.variable(option)
    local text = os.getenv(variable)
    if text and text ~= "" then
      local value = fault.checked(variable, input.parse(option, text))
      set_value(values, option, value, variable)
    end
  end
end

-- argparse represents an absent list option as an empty list.
local function is_given(value)
  return value ~= nil and (type(value) ~= "table" or #value > 0)
end

local function read_flag(option, args, values)
  local given = args[option.name]
  if is_given(given) then
    if type(given) == "string" then
      given = input.parse(option, given)
    end
    set_value(values, option, given, option.flag)
  end
end

--- Reads the options of one command only: flags and defaults.
---@param options kadenza.cli.Option[]
---@param args table  of the command line
---@return table<string, any> values  by name
function M.read_own(options, args)
  local values = {}
  for _, option in ipairs(options) do
    values[option.name] = option.default
    read_flag(option, args, values)
  end
  return values
end

----------------------------------------------------------------- combine --

-- Sets `id_bits` from `id`; raises a fault if both are given and differ.
local function resolve_id_bits(values)
  local bits = values.id and #values.id * 4
  if values.id_bits and bits and values.id_bits ~= bits then
    fault.misuse("id must have %d hexadecimal digits in an overlay of %d bits",
      values.id_bits // 4, values.id_bits)
  end
  values.id_bits = values.id_bits or bits
end

-- Moves the trust of { file = path, trusted = true } to `trust`. Raises a fault
-- if `trust` names a file that is not among the policies.
local function resolve_trust(values)
  local paths, trusted = {}, {}
  for i, policy in ipairs(values.policies) do
    local is_path = type(policy) == "string"
    paths[i] = is_path and policy or policy.file
    paths[paths[i]] = true
    trusted[#trusted + 1] = not is_path and policy.trusted and paths[i] or nil
  end
  for _, path in ipairs(values.trust) do
    if not paths[path] then
      fault.misuse("trust: %s is not one of the policies", input.shown(path))
    end
    trusted[#trusted + 1] = path
  end
  values.policies = table.move(paths, 1, #values.policies, 1, {})
  values.trust = trusted
end

--- The node options of a command.
---@class kadenza.cli.Settings
---@field flags string[]  names of options on its command line
---@field variables string[]  names of options read from the environment
---@field defaults? table  its defaults, where they differ

--- Reads the configuration of a command. Raises a fault for a mistake.
---@param settings kadenza.cli.Settings
---@param args table  of argparse; `args.config` is the path of a file
---@param kind? "regular"  of the file; without it, it may be a pipe
---@return table<string, any> settings  by name
function M.read(settings, args, kind)
  local given = {}
  if args.config then
    read_file(fault.checked("CONFIG", input.path(args.config)), given, kind)
  end
  read_environment(settings.variables, given)
  for _, name in ipairs(settings.flags) do
    read_flag(schema.BY_NAME[name], args, given)
  end
  resolve_id_bits(given)
  local effective = {}
  for _, option in ipairs(schema.OPTIONS) do
    effective[option.name] = option.default
  end
  for _, values in ipairs({ settings.defaults or {}, given }) do
    for name, value in pairs(values) do
      effective[name] = value
    end
  end
  resolve_trust(effective)
  return effective
end

-- Options of the program, which kad.node does not have.
local PROGRAM <const> = { log = true, json = true, trust = true,
  blocklist = true, exempt = true, policy_texts = true, address_lists = true,
  network_key = true, network_passphrase_file = true, network_keys = true,
  console = true,
  http = true, http_host = true, http_origin = true, http_token_file = true,
  http_connections = true, http_address_connections = true, http_body = true,
  inherited = true }

local function limits_of(values)
  if values.limits == false then
    return false
  end
  local limits = {}
  for _, option in ipairs(schema.OPTIONS) do
    if option.limit then
      limits[option.name] = values[option.name]
    end
  end
  return next(limits) and limits or true
end

-- Returns the policies as an option of kad.node.
local function policies_of(values)
  local trusted, policies, texts = {}, {}, values.policy_texts or {}
  for _, path in ipairs(values.trust or {}) do
    trusted[path] = true
  end
  for i, path in ipairs(values.policies) do
    policies[i] = { file = path, text = texts[path], trusted = trusted[path] }
  end
  return policies
end

--- Returns a configuration as options of kad.node.
---@param values table  by name; `policy_texts` has the texts of policies that
---  were read already, by path, `network_keys` the network keys, and
---  `inherited` the sockets to use instead of `listen`
---@return kadenza.NodeOptions options
function M.node_options(values)
  local options = {}
  for name, value in pairs(values) do
    if not PROGRAM[name] and not schema.BY_NAME[name].limit
      and not (type(value) == "table" and #value == 0) then
      options[name] = value
    end
  end
  if not options.state then -- a client, or a node with a free port
    options.store = "memory"
  end
  if values.inherited then
    options.listen, options.sockets = nil, values.inherited.sockets
  end
  options.limits = limits_of(values)
  options.policies = options.policies and policies_of(values)
  options.network_key = values.network_keys and values.network_keys.keys
  return options
end

--------------------------------------------------------------------- dump --

local function comment(text, indent)
  local mark = indent .. "-- "
  local lines = layout.wrap(text, WIDTH - #mark):gsub("\n *", "\n" .. mark)
  return mark .. lines .. "\n"
end

local function dump_field(option, value, indent)
  local text = option.text:gsub("%.$", "")
  if option.unit then
    text = text .. "; " .. option.unit
  end
  local field = value == nil and ("-- %s ="):format(option.name)
    or ("%s = %s,"):format(option.name, literal.format(value))
  return comment(text, indent) .. indent .. field .. "\n"
end

local function dump_limits(values, parts)
  if not values.limits then
    parts[#parts + 1] = "  -- Rate limits are off\n  limits = false,\n"
    return
  end
  parts[#parts + 1] = "  limits = {\n"
  for _, option in ipairs(schema.OPTIONS) do
    if option.limit then
      parts[#parts + 1] = dump_field(option, values[option.name], "    ")
    end
  end
  parts[#parts + 1] = "  },\n"
end

--- Returns a configuration as the text of a file.
---@param values table  by name
---@return string text
function M.dump(values)
  local parts = { "{\n" }
  for _, option in ipairs(schema.OPTIONS) do
    if option.name == "limits" then
      dump_limits(values, parts)
    elseif not option.limit then
      parts[#parts + 1] = dump_field(option, values[option.name], "  ")
    end
  end
  parts[#parts + 1] = "}\n"
  return table.concat(parts)
end

return M
