-- Writes a C function for each public function, which calls it with arguments
-- made at random from their types:
--
--   lua tests/attack/generate/calls.lua OUT HEADER...
--
-- A function that needs care is called by kad_calls_special_NAME of
-- tests/attack/calls.c instead: those that make or end what others use, or that
-- must not be called from a callback. A type that is not known here is an
-- error, so that a new function cannot be forgotten.

local tree = require("tests.check.tree")

-- Called by hand; see tests/attack/calls.c, tests/attack/calls_backed.c,
-- tests/attack/calls_sockets.c, tests/attack/calls_watch.c.
local SPECIAL <const> = {}
for name in ([[
  kad_node_new kad_node_free kad_node_tick kad_node_receive
  kad_network_udp_new kad_network_sim_new kad_network_free
  kad_network_open_node kad_network_open_on_transport kad_network_close_node
  kad_network_open_on_sockets
  kad_network_run kad_network_on_signal kad_network_watch
  kad_network_resolve
  kad_network_bootstrap kad_node_add_name kad_sim_kill
  kad_backed_store_new kad_backed_store_restore kad_backed_store_sort
  kad_backed_store_free
]]):gmatch("%S+") do
  SPECIAL[name] = true
end

-- Arguments by name, where the type says too little.
local BY_NAME <const> = {
  len = "kad_values_below(it, 64)",
  cap = "kad_values_below(it, KAD_VALUES_ITEMS + 1)",
  count = "kad_values_below(it, KAD_VALUES_ITEMS + 1)",
  call_id = "kad_calls_call_id(it)",
  data = "it",
}

-- Arguments by type.
local BY_TYPE <const> = {
  ["bool"] = "kad_values_below(it, 2) == 1",
  ["struct kad_slice"] = "kad_values_slice(it)",
  ["const struct kad_slice*"] = "kad_values_slices(it)",
  ["struct kad_slice*"] = "kad_values_rest(it)",
  ["const char*"] = "kad_values_text(it)",
  ["const uint8_t*"] = "kad_values_bytes(it, 64)",
  ["const struct kad_id*"] = "kad_values_id(it)",
  ["const struct kad_address*"] = "kad_values_addresses(it)",
  ["const struct kad_address_range*"] = "kad_values_ranges(it)",
  ["const struct kad_contact*"] = "kad_values_contact(it)",
  ["const struct kad_record*"] = "kad_values_record(it)",
  ["const struct kad_bencode*"] = "kad_values_bencode(it)",
  ["struct kad_writer*"] = "kad_values_writer(it)",
  ["const struct kad_config*"] = "kad_values_config(it)",
  ["const struct kad_network_keys*"] = "kad_values_network_keys(it)",
  ["const struct kad_option*"] = "kad_values_option(it)",
  ["const struct kad_lookup_options*"] = "kad_values_options(it)",
  ["const struct kad_sim_nat*"] = "kad_values_nat(it)",
  ["const struct kad_sim_hostility*"] = "kad_values_hostility(it)",
  ["struct kad_node*"] = "kad_calls_node(it)",
  ["const struct kad_node*"] = "kad_calls_node(it)",
  ["struct kad_network*"] = "kad_calls_network(it)",
  ["const struct kad_network*"] = "kad_calls_network(it)",
  ["const struct kad_policy*"] = "kad_calls_policy(it)",
  ["const struct kad_hook_result*"] = "kad_calls_hook_result(it)",
  ["const struct kad_custom_query*"] = "kad_calls_custom(it)",
  ["const struct kad_durable_config*"] = "kad_values_durable(it)",
  ["struct kad_durable*"] = "NULL",
  ["const struct kad_durable*"] = "NULL",
  ["struct kad_durable**"] = "kad_values_out(it, sizeof(void *))",
  ["struct kad_watch*"] = "NULL",
  ["kad_durable_visit_fn"] = "NULL",
  ["kad_tap_fn"] = "NULL",
  ["kad_done_fn"] = "kad_calls_done(it)",
  ["kad_sim_trace_fn"] = "kad_calls_trace(it)",
  ["kad_operation_id"] = "kad_calls_operation(it)",
  ["kad_operation_id*"] = "kad_calls_operation_out(it)",
  ["kad_timer_id"] = "kad_calls_timer(it)",
  ["kad_timer_id*"] = "kad_calls_timer_out(it)",
  ["kad_time_ms"] = "kad_values_number(it)",
  ["void (*fire)(void *data)"] = "kad_calls_fire(it)",
  ["void (*changed)(void *data, size_t index)"] = "kad_calls_changed(it)",
}

for name in ("int unsigned size_t uint16_t uint32_t uint64_t int32_t int64_t")
  :gmatch("%S+")
do
  BY_TYPE[name] = ("(%s)kad_values_number(it)"):format(name)
