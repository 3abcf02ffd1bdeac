--- Loads the policies of a node. Files run sandboxed in a Lua VM of the node's
--- own; tables run in the caller's Lua state and are trusted.
--
--     kad.node { policies = { "notes.lua", "mail.lua" } }
--     kad.node { policies = { "counter", "registry" } } -- they ship
--     kad.node { policies = { { file = "mail.lua", trusted = true } } }
--     kad.node { policies = { { types = { note = { max_size = 100 } } } } }

local core = require("kadenza.core")
local errors = require("kadenza.errors")
local host = require("kadenza.policy.host")
local log = require("kadenza.log")
local sandbox = require("kadenza.sandbox")
local stats = require("kadenza.policy.stats")

local M = {}

--- Default memory limit of a node's policy files, in bytes.
M.MEMORY = 64 * 1024 * 1024

--- Default budget of policies: Lua instructions that they may run without
--- waiting, about 100 ms.
M.INSTRUCTIONS = 20000000

-- Milliseconds between checks whether replaced policies are still in use.
local RETIRE_MS <const> = 100

-- The modules that a VM starts with; the modules they require are added.
local ROOTS <const> = { "kadenza.policy.host", "kadenza.sandbox" }
local JSON <const> = "dkjson"

-- Modules that a VM has from C, and those that only the program's side uses of
-- the modules that both have.
local ABSENT <const> = { ["kadenza.core"] = true, ["kadenza.host"] = true,
  kadenza = true, ["kadenza.policy"] = true, ["kadenza.policy.console"] = true,
  ["kadenza.policy.serving"] = true, ["kadenza.state"] = true,
  ["kadenza.store"] = true }

-- Returns the source of a kadenza module.
local function module_source(name)
  return assert(require("kadenza.host").source(name), name)
end

-- Adds a module and the modules it requires to `modules`, compiled, since each
-- reload makes a VM. The chunk name is "=NAME", which no file can have: the
-- meter recognises kadenza's own code by it.
local function add_module(modules, name)
  if ABSENT[name] or modules[name] then
    return
  elseif name == JSON then -- it is no code of kadenza's
    modules[name] = string.dump(assert(load(module_source(name), name, "t")),
      true)
    return
  end
  local text = module_source(name)
  modules[name] = string.dump(assert(load(text, "=" .. name, "t")))
  for other in text:gmatch('require%("([%w_.]*)"%)') do
    if other == JSON or other:find("^kadenza%f[^%w_]") then
      add_module(modules, other)
    end
  end
end

-- Returns the modules of a VM by name. Libraries are sources, not bytecode:
-- the meter counts them as the policy's own code.
local function make_vm_modules()
  local modules = {}
  for _, name in ipairs(ROOTS) do
    add_module(modules, name)
  end
  for _, list in ipairs({ sandbox.LIBRARIES, sandbox.PARTS }) do
    for _, library in ipairs(list) do
      local name = "kadenza." .. library
      modules[name] = module_source(name)
    end
  end
  return modules
end

local cached_modules -- they are the same for every VM

-- Returns the log function of a VM, which gets the fields as names and values.
local function make_log_writer(write)
  return function(level, message, ...)
    local fields = {}
    for i = 1, select("#", ...), 2 do
      local name, value = select(i, ...)
      fields[name] = value
    end
    write(level, message, fields)
  end
end

-- Returns the packed argument of host.load_files.
local function pack_files(policies)
  local shipped, files = require("kadenza.host").policy, {}
  for i, policy in ipairs(policies) do
    local is_path = type(policy) == "string"
    local path = is_path and policy or policy.file
    files[i] = { path = path,
      text = shipped(path) or not is_path and policy.text or nil,
      trusted = not is_path and policy.trusted or nil }
    if files[i].trusted then
      files.standard = { path = package.path, cpath = package.cpath }
    end
  end
  return core.pack_plain(files, "policies")
end

local function attach_files(node, policies, write)
  cached_modules = cached_modules or make_vm_modules()
  return core.policy_vm(node.core, node.net, pack_files(policies),
    cached_modules, node.policy_memory or M.MEMORY,
    node.policy_instructions or M.INSTRUCTIONS,
    make_log_writer(write or log.write))
end

