--- Policies of a node: files, in a sandboxed VM of the node's own, or tables,
--- in the caller's state and trusted.
--
--     kad.node { policies = { "counter.lua", "registry.lua" } }
--     kad.node { policies = { { file = "mail.lua", trusted = true } } }
--     kad.node { policies = { { types = { note = { max_size = 100 } } } } }

local core = require("kadenza.core")
local failure = require("kadenza.failure")
local host = require("kadenza.policy.host")
local log = require("kadenza.log")
local sandbox = require("kadenza.sandbox")

local M = {}

-- What logs show of statistics: "counter: counter.validate calls=3 errors=1
-- overruns=0 yields=2 preempted=0 slowest_us=812".
local Stats = {}
Stats.__name = "kadenza.PolicyStats"

function Stats:__tostring()
  local lines = {}
  for name, hook in pairs(self.hooks) do
    lines[#lines + 1] = string.format("%s calls=%d errors=%d overruns=%d "
      .. "yields=%d preempted=%d slowest_us=%d%s", name, hook.calls,
      hook.errors, hook.overruns, hook.yields, hook.preempted,
      math.ceil(hook.slowest * 1e6), hook.suspended and " breaker=open" or "")
  end
  table.sort(lines)
  return table.concat(lines, "; ")
end

--- Bytes that the policy files of a node may take, unless it says otherwise.
M.MEMORY = 64 * 1024 * 1024

--- Instructions of Lua that they may run at a stretch, unless it says
--- otherwise: some 100 ms.
M.INSTRUCTIONS = 20000000

-- Milliseconds between two looks whether replaced policies are still needed.
local RETIRE_MS <const> = 100

-- Where a VM begins; what they require comes along.
local ROOTS <const> = { "kadenza.policy.host", "kadenza.sandbox" }
local NATIVE <const> = { ["kadenza.core"] = true, ["kadenza.host"] = true }

-- Returns the text of a module of ours: built into the program, or a file.
local function source_of(name)
  local built_in, program = pcall(require, "kadenza.host")
  local text = built_in and program.source(name)
  if text then
    return text
  end
  local path = assert(package.searchpath(name, package.path))
  local file <close> = assert(io.open(path, "rb"))
  return assert(file:read("a"))
end

-- Adds a module and what it requires to `modules`, compiled: a VM is made at
-- every reload. By its name, which no file has, the meter knows our own code.
local function add_module(modules, name)
  if NATIVE[name] or modules[name] then
    return
  end
  local text = source_of(name)
  modules[name] = string.dump(assert(load(text, "=" .. name, "t")))
  for other in text:gmatch('require%("(kadenza[%w_.]*)"%)') do
    add_module(modules, other)
  end
end

-- Returns the modules of a VM, by name, and the texts of the libraries, which
-- run as a policy's own code.
local function make_modules()
  local modules = {}
  for _, name in ipairs(ROOTS) do
    add_module(modules, name)
  end
  for _, list in ipairs({ sandbox.LIBRARIES, sandbox.PARTS }) do
    for _, library in ipairs(list) do
      local name = "kadenza." .. library
      modules[name] = source_of(name)
    end
  end
  return modules
end

-- Those that have been made: they are the same for every VM.
local modules_made

local function modules_of_vm()
  modules_made = modules_made or make_modules()
  return modules_made
end

-- Where the log of a VM goes: to ours.
local function write_log(level, message, ...)
  local fields = {}
  for i = 1, select("#", ...), 2 do
    local key, value = select(i, ...)
    fields[key] = value
  end
  log.write(level, message, fields)
end

-- Returns what host.load_files is told of the files, packed.
local function pack_files(policies)
  local files = {}
  for i, policy in ipairs(policies) do
    local is_path = type(policy) == "string"
    files[i] = { path = is_path and policy or policy.file,
      trusted = not is_path and policy.trusted or nil }
    if files[i].trusted then
      files.standard = { path = package.path, cpath = package.cpath }
    end
  end
  return core.pack_plain(files, "policies")
end

local function attach_files(node, policies, write)
  return core.policy_vm(node.core, node.net, pack_files(policies),
    modules_of_vm(), node.policy_memory or M.MEMORY,
    node.policy_instructions or M.INSTRUCTIONS, write or write_log)
end

-- Returns the policies of tables and functions, or nil and a message.
local function list_tables(node, policies)
  local list = {}
  for i, policy in ipairs(policies) do
    local label = "policy " .. i
    if type(policy) == "function" then
      local fine, made = pcall(policy, node)
      if not fine then
        return nil, label .. ": " .. failure.text_of(made)
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
  setup.node = node
  return core.policy_host(node.core, setup)
end

local FILE_KEYS <const> = { file = true, trusted = true }

-- Returns what is wrong with { file = path, trusted = … }, or nil.
local function file_problem(policy)
  for key in pairs(policy) do
    if not FILE_KEYS[key] then
      return "has an unknown key '" .. tostring(key) .. "' beside 'file'"
    end
  end
  if type(policy.file) ~= "string" then
    return "has a file that is a " .. type(policy.file) .. ", not a path"
  elseif policy.trusted ~= nil and type(policy.trusted) ~= "boolean" then
    return "has a trusted that is a " .. type(policy.trusted)
      .. ", not a boolean"
  end
end