end

-- Splits "(a, void (*f)(int b), c)" into its parameters.
local function split(parameters)
  local list, depth, from = {}, 0, 2
  for at = 1, #parameters do
    local byte = parameters:sub(at, at)
    depth = depth + (byte == "(" and 1 or byte == ")" and -1 or 0)
    if (byte == "," and depth == 1) or depth == 0 then
      list[#list + 1] = parameters:sub(from, at - 1):match("^%s*(.-)%s*$")
      from = at + 1
    end
  end
  return list
end

-- Returns the type and the name of a parameter, with an array as a pointer, and
-- the size of the array.
local function read_parameter(text)
  local name = text:match("%(%*([%w_]+)%)")
  if name then
    return text, name
  end
  local size = text:match("%[(.-)%]$")
  text = text:gsub("%[.-%]$", "")
  local kind
  kind, name = text:match("^(.-)([%w_]+)$")
  kind = kind:gsub("%s*$", ""):gsub("%s+(%*+)$", "%1")
  return kind .. (size and "*" or ""), name, size
end

-- Returns the C expression that makes room for a result, or nil for a type that
-- holds none. An array has exactly its size, so that a sanitizer sees its end.
local function make_room(kind, name, size)
  local target = kind:match("^([%w_ ]+)%*$")
  if not target or target:find("^const ") or target == "void" then
    return nil
  end
  local items = 1
  if target == "char" then
    target = "char[KAD_VALUES_TEXT]"
  elseif target == "uint8_t" then
    target = ("uint8_t[%s]"):format(size or 64)
  elseif name == "out" then
    items = "KAD_VALUES_ITEMS"
  end
  return ("kad_values_out(it, sizeof(%s) * %s)"):format(target, items)
end

-- Returns the C expression that makes an argument.
local function make_argument(kind, name, size, called)
  if kind:find("^enum ") then
    return ("(%s)kad_values_number(it)"):format(kind)
  elseif kind == "const uint8_t*" and size then
    return ("kad_values_bytes(it, %s)"):format(size)
  end
  local is_pointer = kind:find("*", 1, true) and name ~= "data"
  return not is_pointer and BY_NAME[name] or BY_TYPE[kind]
    or make_room(kind, name, size)
    or error(("%s: an argument of type '%s'"):format(called, kind))
end

-- Returns the C text that makes the call.
local function make_call(returned, name, parameters)
  local lines, names = {}, {}
  for _, parameter in ipairs(parameters == "(void)" and {} or split(parameters))
  do
    local kind, own, size = read_parameter(parameter)
    local declared = parameter:find("%(%*") and parameter
      or kind:gsub("%*", " *") .. " " .. own
    names[#names + 1] = own
    lines[#lines + 1] = ("  %s = %s;"):format(declared,
      make_argument(kind, own, size, name))
  end
  local call = ("%s(%s)"):format(name, table.concat(names, ", "))
  local is_started = parameters:find("kad_done_fn", 1, true)
  if is_started then
    lines[#lines + 1] = ("  kad_calls_count(it, %s, done);"):format(call)
  else
    -- A variable, since some results must not be ignored.
    local kind = returned:gsub("KAD_MUST_CHECK%s*", "")
    lines[#lines + 1] = kind == "void" and ("  %s;"):format(call)
      or ("  %s returned = %s;\n  (void)returned;"):format(kind, call)
  end
  return table.concat(lines, "\n")
end

local out = { '#include "calls.h"\n' }
local rows = {}
for i = 2, #arg do
  local text = "\n" .. table.concat(tree.code(arg[i]), "\n")
  text = text:gsub("\n%s*#[^\n]*", "\n")
  for returned, name, parameters in
    text:gmatch("KAD_API%s+([^;{}]-)(kad_[%w_]+)(%b())%s*;")
  do
    local body = SPECIAL[name] and ("  kad_calls_special_%s(it);"):format(name)
      or make_call(returned:gsub("%s+$", ""), name,
        parameters:gsub("%s+", " "))
    local unused = body:find("%f[%w]it%f[%W]") and "" or "  (void)it;\n"
    out[#out + 1] = ("static void call_%s(struct kad_calls *it) {\n%s%s\n}\n")
      :format(name, unused, body)
    local is_busy = parameters:find("struct kad_n[oe][dt]") ~= nil
    rows[#rows + 1] = ('    {"%s", call_%s, %s},'):format(name, name, is_busy)
  end
end
out[#out + 1] = "const struct kad_call kad_calls_all[] = {"
out[#out + 1] = table.concat(rows, "\n")
out[#out + 1] = "};\n"
out[#out + 1] = ("const size_t kad_calls_all_count = %d;"):format(#rows)

local file <close> = assert(io.open(arg[1], "w"))
file:write(table.concat(out, "\n"), "\n")