-- Returns the policies that are tables or are returned by functions, or nil and
-- a message.
local function list_tables(node, policies)
  local list = {}
  for i, policy in ipairs(policies) do
    local label = "policy " .. i
    if type(policy) == "function" then
      local succeeded, made = pcall(policy, node)
      if not succeeded then
        return nil, label .. ": " .. errors.text_of(made)
      end
      policy = made
    end
    list[i] = { label = label, name = host.name_of(policy, label),
      policy = policy }
  end
  return list
end

local function attach_tables(node, policies)
  local list, problem = list_tables(node, policies)
  if not list then
    return nil, problem, "KAD_EINVAL"
  end
  local setup, message = host.set_up(list, node, node.net)
  if not setup then
    return nil, message, "KAD_EINVAL"
  end
  if not node:is_open() then -- a policy that is a function has closed it
    return nil, "the node was closed", "KAD_ECLOSED"
  end
  setup.node, node.new_metrics = node, setup.counted
  return core.policy_host(node.core, setup)
end

local FILE_KEYS <const> = { file = true, text = true, trusted = true }

-- Returns the problem of a path, or nil.
local function path_problem(path)
  return path:find("\0", 1, true) and "has a path with a zero byte" or nil
end

-- Returns the problem of { file = path, text = …, trusted = … }, or nil.
local function file_problem(policy)
  for key in next, policy do
    if not FILE_KEYS[key] then
      return "has an unknown key '" .. tostring(key) .. "' beside 'file'"
    end
  end
  if type(policy.file) ~= "string" then
    return "has a file that is a " .. type(policy.file) .. ", not a path"
  elseif policy.text ~= nil and type(policy.text) ~= "string" then
    return "has a text that is a " .. type(policy.text) .. ", not a string"
  elseif policy.trusted ~= nil and type(policy.trusted) ~= "boolean" then
    return "has a trusted that is a " .. type(policy.trusted)
      .. ", not a boolean"
  end
  return path_problem(policy.file)
end

-- Returns the kind of a policy, or nil and a message.
local function kind_of(policy)
  local kind = type(policy)
  if kind == "string" then
    local problem = path_problem(policy)
    return not problem and "files" or nil, problem
  elseif kind == "table" and policy.file ~= nil then
    local problem = file_problem(policy)
    return not problem and "files" or nil, problem
  elseif kind == "table" or kind == "function" then
    return "tables"
  end
  return nil, string.format("must be a path, a table or a function, not a %s",
    kind)
end

--- Raises unless `policies` is a list of files, or of tables and functions.
--- A file is a path, the name of a policy that ships ("counter"), or
--- { file = path, trusted = true }. With `text`, that of a file that was read
--- already, the file is not read before a reload.
---@param policies any
---@param level integer  of the error, as for `error`
---@return "files"|"tables" kind
function M.check_list(policies, level)
  if type(policies) ~= "table" then
    error("policies must be a list, not a " .. type(policies), level + 1)
  end
  local kind
  for i, policy in ipairs(policies) do
    local this_kind, problem = kind_of(policy)
    if not this_kind then
      error("policy " .. i .. " " .. problem, level + 1)
    elseif kind and kind ~= this_kind then
      error("the policies of a node must be all files or all tables", level + 1)
    end
    kind = this_kind
  end
  return kind or "tables"
end

-- Closes stopped policies once no hook call of theirs is pending. Their last
-- tasks are then cancelled and have RETIRE_MS to end.
local function retire(net, handle, is_last_try)
  local released = handle:is_released()
  if not net:is_open() or is_last_try or released and handle:finish() then
    handle:close()
    return
  end
  net:start_timer(RETIRE_MS, function()
    retire(net, handle, released)
  end)
end

-- Retires policies of a node from the loop: not from within their hook.
local function retire_soon(node, handle)
  if not node.net:is_open() then -- an `on_stop` has closed it
    handle:close()
    return
  end
  node.net:start_timer(0, function()
    retire(node.net, handle)
  end)
end

--- Ends the policies of a node that crashed, without `on_stop`.
---@param node kadenza.Node
function M.abandon(node)
  node.policy_handle:call("halt")
  retire_soon(node, node.policy_handle)
end

--- Tells whether a node has policies that are files.
---@param node kadenza.Node
---@return boolean
function M.has_files(node)
  return node.policy_handle ~= nil and #node.policies > 0
    and kind_of(node.policies[1]) == "files"
end

