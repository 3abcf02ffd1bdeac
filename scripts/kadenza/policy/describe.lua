--- Describes loaded policies for tools: their hooks with the numbers that C
--- uses, where their functions are defined, their types, queries and samples.
--
-- The description leaves the Lua state of the policies as bencode: it consists
-- of strings, integers and tables.
--
-- Tested by tests/spec/testing/policy_spec.lua, tests/spec/cli/check_spec.lua.

local core = require("kadenza.core")
local shape = require("kadenza.policy.shape")

local M = {}

local LIMITS <const> = { "max_size", "max_values", "ttl", "republish_s" }

-- Returns the numbers of all hooks by their paths.
local function hook_numbers(setup)
  local numbers = {}
  for _, entry in ipairs(setup.types) do
    for _, name in ipairs(shape.TYPE_HOOKS) do
      numbers["types." .. entry.name .. "." .. name] = entry[name]
    end
    for _, name in ipairs(shape.LISTENERS) do
      numbers[name] = entry[name]
    end
  end
  for _, method in ipairs(setup.methods) do
    numbers["rpc." .. method.name] = method.call
  end
  for _, route in ipairs(setup.http) do
    numbers["http." .. route.method .. " " .. route.pattern] = route.call
  end
  for _, name in ipairs(shape.FILTERS) do
    numbers[name] = setup[name]
  end
  return numbers
end

local function list_types(setup)
  local list = {}
  for i, entry in ipairs(setup.types) do
    list[i] = { name = entry.name, signed_only = entry.signed_only and 1 or 0 }
    for _, limit in ipairs(LIMITS) do
      list[i][limit] = entry[limit]
    end
  end
  return list
end

local function list_methods(setup)
  local list = {}
  for i, method in ipairs(setup.methods) do
    list[i] = method.name
  end
  return list
end

local function list_routes(setup)
  local list = {}
  for i, route in ipairs(setup.http) do
    list[i] = { method = route.method, pattern = route.pattern }
  end
  return list
end

-- Adds where a hook of a policy is defined.
local function add_place(places, loaded, path, fn)
  if type(fn) == "function" then
    local source, first, last = core.place(fn)
    table.insert(places, { path = path, file = loaded.label, source = source,
      first = first, last = last })
  end
end

local function add_type_places(places, loaded)
  for name, spec in next, loaded.policy.types or {} do
    for _, hook in ipairs(shape.TYPE_HOOKS) do
      add_place(places, loaded, "types." .. name .. "." .. hook, spec[hook])
    end
  end
end

-- Adds the places of the hooks that are entries of `part`.
local function add_named_places(places, loaded, part)
  for name, given in next, loaded.policy[part] or {} do
    add_place(places, loaded, part .. "." .. name,
      type(given) == "table" and rawget(given, "run") or given)
  end
end

local function list_places(list)
  local places = {}
  for _, loaded in ipairs(list) do
    local policy = loaded.policy
    add_type_places(places, loaded)
    add_named_places(places, loaded, "rpc")
    add_named_places(places, loaded, "http")
    for name, fn in next, policy do
      add_place(places, loaded, name, fn)
    end
    for i, entry in ipairs(policy.every or {}) do
      add_place(places, loaded, "every[" .. i .. "].run", entry.run)
    end
  end
  return places
end

-- Returns a sample as a table without booleans, which bencode does not have.
local function plain_record(sample)
  if type(sample) == "string" then
    return { value = sample }
  end
  local plain = {}
  for key, value in next, sample do
    plain[key] = value
  end
  plain.signed = sample.signed ~= nil and (sample.signed and 1 or 0) or nil
  return plain
end

-- Adds the samples of queries or routes, which are lists by name.
local function add_samples(samples, given)
  for name, list in next, given or {} do
    samples[name] = table.move(list, 1, #list, 1, {})
  end
end

local function collect_samples(list)
  local samples = { types = {}, rpc = {}, http = {} }
  for _, loaded in ipairs(list) do
    local given = loaded.policy.samples or {}
    for name, records in next, given.types or {} do
      samples.types[name] = samples.types[name] or {}
      for _, record in ipairs(records) do
        table.insert(samples.types[name], plain_record(record))
      end
    end
    add_samples(samples.rpc, given.rpc)
    add_samples(samples.http, given.http)
  end
  return samples
end

--- Describes policies.
---@param list kadenza.Loaded[]
---@param setup table  the result of compose
---@return string bencode
function M.describe(list, setup)
  return core.encode({
    hooks = hook_numbers(setup),
    types = list_types(setup),
    methods = list_methods(setup),
    routes = list_routes(setup),
    places = list_places(list),
    samples = collect_samples(list),
    deadlines = setup.deadlines,
  }, "policy")
end

return M
