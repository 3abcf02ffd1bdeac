--- The environment of a policy file: globals and modules of an allow-list.
--
-- It protects the node from mistakes, not from a hostile author. A function
-- that could run for long without counted instructions is bounded.

local chunk = require("kadenza.chunk")
local core = require("kadenza.core")
local errors = require("kadenza.errors")
local facade = require("kadenza.policy.facade")
local key = require("kadenza.key")
local library = require("kadenza.sandbox.library")
local safe = require("kadenza.safe")
local suggest = require("kadenza.suggest")
local trusted_files = require("kadenza.policy.trusted")

local M = {}

--- The globals of a policy: the same list as in `.luacheckrc`.
M.GLOBALS = {
  "assert", "error", "ipairs", "next", "pairs", "pcall", "require", "select",
  "setmetatable", "tonumber", "tostring", "type", "coroutine", "math",
  "string", "table",
}

--- The libraries for policies: `require "kadenza.limit"` and so on. They run in
--- the environment of the policy, like its own code: metered, and stopped with
--- it.
M.LIBRARIES = {
  "blob",
  "crdt",
  "crdt.kind",
  "lease",
  "limit",
  "pubsub",
  "signed",
  "zbase32",
}

--- Modules that libraries require.
M.PARTS = { "blob.reader", "blob.tree", "check", "pubsub.board",
  "pubsub.event", "pubsub.feed", "pubsub.lives", "value_size" }

local charge_bytes = library.charge_bytes

local MAX_ITEMS <const> = 100000 -- random bytes that are charged at most
local PREFIX <const> = "kadenza."
local SHORT <const> = 32 -- digits of a number that are not charged
local KEY_WORK <const> = 10000 -- instructions charged for a signature

-- Read-only views → what they show.
local insides = setmetatable({}, { __mode = "k" })

-- Returns a read-only view of a table.
local function read_only(shown, name)
  local proxy = setmetatable({}, {
    __index = shown,
    __newindex = function(_, field)
      error(string.format("'%s.%s' cannot be set: '%s' is read-only", name,
        tostring(field), name), 2)
    end,
    __pairs = function(proxy)
      return function(_, field)
        return next(shown, field)
      end, proxy, nil
    end,
    __metatable = false,
  })
  insides[proxy] = shown
  return proxy
end

-- Policies cannot have finalizers, which run while the meter is off. Lua looks
-- for `__gc` without metamethods, and so does this: an `__index` could set it
-- while it is looked for.
local function set_metatable(object, meta)
  if type(object) ~= "table" then
    error("setmetatable needs a table, not " .. type(object), 2)
  elseif type(meta) == "table" and rawget(meta, "__gc") ~= nil then
    error("a policy cannot have finalizers (__gc)", 2)
  end
  return setmetatable(object, meta)
end

local function make_log()
  local log = {}
  for _, level in ipairs({ "error", "warn", "info", "debug" }) do
    log[level] = safe.log[level]
  end
  return read_only(log, "kad.log")
end

-- Returns a function that is charged as a calculation with Ed25519 keys.
local function charged(fn)
  return function(first, second, ...)
    charge_bytes(first)
    charge_bytes(second)
    core.charge(KEY_WORK)
    return fn(first, second, ...)
  end
end

-- Adds the functions of `kad` that are charged.
local function add_charged(kad, node)
  kad.key = function(name)
    charge_bytes(name)
    return key.of(name, node:id_bits())
  end
  kad.hash = function(bytes)
    charge_bytes(bytes)
    return safe.hash(bytes)
  end
  kad.keypair = charged(safe.keypair)
  kad.sign = charged(safe.sign)
  kad.verify = charged(safe.verify)
  kad.random = function(count)
    core.charge(math.type(count) == "integer" and math.min(count, MAX_ITEMS)
      or 0)
    return safe.random(count) -- raises for a wrong count
  end
end

-- Makes `kad.json`. Its module is loaded at the first use.
local function make_json()
  local shown = {}
  local function load_module(_, name)
    for field, value in pairs(require("kadenza.plain_json")) do
      shown[field] = value
    end
    local decode = shown.decode
    shown.decode = function(text)
      charge_bytes(text)
      return decode(text)
    end
    return setmetatable(shown, nil)[name]
  end
  return read_only(setmetatable(shown, { __index = load_module }), "kad.json")
end

-- Makes the result of `require "kadenza"`.
local function make_kadenza(node, network, owner)
  local kad = {}
  for name, value in pairs(safe) do
    kad[name] = value
  end
  for name, fn in pairs(facade.tasks(owner)) do
    kad[name] = fn
  end
  kad.log = make_log()
  kad.bencode = read_only(safe.bencode, "kad.bencode")
  add_charged(kad, node)
  kad.json = make_json()
  kad.now = function()
    return network:now()
  end
  kad.time = function()
    return network:time()
  end
  return read_only(kad, "kad")
end

-- The value of a module while its file runs.
local LOADING <const> = {}

local function contains(list, sought)
  for _, item in ipairs(list) do
    if item == sought then
      return true
    end
  end
  return false
end

-- Raises unless a policy may require `name`.
local function check_module(name)
  if type(name) ~= "string" or not name:find("^[%w_]+[%w_.]*$")
    or name:find("..", 1, true)
  then
    error("'" .. tostring(name) .. "' is not the name of a module", 3)
  end
  local part = name:match("^kadenza%.(.*)$")
  if not part or contains(M.LIBRARIES, part)
    or contains(M.PARTS, part)
  then
    return
  end
  error(string.format("policies have no module '%s', but kadenza.%s", name,
    table.concat(M.LIBRARIES, ", kadenza.")), 3)