--- Makes a state as that of policy files, without any, for code that is typed
--- at a console. It is closed with the node.
---@param node kadenza.Node
---@return table? handle
---@return string? message
---@return kadenza.Code? code
function M.open_console(node)
  local handle, message, code = attach_files(node, {})
  if handle then
    node:on_close(function()
      retire_soon(node, handle)
    end)
  end
  return handle, message, code
end

--- Loads policies for a node, migrates the state of those that it has, and
--- starts none. The caller closes the handle. Nodes use `M.attach`; this is for
--- it and for tests.
---@param node kadenza.Node
---@param policies (string|table|function)[]
---@param write? fun(level: string, message: string, fields: table)  receives
---  log events of files, by default `log.write`
---@return table? handle
---@return string? message
---@return kadenza.Code? code
function M.host(node, policies, write)
  local make = M.check_list(policies, 3) == "files" and attach_files
    or attach_tables
  node.new_metrics = nil
  local handle, message, code = make(node, policies, write)
  if not handle then
    return nil, message, code
  end
  local swapped, what, kind = core.policy_swap(handle, node.policy_handle)
  if not swapped then
    handle:close()
    return nil, what, kind
  elseif what then
    log.error("the policies' state is lost: out of memory")
  end
  return handle
end

-- Returns the policies as a reload loads them: files are read again.
local function without_texts(policies)
  local list = {}
  for i, policy in ipairs(policies) do
    local has_text = type(policy) == "table" and policy.file ~= nil
      and policy.text ~= nil
    list[i] = has_text and { file = policy.file, trusted = policy.trusted }
      or policy
  end
  return list
end

-- Calls the functions that wait for other policies of a node.
local function tell_watchers(node)
  for _, watcher in ipairs(node.policy_watchers or {}) do
    watcher()
  end
end

--- Calls `fn` whenever the policies of a node were replaced.
---@param node kadenza.Node
---@param fn fun()
function M.on_change(node, fn)
  node.policy_watchers = node.policy_watchers or {}
  table.insert(node.policy_watchers, fn)
end

--- Sets the policies of a node. On failure it keeps those that it has.
---@param node kadenza.Node
---@param policies (string|table|function)[]
---@return true? attached
---@return string? message  names the file and, where known, the line
---@return kadenza.Code? code
function M.attach(node, policies)
  if node.closing then
    return nil, "the node is closing", "KAD_ECLOSED"
  elseif node.loading_policies then
    return nil, "the policies are already being loaded", "KAD_EBUSY"
  end
  -- Prevents endless recursion of a policy that reloads its node.
  node.loading_policies = true
  local _ <close> = setmetatable({}, {
    __close = function()
      node.loading_policies = nil
    end,
  })
  local handle, message, code = M.host(node, policies)
  if not handle then
    return nil, message, code
  end
  local before = node.policy_handle
  node.policy_handle, node.policies = handle, without_texts(policies)
  node.metrics, node.new_metrics = node.new_metrics, nil
  if before then
    before:call("stop")
    retire(node.net, before)
  else
    node:on_close(function()
      node.policy_handle:call("stop")
      retire_soon(node, node.policy_handle)
    end)
  end
  if node:is_open() then -- an `on_stop` may have closed it
    handle:call("start")
    tell_watchers(node)
  end
  return true
end

--- Loads the policies of a node again. On failure it keeps the old ones.
---@param node kadenza.Node
---@return true? reloaded
---@return string? message
---@return kadenza.Code? code
function M.reload(node)
  return M.attach(node, node.policies or {})
end

--- Returns statistics of the policies of a node: `kadenza.policy.stats`.
M.stats = stats.of

--- Checks policies as a node does when it loads them. Sends nothing and starts
--- nothing: `on_start` does not run.
---@param policies string|(string|table|function)[]  a file, or a list
---@return true? valid
---@return string? message  names the file and, where known, the line
---@return kadenza.Code? code
function M.check(policies)
  if type(policies) == "string" then
    policies = { policies }
  end
  M.check_list(policies, 2)
  local network <close> = assert(core.sim({ seed = 1 }))
  local node = assert(require("kadenza.node").open_in(network, {
    listen = "192.0.2.1:6881",
  }))
  local handle, message, code = M.host(node, policies)
  node:close()
  if not handle then
    return nil, message, code
  end
  handle:close()
  return true
end

return M