-- Returns the kind of a policy, or nil and what is wrong with it.
local function kind_of(policy)
  local kind = type(policy)
  if kind == "string" then
    return "files"
  elseif kind == "table" and policy.file ~= nil then
    local problem = file_problem(policy)
    return not problem and "files" or nil, problem
  elseif kind == "table" or kind == "function" then
    return "tables"
  end
  return nil, string.format("is a %s: a file's path, a table or a function is "
    .. "needed", kind)
end

--- Raises unless `policies` is a list of files or one of tables and functions.
--- A file is its path, or { file = path, trusted = true }.
---@param policies any
---@param level integer  whom to blame, as of `error`
---@return "files"|"tables" kind
function M.check_list(policies, level)
  if type(policies) ~= "table" then
    error("policies must be a list, not a " .. type(policies), level + 1)
  end
  local kind
  for i, policy in ipairs(policies) do
    local is, problem = kind_of(policy)
    if not is then
      error("policy " .. i .. " " .. problem, level + 1)
    elseif kind and kind ~= is then
      error("the policies of one node are all files or all tables", level + 1)
    end
    kind = is
  end
  return kind or "tables"
end

-- Closes policies that have stopped once nothing of them is under way. Tasks
-- that are left then have a while to end.
local function retire(net, handle, canceled)
  local released = handle:is_released()
  if not net:is_open() or canceled or released and handle:finish() then
    handle:close()
    return
  end
  net:start_timer(RETIRE_MS, function()
    retire(net, handle, released)
  end)
end

-- Closes the policies of a node once nothing of them is under way.
local function retire_soon(node)
  local handle = node.policy_handle
  node.net:start_timer(0, function()
    retire(node.net, handle)
  end)
end

-- Closes the policies with their node.
local function close_with(node)
  node:on_close(function()
    node.policy_handle:call("stop")
    retire_soon(node)
  end)
end

--- Ends the policies of a node that has crashed, which do not hear of it.
---@param node kadenza.Node
function M.abandon(node)
  node.policy_handle:call("halt")
  retire_soon(node)
end

-- Marks the node until the value returned is closed: a policy that reloads its
-- node while it is being loaded would do so for ever.
local function mark_loading(node)
  node.loading_policies = true
  return setmetatable({}, {
    __close = function()
      node.loading_policies = nil
    end,
  })
end

-- Returns a handle of policies that the node has from now on, or nil, a message
-- and a code. What those before have saved is with them.
local function replace(node, policies, write)
  local make = M.check_list(policies, 3) == "files" and attach_files
    or attach_tables
  local handle, message, code = make(node, policies, write)
  if not handle then
    return nil, message, code
  end
  local swapped, what, kind = core.policy_swap(handle, node.policy_handle)
  if not swapped then
    handle:close()
    return nil, what, kind
  elseif what then
    log.error("the policies' state is lost: they are out of memory")
  end
  return handle
end

--- Gives a node its policies, all or none.
---@param node kadenza.Node
---@param policies (string|table|function)[]
---@return true? attached
---@return string? message  names the file, and the line where there is one
---@return kadenza.Code? code
function M.attach(node, policies)
  if node.closing then
    return nil, "the node is closing", "KAD_ECLOSED"
  elseif node.loading_policies then
    return nil, "the policies are being loaded already", "KAD_EBUSY"
  end
  local _ <close> = mark_loading(node)
  local handle, message, code = replace(node, policies)
  if not handle then
    return nil, message, code
  end
  local before = node.policy_handle
  node.policy_handle, node.policies = handle, policies
  if before then
    before:call("stop")
    retire(node.net, before)
  else
    close_with(node)
  end
  if node:is_open() then -- what has stopped may have closed it
    handle:call("start")
  end
  return true
end

--- Loads the policies of a node anew. When anything is wrong the old ones stay.
---@param node kadenza.Node
---@return true? reloaded
---@return string? message
---@return kadenza.Code? code
function M.reload(node)
  return M.attach(node, node.policies or {})
end

--- Returns what the policies of a node have done: `hooks`, by name, each with
--- calls, errors, overruns (among the errors), yields (calls that waited),
--- preempted (calls that went on in a later turn), instructions (about),
--- seconds (that it ran), slowest (of one call), time (a histogram: calls under
--- 1, 2, 4 … microseconds, the last all others) and whether its breaker is open
--- (`suspended`); `memory`, the bytes that files take; and `clamped`, how often
--- a hook returned seconds out of range.
---@param node kadenza.Node
---@return table? stats  nil when it has none
function M.stats(node)
  if not node.policy_handle then
    return nil
  end
  return setmetatable(node.policy_handle:stats(), Stats)
end

--- Gives policies to a node that has none, and starts nothing. Who calls this
--- closes the handle. For tests; `M.attach` is what nodes do.
---@param node kadenza.Node
---@param policies (string|table|function)[]
---@param write? fun(level: string, message: string, ...: string)  the log of
---  files; fields follow, name and value
---@return table? handle
---@return string? message
---@return kadenza.Code? code
function M.host(node, policies, write)
  return replace(node, policies, write)
end

--- Checks policies as a node would that loads them, without a node: nothing is
--- sent or started. `on_start` does not run.
---@param policies string|(string|table|function)[]  a file, or a list
---@return true? fine
---@return string? message  names the file, and the line where there is one
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
  local handle, message, code = replace(node, policies)
  node:close()
  if not handle then
    return nil, message, code
  end
  handle:close()
  return true
end

return M