end

-- Runs a text. Its errors are raised.
local function run_text(text, path, environment)
  local loaded, message = chunk.load(text, path, environment)
  if not loaded then
    error(message, 0)
  end
  return loaded()
end

-- Returns the text and the path of a module: a library that was passed to the
-- VM, or a file beside the policy. Returns nil and a message if there is none.
local function read_module(name, folder)
  local path = name:gsub("%.", "/") .. ".lua"
  if name:sub(1, #PREFIX) == PREFIX then
    return core.source(name), path
  end
  local text, problem = core.read_source(folder .. path)
  return text, text and folder .. path or problem
end

-- Makes `require` of a policy: for the libraries, and modules beside its file.
local function make_require(loaded, folder, environment)
  return function(name)
    check_module(name)
    if loaded[name] == LOADING then
      error("module '" .. name .. "' requires itself", 2)
    elseif loaded[name] == nil then
      local text, path = read_module(name, folder)
      if not text then
        error("module '" .. name .. "': " .. path, 2)
      end
      loaded[name] = LOADING
      local succeeded, value = pcall(run_text, text, path, environment)
      if not succeeded then
        loaded[name] = nil
        error(chunk.naming(path, errors.text_of(value)), 0)
      end
      loaded[name] = value == nil or value
    end
    return loaded[name]
  end
end

-- Charges a long text, which takes a while even if it is not a number.
local function to_number(text, ...)
  if type(text) == "string" and #text > SHORT then
    core.charge(#text)
  end
  return tonumber(text, ...)
end

local BASE <const> = {
  assert = assert,
  error = error,
  ipairs = ipairs,
  next = next,
  pairs = pairs,
  pcall = core.pcall,
  select = select,
  setmetatable = set_metatable,
  tonumber = to_number,
  tostring = tostring,
  type = type,
}

local function make_environment(globals)
  return setmetatable({}, {
    __index = setmetatable(globals, {
      __index = function(_, name)
        error("undefined global '" .. tostring(name) .. "'"
          .. suggest.hint(tostring(name), globals), 2)
      end,
    }),
    __newindex = function(_, name)
      error("global '" .. tostring(name) .. "' cannot be set: use 'local'", 2)
    end,
    __metatable = false,
  })
end

-- Returns the globals of a policy, but `require`.
local function make_globals(network)
  local globals = {}
  for name, value in pairs(BASE) do
    globals[name] = value
  end
  local strings = library.make_string()
  core.freeze_strings(strings)
  globals.string = read_only(strings, "string")
  globals.table = read_only(library.make_table(), "table")
  globals.coroutine = read_only(core.coroutine, "coroutine")
  globals.math = read_only(library.make_math(network), "math")
  return globals
end

local function environment_of(path, trusted, node, network)
  local globals = make_globals(network)
  local environment = make_environment(globals)
  local folder = path:match("^.*/") or ""
  globals.require = make_require({
    kadenza = make_kadenza(node, network, path),
  }, folder, environment)
  if trusted then
    trusted_files.extend(globals, environment, folder)
  end
  return environment
end

-- Makes `require` of a console: for the libraries only.
local function make_console_require(kad, environment)
  local find = make_require({ kadenza = kad }, "", environment)
  return function(name)
    if type(name) == "string" and not name:find("^kadenza%f[^%w_]") then
      error("a console has no module '" .. name .. "', but kadenza.crdt and "
        .. "the like", 2)
    end
    return find(name)
  end
end

--- Returns the environment of code at a console: the globals of a policy, `kad`
--- and others. Unlike a policy, it can set globals.
---@param owner string  of its tasks in messages
---@param node kadenza.Node
---@param network kadenza.core.Network
---@param values table<string, any>  more globals
---@return table environment  what is assigned
---@return table globals  the others
function M.console_environment(owner, node, network, values)
  local globals = make_globals(network)
  local environment = setmetatable({}, { __index = globals,
    __metatable = false })
  globals.kad = make_kadenza(node, network, owner)
  globals.require = make_console_require(globals.kad, environment)
  for name, value in pairs(values) do
    globals[name] = value
  end
  setmetatable(globals, { __index = function(_, name)
    error("undefined global '" .. tostring(name) .. "'"
      .. suggest.hint(tostring(name), globals), 2)
  end })
  return environment, globals
end

--- Returns what a read-only view shows, such as `math` of a policy; another
--- table as it is.
---@param value table
---@return table inside
function M.inside(value)
  local shown = insides[value]
  local meta = shown and getmetatable(shown)
  if meta then
    meta.__index(shown, "encode") -- loads kad.json
  end
  return shown or value
end

--- Loads a policy file: a table, or a function of the node that returns one.
---@param file { path: string, text: string?, trusted: boolean? }  without a
---  text it is read from the path
---@param node kadenza.Node
---@param network kadenza.core.Network
---@return table? policy
---@return string? message  with file and line
function M.load_policy(file, node, network)
  local path = file.path
  local succeeded, policy = pcall(function()
    local text, problem = file.text, nil
    if not text then
      text, problem = core.read_source(path)
    end
    local returned = run_text(text or error(problem, 0), path,
      environment_of(path, file.trusted, node, network))
    if type(returned) == "function" then
      returned = returned(node)
    end
    return returned
  end)
  if not succeeded then
    return nil, chunk.naming(path, errors.text_of(policy))
  elseif type(policy) ~= "table" then
    return nil, string.format("%s: it returns %s where a policy, a table, is "
      .. "needed", path, policy == nil and "nothing" or "a " .. type(policy))
  end
  return policy
end

return M
