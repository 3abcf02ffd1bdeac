--- Connects commands to the console of a running node. The node is that of
--- `--console PATH`, of `--state DIR`, or the only one of this user that runs.
--- Tested by tests/spec/cli/status_spec.lua.

local client = require("kadenza.console.client")
local config = require("kadenza.cli.config")
local console = require("kadenza.cli.console")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local schema = require("kadenza.cli.schema")
local state_folder = require("kadenza.cli.state_folder")

local M = {}

local MAX_FOLDERS <const> = 1000 -- that are searched for a console
local MAX_NAMED <const> = 4 -- of several nodes, in a message

--- The settings of commands that attach.
---@type kadenza.cli.Settings
M.SETTINGS = { flags = { "json" },
  variables = { "json", "state", "console" } }

-- The options that say which node is meant.
local OPTIONS <const> = {
  { name = "console", kind = "text", flag = "--console", argname = "PATH",
    check = "path", text = "Socket of the node's console." },
  { name = "state", kind = "text", flag = "--state", argname = "DIR",
    check = "path", text = "State folder of the node. Without --console and "
      .. "--state: the only node of this user that runs." },
}

--- Adds the options that say which node is meant, and those of a command.
---@param command table  of argparse
---@param own? kadenza.cli.Option[]
---@return table[] elements  of argparse
function M.arguments(command, own)
  local all = table.move(own or {}, 1, #(own or {}), 1, {})
  table.move(OPTIONS, 1, #OPTIONS, #all + 1, all)
  return schema.add_options(command, all)
end

-- Raises a fault for a console that cannot be used.
local function raise_not_open(path, message, code)
  if code == "KAD_EREFUSED" and core.is_local_socket(path) then
    message = path .. ": the node that had its console there does not run"
  elseif code == "KAD_EREFUSED" then
    message = path .. ": not a socket"
  elseif code == "KAD_ENOTFOUND" then
    message = path .. ": no node has its console there"
  elseif code == "KAD_EACCESS" then
    message = path .. ": the console of another user: run this as the user of "
      .. "the node, or as root"
  end
  fault.failed(message, code)
end

local function open(path)
  local opened, message, code = client.open(path)
  if not opened then
    raise_not_open(path, message, code)
  end
  return opened
end

-- Returns the consoles of this user's nodes that run, and where they were
-- looked for.
local function list_running()
  local base = state_folder.base()
  local names, found = base and core.list_folder(base, MAX_FOLDERS) or {}, {}
  table.sort(names)
  for _, name in ipairs(names) do
    local folder = base .. "/" .. name
    local opened = core.is_local_socket(folder .. "/" .. console.FILE)
      and client.open(folder .. "/" .. console.FILE)
    if opened then
      found[#found + 1] = { folder = folder, client = opened }
    end
  end
  return found, base
end

local function close_all(found)
  for _, one in ipairs(found) do
    one.client:close()
  end
end

-- Connects to the only node of this user that runs. If none runs, calls
-- `if_none`, if it is given.
local function open_only_one(if_none)
  local found, base = list_running()
  if #found == 1 then
    return found[1].client
  end
  close_all(found)
  if #found == 0 then
    (if_none or function() end)()
    fault.failed(("no node with a console runs%s: --state DIR or --console "
      .. "PATH says where it is"):format(base and " in " .. base or ""),
      "KAD_ENOTFOUND")
  end
  local folders = {}
  for i = 1, math.min(#found, MAX_NAMED) do
    folders[i] = found[i].folder
  end
  fault.misuse("%d nodes run: choose one with --state DIR: %s%s", #found,
    table.concat(folders, ", "), #found > MAX_NAMED and ", …" or "")
end

--- Connects to the node that the command line and the environment mean. Raises
--- a fault if that is not possible.
---@param args table  of the command line
---@param settings table
---@param if_none? fun()  raises another fault if none is named and none runs
---@return kadenza.ConsoleClient client  for a `<close>` variable
function M.open(args, settings, if_none)
  local own = config.read_own(OPTIONS, args)
  local is_own = own.console or own.state
  local path = console.path(is_own and own or settings)
  if path then
    return open(path)
  elseif (is_own and own or settings).console then
    fault.misuse("--console off: that node has no console")
  end
  return open_only_one(if_none)
end

--- Returns the result of a request, or raises a fault.
---@param result any
---@param message string
---@param code? string
---@return any result
---@return string raw
function M.need(result, message, code)
  if result == nil then
    fault.failed(message, code)
  end
  return result, message
end

return M
