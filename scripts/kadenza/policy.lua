--- Policies of a node: files, each in the node's own sandboxed VM, or tables, in
--- the caller's state and trusted.
--
--     kad.node { policies = { "counter.lua", "registry.lua" } }
--     kad.node { policies = { { types = { note = { max_size = 100 } } } } }

local core = require("kadenza.core")
local host = require("kadenza.policy.host")
local log = require("kadenza.log")

local M = {}

--- Bytes that the policies of a node may take.
M.MEMORY = 64 * 1024 * 1024

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

-- Returns the texts of the modules of a VM, by name.
local function library_sources()
  local sources = {}
  local function add(name)
    if NATIVE[name] or sources[name] then
      return
    end
    sources[name] = source_of(name)
    for other in sources[name]:gmatch('require%("(kadenza[%w_.]*)"%)') do
      add(other)
    end
  end
  for _, name in ipairs(ROOTS) do
    add(name)
  end
  return sources
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

local function attach_files(node, paths)
  return core.policy_vm(node.core, node.net, paths, library_sources(),
    M.MEMORY, write_log)
end

local function attach_tables(node, tables)
  local list = {}
  for i, policy in ipairs(tables) do
    if type(policy) == "function" then
      policy = policy(node)
    end
    local label = "policy " .. i
    list[i] = { label = label, name = host.name_of(policy, label),
      policy = policy }
  end
  local setup, message = host.set_up(list, node, node.net)
  if not setup then
    return nil, message, "KAD_EINVAL"
  end
  setup.node = node
  return core.policy_install(node.core, setup)
end

-- Returns "files" or "tables"; raises for anything else.
local function kind_of(policies, level)
  local kind
  for i, policy in ipairs(policies) do
    local is = type(policy) == "string" and "files" or "tables"
    if is == "tables" and type(policy) ~= "table"
      and type(policy) ~= "function"
    then
      error(string.format("policy %d is a %s: a file's path, a table or a "
        .. "function is needed", i, type(policy)), level + 1)
    elseif kind and kind ~= is then
      error("the policies of one node are all files or all tables", level + 1)
    end
    kind = is
  end
  return kind
end

local function make(node, policies, level)
  local kind = kind_of(policies, level + 1)
  if kind == "files" then
    return attach_files(node, policies)
  elseif kind == "tables" then
    return attach_tables(node, policies)
  end
  return attach_tables(node, {})
end

-- Closes replaced policies once nothing of them is under way.
local function retire(node, handle)
  if handle:is_released() or not node:is_open() then
    handle:close()
    return
  end
  node.net:start_timer(100, function()
    retire(node, handle)
  end)
end

--- Gives a node its policies, all or none.
---@param node kadenza.Node
---@param policies (string|table|function)[]
---@return true? attached
---@return string? message  names the file, and the line where there is one
---@return kadenza.Code? code
function M.attach(node, policies)
  local handle, message, code = make(node, policies, 2)
  if not handle then
    return nil, message, code
  end
  local before = node.policy_handle
  node.policy_handle, node.policies = handle, policies
  if before then
    before:call("stop")
    retire(node, before)
  else
    node:on_close(function()
      node.policy_handle:call("stop")
    end)
  end
  handle:call("start")
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

--- Returns what the policies of a node have done: calls, errors, overruns and
--- yields of each hook, and memory in bytes.
---@param node kadenza.Node
---@return table? stats  nil when it has none
function M.stats(node)
  return node.policy_handle and node.policy_handle:stats()
end

return M
